/**
 * The bounds that hold in a plan: those that its authors set, and those of the table of defaults.
 */
import * as Schema from "effect/Schema"
import * as Bounds from "./Bounds.ts"
import type * as PlanText from "./PlanText.ts"

const Name = Schema.Literal(...(Object.keys(Bounds.byDefault) as [Bounds.Name, ...Array<Bounds.Name>]))

/** A bound of a node. */
export const BoundInForce = Schema.Struct({
  nodeId: Schema.String,
  bound: Name,
  /** Number, milliseconds or bytes; `Infinity` for no limit. */
  limit: Schema.Union(Schema.Number, Schema.Literal("Infinity")),
  isDefault: Schema.Boolean,
  /** The option that changes it. */
  option: Schema.String,
  /** The agent that states it, if it is of an agent. */
  agent: Schema.optional(Schema.String),
})
export interface BoundInForce extends Schema.Schema.Type<typeof BoundInForce> {}

type Limit = BoundInForce["limit"]

const of = (nodeId: string, bound: Bounds.Name, set: Limit | undefined, isDefault = set === undefined): BoundInForce => {
  const { limit, option } = Bounds.byDefault[bound]
  return { nodeId, bound, limit: set ?? limit, isDefault, option }
}

/** An agent states all of its bounds, set or not. */
const ofAgent = (nodeId: string, agent: string, bound: Bounds.Name, limit: Limit): BoundInForce => ({
  ...of(nodeId, bound, limit, limit === Bounds.limitOf(bound)),
  agent,
})

const isName = Schema.is(Name)

/** Lists the bounds of the nodes of a plan, in order. */
export const inForce = ({ nodes, size }: Pick<PlanText.PlanText, "nodes" | "size">): ReadonlyArray<BoundInForce> =>
  nodes.slice(0, size).flatMap((node, position) => {
    const { id } = node
    switch (node._tag) {
      case "Loop":
        return id === undefined ? [] : [of(id, "passes", node.details.maxIterations, node.details.isDefaultLimit === true)]
      case "ForEach": {
        // A list has the id of the scope around it.
        const scope = nodes[position - 1]?.id
        return scope === undefined ? [] : [of(scope, "items", node.details.maxItems)]
      }
      case "Wait":
        return id === undefined || node.details.workflow === undefined ? [] : [of(id, "depth", node.details.maxDepth)]
      case "Step": {
        const { agents, bounds = {}, budget, corrections } = node.details
        if (id === undefined || agents === undefined) return []
        return [
          of(id, "agentCalls", budget?.agentCalls),
          of(id, "toolCalls", budget?.toolCalls),
          of(id, "corrections", corrections),
          ...Object.entries(bounds).flatMap(([agent, stated]) =>
            Object.entries(stated).flatMap(([name, limit]) => (isName(name) ? [ofAgent(id, agent, name, limit)] : [])),
          ),
        ]
      }
      default:
        return []
    }
  })

const amountOf = (limit: Limit): number => (limit === "Infinity" ? Number.POSITIVE_INFINITY : limit)

/** Formats a bound as a phrase, such as `5 passes of a loop`. */
export const text = ({ bound, limit }: Pick<BoundInForce, "bound" | "limit">): string => Bounds.text(bound, amountOf(limit))
