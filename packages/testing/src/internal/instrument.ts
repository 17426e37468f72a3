/**
 * Instruments definitions: their steps run other code around their own. Plans keep their text, so instrumented runs are equal to
 * others.
 */
import type { Definition } from "@smithers/core/Definition"
import type * as Plan from "@smithers/core/Plan"
import type { StepContext } from "@smithers/core/StepProgram"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Passage } from "./passage.ts"

/** Wraps the code of a step. */
export type Around = (step: Plan.Step) => Plan.Step["run"]

/** Changes to a definition. */
export interface Changes {
  readonly around: Around
  /** Maximum number of running steps per run. */
  readonly atOnce?: number
}

/** Instruments the steps of a definition, and of the child runs it starts. */
export const definition = <R>(of: Definition<R>, changes: Changes): Definition<R> => {
  const plans = new WeakMap<Plan.Plan, Plan.Plan>()
  const planOf = (plan: Plan.Plan): Plan.Plan => {
    const known = plans.get(plan)
    if (known !== undefined) return known
    const made = planWith(plan, changes)
    plans.set(plan, made)
    return made
  }
  return {
    ...of,
    get tables() {
      return of.tables
    },
    maxConcurrency: changes.atOnce ?? of.maxConcurrency,
    planner: () => {
      const planner = of.planner()
      return { ...planner, plan: (state, values) => Either.map(planner.plan(state, values), planOf) }
    },
  }
}

const planWith = (plan: Plan.Plan, changes: Changes): Plan.Plan => {
  const made = new Map(plan.nodes.map((node) => [node, nodeWith(node, changes)]))
  const of = <N extends Plan.Node>(node: N): Plan.Node => made.get(node) ?? node
  const nodes = plan.nodes.map(of)
  const step = (position: number): Plan.Step => {
    const node = of(plan.step(position))
    return node._tag === "Step" ? node : plan.step(position)
  }
  return {
    ...plan,
    nodes,
    node: (position) => of(plan.node(position)),
    find: (nodeId) => {
      const node = plan.find(nodeId)
      return node === undefined ? undefined : of(node)
    },
    step,
    leaf: (position) => {
      const node = of(plan.leaf(position))
      return node._tag === "Step" || node._tag === "Wait" ? node : plan.leaf(position)
    },
    get text() {
      return plan.text
    },
  }
}

const nodeWith = (node: Plan.Node, changes: Changes): Plan.Node => {
  if (node._tag === "Step") return { ...node, run: changes.around(node) }
  if (node._tag !== "Wait" || node.target.kind !== "subflow") return node
  const { child } = node.target
  // The plan types it as an object; it was created from a definition.
  const inner = definition(child.definition as Definition, changes)
  return { ...node, target: { ...node.target, child: { ...child, definition: inner } } }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

/** Returns the result of a step as an Effect; `undefined` if it is a value of its schema, which may be an Effect, too. */
const effectOf = (step: Plan.Step, returned: unknown): Effect.Effect<unknown, unknown, unknown> | undefined =>
  Effect.isEffect(returned) && step.codec.isValue?.(returned) !== true
    ? (returned as Effect.Effect<unknown, unknown, unknown>)
    : undefined

/** Registers the code of running steps with the passage of time. */
export const watching =
  (passage: Passage, around: Around): Around =>
  (step) => {
    const run = around(step)
    return (context, state, noteRead) => {
      const returned = run(context, state, noteRead)
      const effect = effectOf(step, returned)
      if (effect !== undefined) return passage.working(effect)
      if (!isThenable(returned)) return returned
      const { signal }: StepContext<unknown> = context
      passage.workingOn(returned, signal)
      return returned
    }
  }

/** Calls the code of a step as an Effect, for results that are values, promises or Effects. */
export const called = (step: Plan.Step, call: () => unknown): Effect.Effect<unknown, unknown, unknown> =>
  Effect.flatMap(Effect.try({ try: call, catch: (thrown) => thrown }), (returned) => {
    const effect = effectOf(step, returned)
    if (effect !== undefined) return effect
    if (!isThenable(returned)) return Effect.succeed(returned)
    return Effect.tryPromise({ try: () => Promise.resolve(returned), catch: (thrown) => thrown })
  })
