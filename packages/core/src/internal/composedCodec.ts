/**
 * The codec of what a whole workflow gives, composed as its plan composes the outputs of its steps. It reads what a run has stored: of a
 * workflow whose plan is not constant that is taken as it is.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { Codec, Issues, Json } from "../Codec.ts"
import * as Plan from "../Plan.ts"

type Restore = (stored: Json | undefined) => Effect.Effect<unknown, Issues, unknown>

/** The codec of a plan's output, or of one that is declared. What it accepts is in its stored form already. */
export const of = (plan: Plan.Plan | undefined, declared?: Codec<unknown, unknown>): Codec<unknown, unknown> => {
  const root = plan?.nodes[0]
  const planned: Restore = root === undefined ? asIs : restoreOf(root)
  const restore = declared === undefined ? planned : absentOr(declared.restore)
  const { jsonSchema } = declared ?? (root?._tag === "Step" ? root.codec : undefined) ?? { jsonSchema: undefined }
  return {
    accept: (given) => Either.right(given as Json | undefined),
    restore,
    again: (_, stored) => {
      const decode = () => Effect.runSyncExit(restore(stored) as Effect.Effect<unknown, Issues>)
      if (Exit.isFailure(decode())) return undefined
      return () => Exit.getOrElse(decode(), () => undefined)
    },
    jsonSchema,
    inputSchema: undefined,
  }
}

const asIs: Restore = (stored) => Effect.succeed(stored)

/** Each node is looked at when the effect for it runs, so that a deep plan needs no deep stack. */
const restoreOf =
  (node: Plan.Node): Restore =>
  (stored) =>
    Effect.suspend(() => {
      switch (node._tag) {
        case "Step":
        case "Wait":
          return absentOr(node.codec.restore)(stored)
        case "Sequence": {
          const last = node.children.at(-1)
          return last === undefined || node.skipsAbsent === true ? asIs(stored) : restoreOf(last)(stored)
        }
        case "Loop":
        case "Scope":
        case "Saga":
          return absentOr(restoreOf(node.body))(stored)
        case "Parallel":
          return Effect.forEach(node.children, (child, index) =>
            inList(restoreOf(child))(Array.isArray(stored) ? (stored[index] as Json | undefined) : undefined),
          )
        case "Race":
          return node.isList ? listOf(restoreWinner(node))(stored) : absentOr(restoreWinner(node))(stored)
        case "ForEach": {
          const [item] = node.children
          const restoreItem = item === undefined ? asIs : absentOr(restoreOf(item))
          return listOf(node.isSettled ? restoreSettled(restoreItem) : restoreItem)(stored)
        }
        case "Branch": {
          const arms = node.arms.map(restoreOf)
          return (node.choice.kind === "when" && arms.length < 2 ? [...arms, asIs] : arms).reduce(either)(stored)
        }
        case "TryCatch":
          return either(restoreOf(node.try), node.catch === undefined ? asIs : restoreOf(node.catch))(stored)
      }
    })

/** In an array what is not there is stored as null, and so is a null that was given. */
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
    return branch === undefined ? asIs(stored) : Effect.map(restoreOf(branch)(value), (value) => ({ winner, value }))
  }

/** Restores what may be absent: what was skipped or failed softly has no stored form. */
const absentOr =
  (restore: Restore): Restore =>
  (stored) =>
    stored === undefined ? Effect.orElseSucceed(restore(stored), () => undefined) : restore(stored)

/** It is not stored which way was taken: the first that fits. */
const either =
  (one: Restore, other: Restore): Restore =>
  (stored) =>
    Effect.catchAll(one(stored), () => other(stored))
