/**
 * The memory of a step, as one attempt uses it: which facts it recalls, and which it remembers.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Memory from "../Memory.ts"
import type * as Plan from "../Plan.ts"
import type { RunState } from "../RunState.ts"
import { defined } from "../Struct.ts"
import * as Thrown from "../Thrown.ts"

/** The context of authors' functions, with the name of the workflow. */
export interface StepContext extends Plan.PredicateContext {
  readonly runId: string
  readonly workflow: string
}

/** Words for the namespaces of the workflow and of the run. */
const scopes = { workflow: "workflow", run: "run" } as const

const computed = (
  value: unknown,
  { workflow: _, ...context }: StepContext,
  state: RunState,
  noteRead: Plan.NoteRead,
): Effect.Effect<unknown, unknown> =>
  typeof value === "function"
    ? Effect.try({ try: () => (value as Plan.Computation)(context, state, noteRead), catch: (thrown) => thrown })
    : Effect.succeed(value)

const namespaceOf = (
  namespace: Plan.GivenText | undefined,
  context: StepContext,
  state: RunState,
  noteRead: Plan.NoteRead,
): Effect.Effect<string, unknown> =>
  Effect.flatMap(computed(namespace, context, state, noteRead), (name = scopes.workflow) => {
    if (name === scopes.workflow) return Effect.succeed(Memory.workflowNamespace(context.workflow))
    if (name === scopes.run) return Effect.succeed(Memory.runNamespace(context.runId))
    return typeof name === "string" && name.trim() !== ""
      ? Effect.succeed(name)
      : Effect.fail(new TypeError(`the namespace of a memory must be text, and is ${Thrown.show(name)}`))
  })

/** Selects the facts that a step recalls. */
export const filterOf = (
  { namespace, recall }: Plan.StepMemory,
  context: StepContext,
  prompt: string,
  state: RunState,
  noteRead: Plan.NoteRead,
): Effect.Effect<Memory.FactFilter, unknown> =>
  Effect.gen(function* () {
    const within = yield* namespaceOf(recall?.namespace ?? namespace, context, state, noteRead)
    const keys = yield* computed(recall?.keys, context, state, noteRead)
    if (keys !== undefined && !isTexts(keys))
      return yield* Effect.fail(new TypeError(`"memory.recall.keys" must give an array of texts, and gave ${Thrown.show(keys)}`))
    const query = recall?.query === true ? prompt : yield* computed(recall?.query, context, state, noteRead)
    if (query !== undefined && typeof query !== "string")
      return yield* Effect.fail(new TypeError(`"memory.recall.query" must give text, and gave ${Thrown.show(query)}`))
    return { namespace: within, ...defined({ keys, query, limit: recall?.limit }) }
  })

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((one) => typeof one === "string")

/** Makes the facts that a step remembers of its output. Fails with `InvalidFact` for one that cannot be stored. */
export const factsOf = (
  { namespace, remember }: Plan.StepMemory,
  context: StepContext,
  state: RunState,
  noteRead: Plan.NoteRead,
): Effect.Effect<ReadonlyArray<Memory.FactWrite>, unknown> =>
  Effect.gen(function* () {
    if (remember === undefined) return []
    const name = remember.namespace ?? namespace
    const within = yield* namespaceOf(name, context, state, noteRead)
    const facts = yield* computed(remember.facts, context, state, noteRead)
    if (facts === undefined || facts === null) return []
    if (typeof facts !== "object" || Array.isArray(facts))
      return yield* Effect.fail(new TypeError(`"memory.remember" must give facts by key, and gave ${Thrown.show(facts)}`))
    const scope = within === Memory.runNamespace(context.runId) ? { isOfRun: true } : {}
    const entries = Object.entries(facts).filter(([, value]) => value !== undefined)
    return yield* Effect.forEach(entries, ([key, value]) =>
      Either.map(Memory.check({ namespace: within, key, value }), (fact) => ({
        ...fact,
        ...scope,
        ...defined({ ttlMs: remember.ttlMs }),
      })),
    )
  })
