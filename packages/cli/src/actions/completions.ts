/**
 * Shell completion scripts.
 */
import * as Effect from "effect/Effect"
import * as Completions from "../Completions.ts"
import { InvalidUsage } from "../Errors.ts"
import { Host } from "../Host.ts"

const { bash, zsh, fish } = Completions
const shells = new Map(Object.entries({ bash, zsh, fish }))

export const completions = ({ shell }: { readonly shell: string }) =>
  Effect.gen(function* () {
    const make = shells.get(shell)
    if (make === undefined)
      return yield* new InvalidUsage({ problem: `The shell must be bash, zsh or fish, not "${shell}"`, command: "completions" })
    const script = make((yield* Host).commands)
    return { value: { shell, script }, text: script }
  })
