/**
 * Entry point of the `smithers` command. Requests that need no runtime are answered here, before it is loaded.
 */

import { writeSync } from "node:fs"
import { version } from "@smithers/core/Package"
import * as Launch from "./Launch.ts"
import * as Needs from "./Needs.ts"

/** Writes a few words to standard output at once: the stream of Node takes as long to make as all the rest. */
const write = (text: string): void => {
  try {
    writeSync(1, text)
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    // A closed pipe is not a failure.
    if (code === "EPIPE") return
    process.stderr.write(`The version could not be written to standard output: ${message}\n`)
    process.exitCode = 1
  }
}

/**
 * Runs the command line and ends the process with its exit code. `home` is a folder from which `smithers-orchestrator` resolves.
 */
export const main = async (argv: ReadonlyArray<string>, { home }: { readonly home: string }): Promise<void> => {
  const words = argv.filter((token) => token !== "--json")
  if (words.length === 1 && (words[0] === "--version" || words[0] === "-v"))
    return write(argv.length === 1 ? `${version}\n` : `${JSON.stringify({ version })}\n`)
  const tooOld = Needs.bunProblem(Bun.version)
  if (tooOld !== undefined) return Needs.refuse(tooOld)
  Launch.replaceFor(argv, home)
  // Only a process that loads workflows shares Effect with them; others have a program of their own where this is bundled.
  const loaded = Launch.whyNot() === undefined ? import("./Loading.ts") : import("./Reading.ts")
  const { run } = await loaded.catch((thrown: unknown) => {
    const problem = Needs.problem(home)
    if (problem === undefined) throw thrown
    return { run: () => Needs.refuse(problem) }
  })
  await run(argv)
}
