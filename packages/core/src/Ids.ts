/**
 * The ids of runs and nodes. An id is the text its author chose; it is stored, shown and typed as that text. Ids derived by the
 * engine (of child runs, compensations, idempotency keys) are made here, so that no two collide.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { digest } from "./internal/digest.ts"

/** Longest id, in characters. Rows of every attempt and event repeat it, and people read it. */
const longestId = 1000

/** The rule of {@link isId} in words, for error messages. */
export const idRule = `a text of 1 to ${longestId} characters`

/** Halves of surrogate pairs, which UTF-8 cannot encode, and NUL, which ends a text in SQL and on a command line. */
const unstorable = /[\0\p{Surrogate}]/u

/**
 * Tells whether a value is a valid name of a workflow or id of a run: 1 to 1000 characters, without NUL and halves of surrogate
 * pairs.
 */
export const isId = (id: unknown): id is string =>
  typeof id === "string" &&
  id !== "" &&
  !unstorable.test(id) &&
  (id.length <= longestId || (id.length <= 2 * longestId && [...id].length <= longestId))

/** Formats an id for an error message. */
export const shownId = (id: unknown): string => {
  const shown = JSON.stringify(id) ?? String(id)
  return shown.length <= 200 ? shown : `${shown.slice(0, 200)}…`
}

/** The id of a node, as stored by {@link keptId}. */
export type NodeId = string

const escapeUnit = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A backslash that could be mistaken for an escape of {@link storable}. */
const readsEscaped = /\\(?=u(?:0000|005c|d[89a-f][0-9a-f]{2}))/g

/**
 * Escapes a text for databases, files and command lines. Halves of surrogate pairs and NUL become `\ud83d` and `\u0000`, and a
 * backslash before such a sequence becomes `\u005c`. Other texts stay as they are, and different texts stay different.
 */
export const storable = (text: string): string =>
  unstorable.test(text) || text.includes("\\u")
    ? text.replaceAll(readsEscaped, escapeUnit).replaceAll(new RegExp(unstorable, "gu"), escapeUnit)
    : text

/** The suffix of ids of compensations, which no author's id has. */
export const compensationSuffix = "~compensate"

/** The id under which a judge of a step's output has its conversations and charges: `<node>~scorer~<name>`. */
export const scorerId = (nodeId: NodeId, scorer: string): NodeId => storable(`${nodeId}~scorer~${scorer}`)

/** The suffix of ids of the timers of scopes, which no author's id has. */
const timeoutSuffix = "~timeout"

/** The id of the timer of a scope. */
export const timeoutId = (scope: NodeId): NodeId => `${scope}${timeoutSuffix}`

/** The scope of a timer node; `undefined` for any other node. */
export const scopeOfTimeout = (nodeId: NodeId): NodeId | undefined =>
  nodeId.endsWith(timeoutSuffix) ? nodeId.slice(0, -timeoutSuffix.length) : undefined

/** The id of the timer that delays a run's start. */
export const startId: NodeId = "~start"

const removalSuffix = "~remove"

/** The id of the step that removes a worktree. */
export const removalId = (worktree: NodeId): NodeId => `${worktree}${removalSuffix}`

/** The id of the worktree that a step removes. */
export const worktreeOfRemoval = (nodeId: NodeId): NodeId => nodeId.slice(0, -removalSuffix.length)

/** The parts of a region in a sandbox, besides its steps. */
export type SandboxPart = "open" | "patch" | "review" | "apply" | "close" | "sandbox"

/** The id of a part of a region in a sandbox. */
export const sandboxPartId = (sandbox: NodeId, part: SandboxPart): NodeId => `${sandbox}~${part}`

/** The id of the sandbox of a part. */
export const sandboxOfPart = (nodeId: NodeId): NodeId => nodeId.slice(0, nodeId.lastIndexOf("~"))

/** The id of the try around a worktree that is removed. */
export const removedId = (worktree: NodeId): NodeId => `${worktree}~removed`

/**
 * The id of a branch of a race, or of an item of a list: `<race>[<name>]`. In the name `%` and `]` are percent-encoded, so that
 * ids of different parts differ.
 */
export const partId = (around: NodeId, key: string): NodeId => storable(`${around}[${key.replaceAll(/[%\]]/g, percent)}]`)

/**
 * The id of a node in an item of a list, as commands and tests take it: `itemId("people", "ann", "ask")` is `people[ann].ask`.
 * Without a node it is the id of the item. `list` is the id of the list; of a list in an item, that is an `itemId`, too.
 */
export const itemId = (list: string, key: string | number, node?: string): NodeId => {
  const item = partId(list, String(key))
  return node === undefined ? item : storable(`${item}.${node}`)
}

/** The id of a part's race or list, by the id of the part; `undefined` if the id is not that of a part. */
export const groupOfPart = (partId: NodeId): NodeId | undefined => /^(.+)\[[^\]]*\]$/s.exec(partId)?.[1]

/**
 * Turns an author's text into the id of a node, in {@link storable} form. One `~` is appended if the text ends like an id of
 * the engine's own nodes, in `~compensate`, `~timeout`, `~remove` or `~removed`, or if it is `~start`. Different texts give different ids. Call it once, where the text is
 * read.
 */
export const keptId = (text: string): NodeId => {
  const id = storable(text)
  return /~(?:compensate|timeout|removed?)~*$|^~start~*$/.test(id) ? `${id}~` : id
}

/** Tells whether a value is a node id as {@link keptId} returns it, and not too long. */
export const isNodeId = (id: unknown): id is NodeId => isId(id) && !id.endsWith(compensationSuffix)

/** One node in one pass of its loop: `<nodeId>/<iteration>`. The iteration follows the last `/`. */
export type NodeKey = `${NodeId}/${number}`

/** Makes a {@link NodeKey}. `iteration` counts the passes of the node's innermost loop over the whole run, from 0. */
export const nodeKey = (nodeId: NodeId, iteration: number): NodeKey => `${nodeId}/${iteration}`

/** Splits a {@link NodeKey}. */
export const parseNodeKey = (key: NodeKey): { readonly nodeId: NodeId; readonly iteration: number } => {
  const at = key.lastIndexOf("/")
  return { nodeId: key.slice(0, at), iteration: Number(key.slice(at + 1)) }
}

/** The digest that replaces the end of a cut text: 128 bits, against deliberate collisions. */
const shortDigest = (text: string): string => digest(text).slice(0, 32)

/** Cuts a text to `longest` characters. A cut text ends in `%` and a digest of the whole. */
export const abbreviated = (text: string, longest: number): string => {
  if (text.length <= longest) return text
  const end = `%${shortDigest(text)}`
  return text.slice(0, longest - end.length).toWellFormed() + end
}

const percent = (text: string): string => `%${text.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`

/** Longest id of a child run, in characters; a longer one is cut. */
const longestChildId = 400

/**
 * The id of a child run: `<run>~<node>~<iteration>`, plus `~<generation>` if the node was reset. The same node starts the same
 * run after a crash. In the node's id `~` and `%` are percent-encoded, and the first digit of an id of digits only, so that ids
 * of different nodes differ. Long ids are cut, with a digest in place of the node.
 */
export const childRunId = (runId: string, nodeId: NodeId, iteration: number, generation = 0): string => {
  const node = nodeId.replaceAll(/[~%]/g, percent).replace(/^\d(?=\d*$)/, percent)
  const suffix = `${iteration}${generation === 0 ? "" : `~${generation}`}`
  const id = `${runId}~${node}~${suffix}`
  return id.length <= longestChildId ? id : `${id.slice(0, longestChildId / 2).toWellFormed()}~%${shortDigest(id)}~${suffix}`
}

/** Tells whether a text has the form of a child run's id. Other runs cannot be started under such an id. */
export const isChildRunId = (text: string): boolean => /~[^~]*[^~\d][^~]*~\d+(~\d+)?$/.test(text)

/**
 * The id of a later generation of a run that goes on as a new one: `<first>~g<generation>`, by the id of the first run. A long id is
 * cut, with a digest. Ids of child runs end in a number, so that the two never meet.
 */
export const generationId = (firstRunId: string, generation: number): string => {
  const id = `${firstRunId}~g${generation}`
  return id.length <= longestChildId
    ? id
    : `${firstRunId.slice(0, longestChildId / 2).toWellFormed()}~%${shortDigest(firstRunId)}~g${generation}`
}

/** Tells whether a text has the form of a {@link generationId}. */
export const isGenerationId = (text: string): boolean => /~g\d+$/.test(text)

/** Tells whether a text has the form of an id that the engine gives, to a child run or a later generation. No caller starts a run under it. */
export const isDerivedRunId = (text: string): boolean => isChildRunId(text) || isGenerationId(text)

/** Longest idempotency key, in characters. Payment providers accept 255. */
const longestKey = 255

const headerSafe = (text: string): string =>
  /^[\x21-\x24\x26-\x7e]*$/.test(text) ? text : text.replaceAll(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent)

/**
 * The idempotency key of a step: `<run>:<step>:<iteration>`, the same for all its attempts, plus `:<generation>` if a finished
 * step is run again. Printable ASCII of at most 255 characters, as in HTTP headers: other characters, and each `:` in the run's
 * id, are percent-encoded. A longer key is cut, with a digest at the end. Keys of different steps differ.
 */
export const idempotencyKey = (runId: string, nodeId: NodeId, iteration: number, generation = 0): string => {
  const run = headerSafe(runId).replaceAll(":", percent)
  // Keeps a step whose id ends in a number apart from the generation of another.
  const step = headerSafe(nodeId).replace(/:(?=\d+$)/, percent)
  const key = `${run}:${step}:${iteration}${generation === 0 ? "" : `:${generation}`}`
  return abbreviated(key, longestKey)
}

/**
 * Joins several parts into one key, as JSON: different lists of parts give different keys, whatever characters the parts
 * contain. Use it for every key made of texts that users choose.
 */
export const compositeKey = (...parts: ReadonlyArray<string | number>): string => JSON.stringify(parts)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

/**
 * Generates a run id: six characters of time (seconds, base 36, so that ids sort by age), a dash, and 40 random bits. Short,
 * because every row of the run repeats it; readable, because people type its first characters.
 */
export const generateRunId: Effect.Effect<string> = Effect.gen(function* () {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  let id = `${seconds.toString(36).padStart(6, "0")}-`
  for (let half = 0; half < 2; half++) {
    let bits = yield* Random.nextIntBetween(0, alphabet.length ** 4)
    for (let index = 0; index < 4; index++) {
      id += alphabet[bits % alphabet.length]
      bits = Math.floor(bits / alphabet.length)
    }
  }
  return id
})
