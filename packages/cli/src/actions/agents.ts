/**
 * Lists command-line agents.
 */
import * as Probe from "@smithers/agents/commandLine/Probe"
import * as Settings from "@smithers/core/Settings"
import * as Runner from "@smithers/sandbox/Runner"
import { oneLine, shorten } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

const login = ({ path, isLoggedIn }: Probe.AgentStatus): string =>
  path === null ? "" : isLoggedIn === null ? "unknown" : isLoggedIn ? "yes" : "no"

const abilities = ({ abilities }: Probe.AgentStatus): string =>
  Object.entries(abilities)
    .flatMap(([name, has]) => (has ? [name] : []))
    .join(", ")

/** Lists the programs that are agents, as they are on this machine. */
export const agents = ({ agent }: { readonly agent: string | undefined }) =>
  Effect.gen(function* () {
    const isolation = yield* Settings.word(
      "SMITHERS_ISOLATION",
      process.env.SMITHERS_ISOLATION || Runner.defaultIsolation,
      Runner.isolations,
    )
    const found = yield* Probe.all(Runner.make(isolation), agent)
    if (found.length === 0)
      return yield* new InvalidUsage({ problem: `No agent is called "${agent}": ${Probe.names.join(", ")}`, command: "agents" })
    const rows = found.map((one) => [
      one.agent,
      one.program,
      one.path === null ? "not installed" : (one.version ?? "unknown"),
      login(one),
      abilities(one),
    ])
    const text = table(["AGENT", "PROGRAM", "VERSION", "LOGGED IN", "CAN"], rows, widthOf(yield* Screen))
    const notes = found.flatMap(({ program, problem, repair }) => [
      ...(problem === null ? [] : [`${program}: ${shorten(oneLine(problem), 200)}`]),
      ...(repair === null ? [] : [`${program}: ${repair}`]),
    ])
    return { value: { isolation, agents: found }, text: notes.length === 0 ? text : `${text}\n\n${notes.join("\n")}` }
  })
