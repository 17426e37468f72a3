/**
 * Asks agents for an output within one attempt of a step. Sends the task, reads the reply, has an invalid one corrected in the same
 * conversation, and falls back to the next agent. If all fail, raises an error for the step's retry policy: `InvalidOutput`, whose
 * issues the next prompt includes, or `AgentFailed`, which states whether and when a retry may help.
 *
 * Agents of the AI SDK have retries of their own (`maxRetries`, default 2). Those are not durable, and precede the retries of the
 * step.
 */
import { type AnyAgent, writesFiles } from "@smithers/core/Agent"
import { type AgentCall, AgentRunner, type AgentRunnerShape } from "@smithers/core/AgentRunner"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Instruction from "./Instruction.ts"
import * as ToolRules from "./ToolRules.ts"
import * as ToolSession from "./ToolSession.ts"
import type { ToolSettings } from "./ToolSettings.ts"

export type { ToolSettings } from "./ToolSettings.ts"

const loadAsking = Effect.promise(() => import("./internal/asking.ts"))

/**
 * Succeeds with a value that `output.accept` accepts. Fails with `InvalidOutput` if the agents' replies stay invalid, otherwise
 * with `AgentFailed`. Aborting `signal` interrupts it, whatever the agent does.
 */
export const run = (call: AgentCall, tools: ToolSettings = {}): ReturnType<AgentRunnerShape["run"]> =>
  Effect.flatMap(loadAsking, (asking) => asking.run(call, tools))

/** Lets steps have agents, whose tools have these rights. */
export const layerWith = (tools: ToolSettings): Layer.Layer<AgentRunner> =>
  Layer.succeed(AgentRunner, {
    run: (call) => run(call, tools),
    promptOf: (call) => Instruction.make(call).prompt,
    workspace: workspaceOf(tools),
  })

/** The directory that a step works in. Its agents may write there with tools that work on files, or with programs. */
const workspaceOf =
  ({ rights: given = {}, commands }: ToolSettings): NonNullable<AgentRunnerShape["workspace"]> =>
  ({ nodeId, agents, rights: asked }) => {
    const rights = asked === undefined ? given : Either.getOrUndefined(ToolSession.narrow(given, asked, nodeId))
    if (rights === undefined) return undefined
    const { offer } = ToolSession.make(rights, commands, asked)
    const writes = (tool: object): boolean => {
      const { usesWorkspace, isReadOnly } = ToolRules.of(tool)
      return usesWorkspace && !isReadOnly
    }
    const isWriting = (agent: AnyAgent): boolean => {
      const tools = Thrown.get(agent, "tools")
      const isOffering = typeof tools === "object" && tools !== null
      return writesFiles(agent) || (isOffering && Object.values(offer({ ...tools })).some((tool) => writes(Object(tool))))
    }
    return { root: rights.root ?? process.cwd(), isWritable: rights.isReadOnly !== true && agents.some(isWriting) }
  }

/** Lets steps have agents. Their tools are confined to the working directory, and run no commands. */
export const layer: Layer.Layer<AgentRunner> = layerWith({})
