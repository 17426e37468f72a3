/**
 * The tool `bash`: one command line in a shell, under the isolation of the runtime. In a runtime without isolation it is refused.
 */
import * as Bounds from "@smithers/core/Bounds"
import type { CommandResult, CommandRunnerShape, CommandStopped } from "@smithers/core/CommandRunner"
import type { Policy } from "@smithers/core/Isolation"
import type { Tool } from "ai"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { defineTool } from "../defineTool.ts"
import * as Results from "../Results.ts"
import * as ToolSession from "../ToolSession.ts"

/** Seconds that a command may take, by default and at most. */
const defaultSeconds = Bounds.limitOf("commandTime") / 1000
const mostSeconds = 1800

/** The policy of the commands of a session. */
export const policyOf = ({ files, rights }: ToolSession.ToolSession): Policy => ({
  root: files.root,
  isReadOnly: rights.isReadOnly,
  network: rights.network,
  env: rights.env,
  readable: rights.readable,
  hidden: ToolSession.hiddenOf(rights),
  maxProcesses: rights.maxProcesses,
  maxFileBytes: rights.maxFileBytes,
})

/** The runner of a session, or why there is none. */
export const runnerOf = ({ commands, rights, asked }: ToolSession.ToolSession, tool: string): CommandRunnerShape => {
  if (commands !== undefined) {
    const bound = commands.isBoundary
      ? undefined
      : rights.isReadOnly === true
        ? "may only read"
        : typeof rights.network === "object"
          ? "reach only some hosts"
          : asked.root === undefined
            ? undefined
            : "stay below a root of their own"
    if (bound === undefined) return commands
    throw new Error(
      `Commands of this step ${bound}, and isolation "${commands.isolation}" holds them to nothing: nothing was started. A runtime with isolation "bubblewrap", on macOS "sandbox-runtime", runs them.`,
    )
  }
  throw new Error(
    `Tool "${tool}" runs commands, and this runtime has no isolation for them. Give it one, by "tools" of the runtime: isolation "bubblewrap" on Linux; "sandbox-runtime" on macOS; "container" where a container is the boundary; "none" to do without.`,
  )
}

const Input = Schema.Struct({
  command: Schema.NonEmptyString.annotations({ description: "The command line." }),
  timeoutSeconds: Schema.optional(
    Schema.Int.pipe(Schema.between(1, mostSeconds)).annotations({
      description: `Seconds after which it is killed. Default: ${defaultSeconds}.`,
    }),
  ),
})

/** Runs a command line. */
export const bash: Tool<typeof Input.Encoded, string> = defineTool({
  name: "bash",
  usesWorkspace: true,
  description:
    "Runs a command line in bash, in the root of the work, and returns its output and exit code. It has no network unless the step allows hosts, a private /tmp, and cannot change files outside the root, or git's directory of a repository that it finds. Nothing it starts outlives it.",
  input: Input,
  isConfined: true,
  keeps: "ends",
  execute: ({ command, timeoutSeconds = defaultSeconds }, { toolCallId }) =>
    Effect.suspend(() => {
      const session = ToolSession.current("bash")
      const runner = runnerOf(session, "bash")
      return runner
        .run(["bash", "-c", command], {
          policy: policyOf(session),
          timeout: Duration.seconds(timeoutSeconds),
          // Both streams have to fit into one result, unless all of it is stored.
          outputBytes: session.rights.maxOutputBytes,
          memoryBytes: session.rights.maxMemoryBytes,
          ...(Results.isStored(toolCallId) ? {} : { keptBytes: (session.rights.maxResultBytes ?? Results.longestResult) / 2 }),
        })
        .pipe(
          Effect.map(shown),
          Effect.catchTag("CommandStopped", (stopped) => Effect.succeed(shownStopped(stopped))),
        )
    }),
})

const streams = ({ stdout, stderr }: Pick<CommandResult, "stdout" | "stderr">): ReadonlyArray<string> => [
  ...(stdout.text === "" ? [] : [stdout.text.trimEnd()]),
  ...(stderr.text === "" ? [] : ["[stderr]", stderr.text.trimEnd()]),
]

const shown = (result: CommandResult): string => {
  const { exitCode, signal } = result
  return [...streams(result), exitCode === undefined ? `[killed by ${signal}]` : `[exit code ${exitCode}]`].join("\n")
}

const shownStopped = (stopped: CommandStopped): string => [...streams(stopped), `[${stopped.message}]`].join("\n")
