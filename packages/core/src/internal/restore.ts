/**
 * Decodes the stored data of a run with the current schemas of its workflow.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { decodeShared, type Json, makeUnknown, Outputs, type SharedValue } from "../Codec.ts"
import type { Definition, Planner } from "../Definition.ts"
import { InvalidInput, WorkflowMismatch } from "../Errors.ts"
import { type NodeId, type NodeKey, nodeKey, startId } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import * as PlanLayout from "../PlanLayout.ts"
import * as Records from "../Records.ts"
import type { OutputSource } from "../RunEvent.ts"
import type * as RunState from "../RunState.ts"
import type { Values } from "../Scheduler.ts"
import { giveJson } from "./sharedValue.ts"

/** An output that does not match its current schema. */
export interface Incompatible {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly issues: ReadonlyArray<string>
}

/** Decodes the outputs of nodes, into those that are known, and collects the incompatible ones. */
export const outputs = (
  definition: Pick<Definition<unknown>, "codecOf">,
  records: ReadonlyArray<Records.NodeRecord>,
  known?: Outputs,
) =>
  Effect.suspend(() => {
    const found = known ?? new Outputs()
    const incompatible: Array<Incompatible> = []
    const later: Array<Effect.Effect<void, never, unknown>> = []
    for (const record of records) {
      if (record.kind !== "step" || record.status !== "finished") continue
      const codec = definition.codecOf(record.nodeId, record.table ?? "")
      if (codec === undefined) continue
      const { nodeId, iteration } = record
      const key = nodeKey(nodeId, iteration)
      const restored = decodeShared(codec, record.output)
      if (Either.isEither(restored) && Either.isRight(restored)) {
        found.set(key, restored.right as SharedValue)
        continue
      }
      const onFailure = (issues: ReadonlyArray<string>) => incompatible.push({ nodeId, iteration, issues })
      later.push(Effect.match(restored, { onFailure, onSuccess: (value) => found.set(key, value) }))
    }
    const restored = { outputs: found, incompatible }
    return later.length === 0 ? Effect.succeed(restored) : Effect.as(Effect.all(later, { discard: true }), restored)
  })

/** Decodes the input of a run. */
export const input = (definition: Pick<Definition<unknown>, "input">, workflow: string, stored: Json | undefined) =>
  Effect.mapError(decodeShared(definition.input, stored), (issues) => new InvalidInput({ workflow, issues }))

/** Decodes the output of a finished run, for {@link give}. Values that no longer match the current schemas are returned encoded. */
export const output = (
  definition: Pick<Definition<unknown>, "codecOf">,
  state: RunState.RunState,
): Effect.Effect<KeptOutput, never, unknown> => readOutput(definition, state, state.from, state.output)

/** A decoded output, or lists and objects of such, as deep as the groups of a plan. */
export type KeptOutput = SharedValue | ReadonlyArray<KeptOutput> | { readonly fields: { readonly [name: string]: KeptOutput } }

const isList = (value: KeptOutput): value is ReadonlyArray<KeptOutput> => Array.isArray(value)

/** Assembles an output, a new one at each call. A list is made before its items, so that a deep one needs no deep stack. */
export const give = (value: KeptOutput): unknown => {
  const ahead: Array<() => void> = []
  const make = (part: KeptOutput): unknown => {
    if (isList(part)) {
      const made: Array<unknown> = []
      ahead.push(() => {
        for (const item of part) made.push(make(item))
      })
      return made
    }
    if (!("fields" in part)) return part.give()
    const made: { [name: string]: unknown } = {}
    ahead.push(() => {
      for (const [name, field] of Object.entries(part.fields)) made[name] = make(field)
    })
    return made
  }
  const whole = make(value)
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) next()
  return whole
}

const readOutput = (
  definition: Pick<Definition<unknown>, "codecOf">,
  state: RunState.RunState,
  from: OutputSource | null | undefined,
  stored: Json | undefined,
): Effect.Effect<KeptOutput, never, unknown> =>
  Effect.suspend((): Effect.Effect<KeptOutput, never, unknown> => {
    const asStored = { give: () => giveJson(stored) }
    if (typeof from === "string") {
      const record = state.nodes.get(from as NodeKey)
      const codec = record?.kind === "step" ? definition.codecOf(record.nodeId, record.table ?? "") : undefined
      if (codec === undefined) return Effect.succeed(asStored)
      const read = Effect.suspend(() => decodeShared(codec, stored))
      return Effect.catchAllCause(read, (cause) => (Cause.isInterrupted(cause) ? Effect.interrupt : Effect.succeed(asStored)))
    }
    if (from === null || from === undefined) return Effect.succeed(from === null ? { give: () => undefined } : asStored)
    if ("fixed" in from) return Effect.succeed(asStored)
    if ("fields" in from) {
      const object = stored as { readonly [name: string]: Json }
      const fields = Object.entries(from.fields).map(
        ([name, part]) => [name, readOutput(definition, state, part, object[name])] as const,
      )
      return Effect.map(Effect.all(Object.fromEntries(fields)), (read) => ({ fields: read }))
    }
    return Effect.forEach(from, (part, index) => readOutput(definition, state, part, (stored as ReadonlyArray<Json>)[index]))
  })

/** Plans with a delayed start, by those without. */
const delayed = new WeakMap<Plan.Plan, Plan.Plan>()

const anything = makeUnknown(Schema.Unknown)

/** A plan behind a timer that ends at the start of the run. */
const fromStart = (plan: Plan.Plan): Plan.Plan => {
  const known = delayed.get(plan)
  const [body] = plan.nodes
  if (known !== undefined || body === undefined) return known ?? plan
  const due: Plan.Computation = (_, state) => new Date(state.startAt ?? 0)
  const timer: Plan.Wait = {
    ...{ _tag: "Wait", id: startId, label: undefined, meta: undefined, needs: [], codec: anything, table: undefined },
    ...{ skipIf: undefined, target: { kind: "timer", due }, timeoutMs: undefined, onTimeout: "fail" },
  }
  const made = PlanLayout.make(plan.workflow, { _tag: "Sequence", children: [timer, body] }, plan.pending, plan.isRendered)
  delayed.set(plan, made)
  return made
}

/** Makes a plan with a planner: that of the workflow, behind the delay of the run's start if it has one. */
export const planOf = (planner: Planner, state: RunState.RunState, values: Values) =>
  state.startAt === undefined ? planner.plan(state, values) : Either.map(planner.plan(state, values), fromStart)

/** Makes a plan with a planner. Fails if it is of another workflow than the run. */
export const plan = (planner: Planner, state: RunState.RunState, values: Values) =>
  Effect.filterOrFail(
    Effect.suspend(() => planOf(planner, state, values)),
    ({ workflow }) => workflow === state.workflow,
    ({ workflow }) => new WorkflowMismatch({ runId: state.runId, workflow, stored: state.workflow }),
  )

/** The values that existed in an earlier state. */
export const valuesAt = (values: Values, { nodes }: Pick<RunState.RunState, "nodes">): Values => {
  const has = (key: NodeKey): boolean => {
    const record = nodes.get(key)
    return record?.kind === "step" && record.status === "finished" && values.outputs.has(key)
  }
  const outputs = { has, get: (key: NodeKey) => (has(key) ? values.outputs.get(key) : undefined) }
  return { input: values.input, outputs }
}

/** Compares a plan with the stored nodes: finished and still there, there and not begun, stored and gone. */
export const compare = (
  plan: Plan.Plan,
  records: ReadonlyArray<Records.NodeRecord>,
): { readonly kept: number; readonly added: number; readonly removed: number } => {
  const known = new Set<NodeId>()
  let [kept, removed] = [0, 0]
  for (const record of records) {
    known.add(record.nodeId)
    const position = plan.positions.get(record.nodeId)
    if (position === undefined) removed++
    else if (record.kind === "step" && Records.isSettled(record) && position < plan.size) kept++
  }
  let added = 0
  for (const [nodeId, position] of plan.positions) if (position < plan.size && !known.has(nodeId)) added++
  return { kept, added, removed }
}

/** Compares the plan of new code with that of the code at work: finished and still there, new in the plan, and gone from it. */
export const compareCode = (
  before: Plan.Plan,
  after: Plan.Plan,
  records: ReadonlyArray<Records.NodeRecord>,
): { readonly kept: number; readonly added: number; readonly removed: number } => {
  const isIn = (plan: Plan.Plan, nodeId: NodeId): boolean => (plan.positions.get(nodeId) ?? plan.size) < plan.size
  const known = new Set(records.map(({ nodeId }) => nodeId))
  let [kept, added, removed] = [0, 0, 0]
  for (const record of records) if (record.kind === "step" && Records.isSettled(record) && isIn(after, record.nodeId)) kept++
  for (const nodeId of after.positions.keys()) if (isIn(after, nodeId) && !isIn(before, nodeId) && !known.has(nodeId)) added++
  for (const nodeId of before.positions.keys()) if (isIn(before, nodeId) && !isIn(after, nodeId)) removed++
  return { kept, added, removed }
}
