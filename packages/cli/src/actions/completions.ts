/**
 * Scripts that complete commands in shells.
 */
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as Effect from "effect/Effect"
import { InvalidUsage } from "../Errors.ts"
import { Host, type HostShape } from "../Host.ts"

type Command = CommandDescriptor.Command<unknown>

const program = (commands: HostShape["commands"]): Command => {
  const top: Array<Command> = []
  const nested = new Map<string, Array<Command>>()
  for (const { path, descriptor } of commands) {
    const [first = "", second] = path
    if (second === undefined) top.push(descriptor)
    else nested.set(first, [...(nested.get(first) ?? []), descriptor])
  }
  const groups = [...nested].map(([name, commands]) => within(name, commands))
  return within("smithers", [...top, ...groups])
}

const within = (name: string, [first, ...rest]: ReadonlyArray<Command>): Command => {
  const command = CommandDescriptor.make(name)
  if (first === undefined) return command as Command
  return CommandDescriptor.withSubcommands(command, [[name, first], ...rest.map((one) => [name, one] as const)]) as Command
}

const shells = {
  bash: CommandDescriptor.getBashCompletions,
  zsh: CommandDescriptor.getZshCompletions,
  fish: CommandDescriptor.getFishCompletions,
}

/** Prints a script. */
export const completions = ({ shell }: { readonly shell: string }) =>
  Effect.gen(function* () {
    const make = shells[shell as keyof typeof shells]
    if (make === undefined)
      return yield* new InvalidUsage({ problem: `There are bash, zsh and fish, not "${shell}"`, command: "completions" })
    const lines = yield* make(program((yield* Host).commands), "smithers")
    const script = lines.join("\n")
    return { value: { shell, script }, text: script }
  })
