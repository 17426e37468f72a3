/**
 * The codec of a workflow's output, composed like its plan from the codecs of its steps. It only decodes. The output of a
 * workflow whose plan is not constant is returned encoded.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { Codec, Issues, Json } from "../Codec.ts"
import * as Plan from "../Plan.ts"

type Restore = (stored: Json | undefined) => Effect.Effect<unknown, Issues, unknown>

/** The plans behind composed codecs of other workflows. */
const plans = new WeakMap<object, () => Plan.Plan | undefined>()

/** The plans that are in use to decode a value. */
type Ahead = ReadonlySet<Plan.Plan>
const nowhere: Ahead = new Set()

/** A workflow, as far as its output is concerned. */
interface Giving {
  readonly plan?: Plan.Plan | undefined
  readonly definition: { readonly output?: Codec<unknown, unknown> }
}

/** The codec of the output of a workflow that is not defined yet, since it contains itself. */
export const later = (workflow: () => Giving): Codec<unknown, unknown> => {
  let found: Codec<unknown, unknown> | undefined
  const codec = (): Codec<unknown, unknown> => {
    if (found !== undefined) return found
    const { plan, definition } = workflow()
    found = of(plan, definition.output)
    return found
  }
  const made: Codec<unknown, unknown> = {
    encode: (value) => Either.right(value as Json | undefined),
    decode: (stored) => Effect.suspend(() => codec().decode(stored)),
    redecode: (value, stored) => codec().redecode?.(value, stored),
    get jsonSchema() {
      try {
        return codec().jsonSchema
      } catch {
        // Its node reports the invalid workflow, when the run reaches it.
        return undefined
      }
    },
    inputSchema: undefined,
  }
  plans.set(made, () => {
    const { plan, definition } = workflow()
    return definition.output === undefined ? plan : undefined
  })
  return made
}

/** The codec of a plan's output, or of a declared one. It accepts values that are encoded already. */
export const of = (plan: Plan.Plan | undefined, declared?: Codec<unknown, unknown>): Codec<unknown, unknown> => {
  const root = plan?.nodes[0]
  const planned: Restore = root === undefined || plan === undefined ? asIs : restoreOf(root, new Set([plan]))
  const decode = declared === undefined ? planned : absentOr(declared.decode)
  const { jsonSchema } = declared ?? (root?._tag === "Step" ? root.codec : undefined) ?? { jsonSchema: undefined }
  const made: Codec<unknown, unknown> = {
    encode: (value) => Either.right(value as Json | undefined),
    decode,
    redecode: (_, stored) => {
      const repeat = () => Effect.runSyncExit(decode(stored) as Effect.Effect<unknown, Issues>)
      if (Exit.isFailure(repeat())) return undefined
      return () => Exit.getOrElse(repeat(), () => undefined)
    },
    jsonSchema,
    inputSchema: undefined,
  }
  if (declared === undefined) plans.set(made, () => plan)
  return made
}

/** For a branch without a taken arm: absent values in a list are stored as null. */
const absentOrAsIs: Restore = (stored) => Effect.succeed(stored === null ? undefined : stored)

const asIs: Restore = (stored) => Effect.succeed(stored)

/**
 * Visits each node when its effect runs, so that a deep plan needs no deep stack. A plan that is in use for a value cannot
 * decode more of the same value.
 */
const restoreOf =
  (node: Plan.Node, ahead: Ahead): Restore =>
  (stored) =>
    Effect.suspend(() => {
      switch (node._tag) {
        case "Step":
        case "Wait": {
          const plan = plans.get(node.codec)?.()
          const root = plan?.nodes[0]
          if (plan === undefined || root === undefined) return absentOr(node.codec.decode)(stored)
          const again = Effect.fail(["it is read by the same plan already"])
          return absentOr(ahead.has(plan) ? () => again : restoreOf(root, new Set([...ahead, plan])))(stored)
        }
        case "Sequence": {
          const last = node.children.at(-1)
          return last === undefined || node.skipsAbsent === true ? asIs(stored) : restoreOf(last, ahead)(stored)
        }
        case "Loop":
        case "Scope":
        case "Saga":
          return absentOr(restoreOf(node.body, ahead))(stored)
        case "Parallel":
          if (!Array.isArray(stored)) return Effect.fail(["it is no list"])
          return Effect.forEach(node.children, (child, index) =>
            inList(restoreOf(child, nowhere))(stored[index] as Json | undefined),
          )
        case "Race":
          return node.isList ? listOf(restoreWinner(node))(stored) : absentOr(restoreWinner(node))(stored)
        case "ForEach": {
          const [item] = node.children
          const restoreItem = item === undefined ? asIs : absentOr(restoreOf(item, nowhere))
          return listOf(node.isSettled ? restoreSettled(restoreItem) : restoreItem)(stored)
        }
        case "Branch": {
          const arms = node.arms.map((arm) => restoreOf(arm, ahead))
          return (node.choice.kind === "when" && arms.length < 2 ? [...arms, absentOrAsIs] : arms).reduce(either)(stored)
        }
        case "TryCatch":
          return either(restoreOf(node.try, ahead), node.catch === undefined ? asIs : restoreOf(node.catch, ahead))(stored)
      }
    })

/** Absent values in an array are stored as null, and so is an actual null. */
const inList =
  (restore: Restore): Restore =>
  (item) =>
    item === null ? Effect.orElse(restore(null), () => restore(undefined)) : restore(item)

const listOf =
  (restore: Restore): Restore =>
  (stored) =>
    Effect.forEach(Array.isArray(stored) ? (stored as ReadonlyArray<Json>) : [], inList(restore))

const restoreSettled =
  (restore: Restore): Restore =>
  (stored) => {
    if (typeof stored !== "object" || stored === null || Array.isArray(stored) || !("value" in stored)) return asIs(stored)
    return Effect.map(restore(stored.value), (value) => ({ ...stored, value }))
  }

const restoreWinner =
  ({ children }: Plan.Race): Restore =>
  (stored) => {
    if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return asIs(stored)
    const { winner, value } = stored as { readonly [name: string]: Json }
    const branch = children.find((child) => Plan.isPart(child) && child.part.key === winner)
    return branch === undefined ? asIs(stored) : Effect.map(restoreOf(branch, nowhere)(value), (value) => ({ winner, value }))
  }

/** Decodes a value that may be absent: skipped and tolerated nodes have no stored form. */
const absentOr =
  (restore: Restore): Restore =>
  (stored) =>
    stored === undefined ? Effect.orElseSucceed(restore(stored), () => undefined) : restore(stored)

/** The taken way is not stored; the first match counts. */
const either =
  (one: Restore, other: Restore): Restore =>
  (stored) =>
    Effect.catchAll(one(stored), () => other(stored))
