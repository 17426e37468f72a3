/**
 * Finds an agent that needs nothing but a program of this machine, for projects that work on it where there is one.
 */
import type { AgentName } from "@smithers/agents/commandLine/Probe"
import * as Effect from "effect/Effect"

export type { AgentName }

/**
 * Returns the first of these programs that is installed and logged in; `undefined` if there is none. Each that is installed is asked for
 * its version and its login, under the isolation of the runtime (`SMITHERS_ISOLATION`); no model is asked for anything. Default: all
 * that `smithers agents` lists, in its order.
 *
 * @example
 * ```ts
 * import { ClaudeCodeAgent, loggedInAgent } from "smithers-orchestrator/agents"
 *
 * const coder = (await loggedInAgent(["claude"])) === "claude" ? ClaudeCodeAgent() : undefined
 * ```
 */
export const loggedInAgent = async (
  names?: ReadonlyArray<AgentName>,
  environment: { readonly [name: string]: string | undefined } = process.env,
): Promise<AgentName | undefined> => {
  const [Probe, Runner, Settings] = await Promise.all([
    import("@smithers/agents/commandLine/Probe"),
    import("@smithers/sandbox/Runner"),
    import("@smithers/core/Settings"),
  ])
  const program = Effect.gen(function* () {
    const named = environment.SMITHERS_ISOLATION || Runner.defaultIsolation
    const isolation = yield* Settings.word("SMITHERS_ISOLATION", named, Runner.isolations)
    const runner = Runner.make(isolation)
    for (const name of names ?? Probe.names) {
      const [found] = yield* Probe.all(runner, name, environment)
      if (found?.isLoggedIn === true) return name
    }
    return undefined
  })
  return Effect.runPromise(program)
}
