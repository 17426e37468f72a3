/**
 * The identifiers of runs and of their nodes. An id is a text that its author chose, and is kept, shown and typed as that text. Ids that the
 * engine makes of others (a child run's, a compensation's, an idempotency key) are made here, so that no two of them are ever the same.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { digest } from "./internal/digest.ts"

/** Characters that an id may have. Rows of every attempt and event repeat it, and people read it; titles and paths are shorter. */
const longestId = 1000

/** The rule of {@link isId} in words, for error messages. */
export const idRule = `a text of 1 to ${longestId} characters`

/** Halves of surrogate pairs, which UTF-8 cannot hold, and NUL, which ends a text in SQL and on a command line. */
const unstorable = /[\0\p{Surrogate}]/u

/**
 * Whether something may be the name of a workflow or the id of a run: any text of 1 to 1000 characters, without NUL and halves of
 * surrogate pairs.
 */
export const isId = (id: unknown): id is string =>
  typeof id === "string" &&
  id !== "" &&
  !unstorable.test(id) &&
  (id.length <= longestId || (id.length <= 2 * longestId && [...id].length <= longestId))

/** An id as an error message shows it. */
export const shownId = (id: unknown): string => {
  const shown = JSON.stringify(id) ?? String(id)
  return shown.length <= 200 ? shown : `${shown.slice(0, 200)}…`
}

/** The id a user gave to a node of a plan, as {@link keptId} keeps it. */
export type NodeId = string

const escapeUnit = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A backslash that would read as one of {@link storable}'s own. */
const readsEscaped = /\\(?=u(?:0000|005c|d[89a-f][0-9a-f]{2}))/g

/**
 * A text that a database, a file and a command line can hold: halves of surrogate pairs and NUL become `\ud83d` and `\u0000`, and the
 * backslash of a text that reads so becomes `\u005c`. Any other text stays as it is, and different texts stay different.
 */
export const storable = (text: string): string =>
  unstorable.test(text) || text.includes("\\u")
    ? text.replaceAll(readsEscaped, escapeUnit).replaceAll(new RegExp(unstorable, "gu"), escapeUnit)
    : text

/** What ids of compensations end in, and no author's id does. */
export const compensationSuffix = "~compensate"

/** What ids of the timers of scopes end in, and no author's id does. */
const timeoutSuffix = "~timeout"

/** The id of the timer that a scope is left by. */
export const timeoutId = (scope: NodeId): NodeId => `${scope}${timeoutSuffix}`

/** The scope whose timer a node is; `undefined` for any other node. */
export const scopeOfTimeout = (nodeId: NodeId): NodeId | undefined =>
  nodeId.endsWith(timeoutSuffix) ? nodeId.slice(0, -timeoutSuffix.length) : undefined

/**
 * The id of a branch of a race, or of an item of a list: `<race>[<name>]`. In the name `%` and `]` are percent-encoded, so that ids of different
 * parts differ.
 */
export const partId = (around: NodeId, key: string): NodeId => storable(`${around}[${key.replaceAll(/[%\]]/g, percent)}]`)

/**
 * The id of a node, as it is kept, of the text that its author gave: that text, in {@link storable} form. A text that ends in
 * `~compensate` or `~timeout`, as ids of the engine's own nodes do, gets one more `~`. Different texts give different ids. To be called once, where a text comes in.
 */
export const keptId = (text: string): NodeId => {
  const id = storable(text)
  return /~(?:compensate|timeout)~*$/.test(id) ? `${id}~` : id
}

/** Whether something is the id of a node as {@link keptId} gives it, and not too long. */
export const isNodeId = (id: unknown): id is NodeId => isId(id) && !id.endsWith(compensationSuffix)

/** One node in one pass of its loop: `<nodeId>/<iteration>`. What stands after the last `/` is the iteration. */
export type NodeKey = `${NodeId}/${number}`

/** Makes a {@link NodeKey}. `iteration` counts the passes of the node's innermost loop over the whole run, from 0. */
export const nodeKey = (nodeId: NodeId, iteration: number): NodeKey => `${nodeId}/${iteration}`

/** Splits a {@link NodeKey}. */
export const parseNodeKey = (key: NodeKey): { readonly nodeId: NodeId; readonly iteration: number } => {
  const at = key.lastIndexOf("/")
  return { nodeId: key.slice(0, at), iteration: Number(key.slice(at + 1)) }
}

/** What stands for a text that is cut: 128 bits, since authors of ids may gain from two being taken for one. */
const shortDigest = (text: string): string => digest(text).slice(0, 32)

/** A text of at most `longest` characters: a longer one is cut, and ends in `%` and a digest of all of it. */
export const abbreviated = (text: string, longest: number): string => {
  if (text.length <= longest) return text
  const end = `%${shortDigest(text)}`
  return text.slice(0, longest - end.length).toWellFormed() + end
}

const percent = (text: string): string => `%${text.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`

/** A child run's id is cut where it is longer. */
const longestChildId = 400

/**
 * The id of a run that a node of another run starts: `<run>~<node>~<iteration>`, with `~<generation>` where the node was begun anew, so that
 * the same node starts the same run after a crash. In the node's id `~` and `%` are percent-encoded, and so is the first digit of one
 * that is all digits; so ids of different nodes differ. Long ids are cut, and have a digest in place of the node.
 */
export const childRunId = (runId: string, nodeId: NodeId, iteration: number, generation = 0): string => {
  const node = nodeId.replaceAll(/[~%]/g, percent).replace(/^\d(?=\d*$)/, percent)
  const place = `${iteration}${generation === 0 ? "" : `~${generation}`}`
  const id = `${runId}~${node}~${place}`
  return id.length <= longestChildId ? id : `${id.slice(0, longestChildId / 2).toWellFormed()}~%${shortDigest(id)}~${place}`
}

/** Whether a text reads as the id of a child run. No other run is started under such an id. */
export const isChildRunId = (text: string): boolean => /~[^~]*[^~\d][^~]*~\d+(~\d+)?$/.test(text)

/** An idempotency key is cut where it is longer: providers of payments take 255 characters. */
const longestKey = 255

const headerSafe = (text: string): string =>
  /^[\x21-\x24\x26-\x7e]*$/.test(text) ? text : text.replaceAll(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent)

/**
 * The key of a step's effects: `<run>:<step>:<iteration>`, the same for every attempt, with `:<generation>` where a step that had finished is
 * done again. It is printable ASCII of at most 255 characters, as HTTP headers take it: other characters, and each `:` in the run's id,
 * are percent-encoded. A longer one is cut, and ends in a digest. Keys of different steps differ.
 */
export const idempotencyKey = (runId: string, nodeId: NodeId, iteration: number, generation = 0): string => {
  const run = headerSafe(runId).replaceAll(":", percent)
  // A step whose id ends like an iteration is told from the generation of another.
  const step = headerSafe(nodeId).replace(/:(?=\d+$)/, percent)
  const key = `${run}:${step}:${iteration}${generation === 0 ? "" : `:${generation}`}`
  return abbreviated(key, longestKey)
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
export const generateRunId: Effect.Effect<string> = Effect.gen(function* () {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  let id = `${seconds.toString(36).padStart(6, "0")}-`
  for (let index = 0; index < 8; index++) id += alphabet[yield* Random.nextIntBetween(0, alphabet.length)]
  return id
})
