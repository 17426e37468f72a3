/**
 * The identifiers of a run and of its nodes, and how they print.
 */
import * as Brand from "effect/Brand"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { digest } from "./internal/digest.ts"

/** What a workflow, step or run may be called: it ends up in SQL keys, URLs and shell commands. */
export const idPattern = /^[A-Za-z0-9_.:@-]{1,200}$/

/** Says in words what {@link idPattern} allows, for error messages. */
export const idRule = "1 to 200 characters of A-Z a-z 0-9 _ . : @ -"

/** The id of one run of a workflow. */
export type RunId = string & Brand.Brand<"RunId">

/** Schema of a {@link RunId}; decoding refuses ids outside {@link idPattern}. */
export const RunId = Schema.String.pipe(
  Schema.pattern(idPattern, { message: () => `a run id is ${idRule}` }),
  Schema.brand("RunId"),
)

/** The id a user gave to a node of a plan. */
export type NodeId = string

/** One node in one pass of its loop: `<nodeId>/<iteration>`. The `/` cannot occur in a {@link NodeId}. */
export type NodeKey = `${NodeId}/${number}`

/** Makes a {@link NodeKey}. `iteration` counts the passes of the node's innermost loop over the whole run, from 0. */
export const nodeKey = (nodeId: NodeId, iteration: number): NodeKey => `${nodeId}/${iteration}`

/**
 * The id of a run that a node of another run starts: `<run>~<node>~<iteration>`, with `~<generation>` where the node was begun anew, so that the same node starts the same run after a crash.
 * No author's id holds a `~`, so no other run has it. Ids that come out longer than others may be are cut and end in a digest.
 */
export const childRunId = (runId: string, nodeId: NodeId, iteration: number, generation = 0): string => {
  const id = `${runId}~${nodeId}~${iteration}${generation === 0 ? "" : `~${generation}`}`
  return id.length <= 200 ? id : `${id.slice(0, 180)}~${digest(id)}`
}

/**
 * A key made of several parts, as JSON: no two lists of parts give the same key, whatever characters the parts hold. Use it wherever a key is
 * made of texts that users choose.
 */
export const compositeKey = (...parts: ReadonlyArray<string | number>): string => JSON.stringify(parts)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

/**
 * A new run id: six characters of time (seconds, base 36, so that ids sort by age), a dash, and 40 random bits. Short,
 * because it stands in every row of the run; readable, because people type its first characters.
 */
export const generateRunId: Effect.Effect<RunId> = Effect.gen(function* () {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  let id = `${seconds.toString(36).padStart(6, "0")}-`
  for (let index = 0; index < 8; index++) id += alphabet[yield* Random.nextIntBetween(0, alphabet.length)]
  return Brand.nominal<RunId>()(id)
})
