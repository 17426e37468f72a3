/**
 * The tool `grep`: lines of files that match a regular expression. It asks ripgrep under the isolation of the runtime: the one on the `PATH`, else that of the
 * optional package `@vscode/ripgrep`. Without either, or without isolation, it walks the files itself, within bounds.
 */
import { realpathSync } from "node:fs"
import { dirname, relative } from "node:path"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { Tool } from "ai"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { PathRefused } from "../ConfinedFiles.ts"
import { defineTool } from "../defineTool.ts"
import * as Results from "../Results.ts"
import * as ToolSession from "../ToolSession.ts"
import { policyOf } from "./bash.ts"
import * as Glob from "./Glob.ts"
import * as Matcher from "./Matcher.ts"
import { isBinary } from "./text.ts"

/** Matching lines of one call, by default and at most. */
const defaultMatches = 200
const mostMatches = 2000

/** Bounds of our own walk: files, and milliseconds. */
const mostFiles = 20_000
const mostMs = 5000

const Input = Schema.Struct({
  pattern: Schema.NonEmptyString.annotations({ description: "Regular expression." }),
  path: Schema.optional(
    Schema.NonEmptyString.annotations({ description: 'File or directory, from the root of the work. Default: "."' }),
  ),
  glob: Schema.optional(
    Schema.NonEmptyString.annotations({ description: "Files to look at, such as *.ts or src/**/*.md. Default: all." }),
  ),
  ignoreCase: Schema.optional(Schema.Boolean.annotations({ description: "Default: false." })),
  limit: Schema.optional(
    Schema.Int.pipe(Schema.between(1, mostMatches)).annotations({ description: `Matching lines. Default: ${defaultMatches}.` }),
  ),
})
type Input = typeof Input.Type

/** The end of a command whose program is not there. */
const notFound = 127

/** Searches files. */
export const grep: Tool<typeof Input.Encoded, string> = defineTool({
  name: "grep",
  usesWorkspace: true,
  description:
    "Searches files for a regular expression and returns matching lines as path:line:text. Files that git ignores, hidden files and binary files are left out.",
  input: Input,
  isReadOnly: true,
  execute: (input, { toolCallId }) =>
    Effect.gen(function* () {
      const session = ToolSession.current("grep")
      const { commands, files } = session
      // Refuses what is outside before anything is started.
      const relativePath = yield* Effect.try({
        try: () => {
          const found = files.resolve(input.path ?? ".")
          // A FIFO would be waited for, and a very large file read to its end.
          files.kindOf(found)
          return found
        },
        catch: (thrown) => thrown,
      })
      const limit = input.limit ?? defaultMatches
      if (commands !== undefined) {
        const packaged = yield* Effect.promise(() => packagedFor(commands, files.root))
        const args = [
          ...[
            "--no-config",
            "--line-number",
            "--with-filename",
            "--no-heading",
            "--no-messages",
            "--color=never",
            "--max-columns=500",
            "--max-columns-preview",
          ],
          ...(input.ignoreCase === true ? ["--ignore-case"] : []),
          ...(input.glob === undefined ? [] : [`--glob=${input.glob}`]),
          // The last glob counts: where isolation hides nothing, these do.
          ...hiddenGlobs(session),
          ...["--sort", "path", "-e", input.pattern, "--", relativePath],
        ]
        const script = `rg=$(command -v rg || echo "$1"); shift; [ -n "$rg" ] || exit ${notFound}; "$rg" "$@" | head -n ${limit + 1}; exit "\${PIPESTATUS[0]}"`
        const policy = policyOf(session)
        const readable = [...(policy.readable ?? []), ...(packaged === undefined ? [] : [dirname(packaged)])]
        const result = yield* commands.run(["bash", "-c", script, "bash", packaged ?? "", ...args], {
          policy: { ...policy, isReadOnly: true, network: "none", readable },
          timeout: "30 seconds",
        })
        // Of files that cannot be read nothing is said, and the code is the same.
        if (result.exitCode === 2 && result.stderr.text !== "")
          return yield* Effect.fail(new Error(`The pattern was refused: ${result.stderr.text.trim()}`))
        if (result.exitCode !== notFound)
          return shown(result.stdout.text.split("\n").slice(0, -1), limit, toolCallId, session.rights.maxResultBytes)
      }
      const lines = yield* Effect.tryPromise({
        try: () => walk(session, input, relativePath, limit + 1),
        catch: (thrown) => thrown,
      })
      return shown(lines, limit, toolCallId, session.rights.maxResultBytes)
    }),
})

/** The program of the optional package, which is looked for once. */
const packaged = (): Promise<string | undefined> => {
  found ??= import("@vscode/ripgrep").then(
    ({ rgPath }) => realpathSync(rgPath),
    // It is not installed, or not for this platform.
    () => undefined,
  )
  return found
}
let found: Promise<string | undefined> | undefined

/** The same, unless the tools of an agent could have written it and nothing would hold it. */
const packagedFor = async ({ isBoundary }: CommandRunnerShape, root: string): Promise<string | undefined> => {
  const program = await packaged()
  return program === undefined || isBoundary || relative(root, program).startsWith("..") ? program : undefined
}

/** Globs that leave out what the rights hide. */
const hiddenGlobs = ({ files, rights }: ToolSession.ToolSession): ReadonlyArray<string> =>
  ToolSession.hiddenOf(rights).flatMap((path) => {
    const name = relative(files.root, path)
    return name.startsWith("..") ? [] : [`--glob=!/${name.replaceAll(/[*?[\]{}\\!]/g, "\\$&")}`]
  })

const shown = (lines: ReadonlyArray<string>, limit: number, callId: string, most: number | undefined): string => {
  if (lines.length === 0) return "(no line matches)"
  const text = lines
    .slice(0, limit)
    .map((line) => line.replace(/^\.\//, ""))
    .join("\n")
  const whole = lines.length > limit ? `${text}\n… more lines match; narrow the pattern or the path` : text
  return Results.bounded(whole, callId, "head", most)
}

/** Files that are given to the matcher at once, at most. */
const batchBytes = 4 * 1024 * 1024

/** Matching lines by a walk of our own, which knows nothing of what git ignores but `node_modules`. */
const walk = async (
  { files }: ToolSession.ToolSession,
  { pattern, glob, ignoreCase }: Input,
  relativePath: string,
  most: number,
): Promise<ReadonlyArray<string>> => {
  const wanted = glob === undefined ? undefined : Glob.compile(glob)
  const found: Array<string> = []
  const until = performance.now() + mostMs
  const matcher = await Matcher.start(pattern, ignoreCase === true ? "iu" : "u")
  let looked = 0
  let batch: Array<Matcher.Text> = []
  let batched = 0
  /** Matches what was read so far. `false` if time is up. */
  const match = async (): Promise<boolean> => {
    const texts = batch
    batch = []
    batched = 0
    const lines = texts.length === 0 ? [] : await matcher.match(texts, most - found.length, until - performance.now())
    found.push(...(lines ?? []))
    return lines !== undefined
  }
  const stopped = (): ReadonlyArray<string> => [
    ...found,
    `… the search stopped after ${looked} files; narrow the path or the pattern`,
  ]
  const look = (path: string): void => {
    if (wanted !== undefined && !wanted(path)) return
    let bytes: Buffer
    try {
      bytes = files.read(path).bytes
    } catch (thrown) {
      if (thrown instanceof PathRefused) return
      throw thrown
    }
    if (isBinary(bytes)) return
    batch.push({ path, text: bytes.toString("utf8") })
    batched += bytes.length
  }
  try {
    const queue: Array<string> = [relativePath]
    for (let path = queue.pop(); path !== undefined && found.length < most; path = queue.pop()) {
      if (++looked > mostFiles || performance.now() > until) return stopped()
      let entries: ReturnType<typeof files.list> | undefined
      try {
        entries = files.list(path)
      } catch (thrown) {
        if (!(thrown instanceof PathRefused)) throw thrown
      }
      if (entries === undefined) look(path)
      else
        for (const { name, kind } of [...entries].reverse()) {
          if (name.startsWith(".") || name === "node_modules" || (kind !== "file" && kind !== "directory")) continue
          queue.push(path === "." ? name : `${path}/${name}`)
        }
      if (batched > batchBytes && !(await match())) return stopped()
    }
    return (await match()) ? found : stopped()
  } finally {
    matcher.stop()
  }
}
