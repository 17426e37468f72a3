/**
 * The entry of the `smithers` command. What needs nothing of the runtime is answered here, before anything of it is loaded.
 */

import type { HostShape } from "./Host.ts"
import { version } from "./Version.ts"

/** Runs the command line and ends the process with its exit code. */
export const main = async (argv: ReadonlyArray<string>, host: Pick<HostShape, "home">): Promise<void> => {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v")) {
    process.stdout.write(`${version}\n`)
    return
  }
  const { run } = await import("./Program.ts")
  await run(argv, host)
}
