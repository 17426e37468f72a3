/**
 * Differences between two moments of a run, between two runs, and between two attempts at a step. Pure, but for the readers.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ErrorInfo from "./ErrorInfo.ts"
import { NoSuchAttempt, type NoSuchMoment, type RunNotFound, type StoreError } from "./Errors.ts"
import type { Moment } from "./History.ts"
import { type NodeKey, nodeKey } from "./Ids.ts"
import * as PlanText from "./PlanText.ts"
import * as RunAt from "./RunAt.ts"
import * as RunLog from "./RunLog.ts"
import type { AttemptSummary, RunReaderShape } from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import type { RunStoreShape } from "./RunStore.ts"
import * as Status from "./Status.ts"

/** A difference within a JSON value. `path` leads to it: names of fields, and positions in lists as they were after. */
export const JsonChange = Schema.Struct({
  path: Schema.Array(Schema.Union(Schema.String, Schema.Number)),
  change: Schema.Literal("added", "removed", "changed"),
  before: Schema.optional(Schema.Unknown),
  after: Schema.optional(Schema.Unknown),
})
export type JsonChange = typeof JsonChange.Type

type Path = JsonChange["path"]

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } => typeof value === "object" && value !== null

const same = (before: unknown, after: unknown): boolean => {
  if (before === after) return true
  if (!isRecord(before) || !isRecord(after) || Array.isArray(before) !== Array.isArray(after)) return false
  const names = Object.keys(before)
  return (
    names.length === Object.keys(after).length &&
    names.every((name) => Object.hasOwn(after, name) && same(before[name], after[name]))
  )
}

/** Compares two JSON values by structure. `undefined` is no value. Lists are aligned by what they begin and end with. */
export const json = (before: unknown, after: unknown, path: Path = []): ReadonlyArray<JsonChange> => {
  if (same(before, after)) return []
  if (before === undefined) return [{ path, change: "added", after }]
  if (after === undefined) return [{ path, change: "removed", before }]
  if (Array.isArray(before) && Array.isArray(after)) return lists(before, after, path)
  if (!isRecord(before) || !isRecord(after) || Array.isArray(before) || Array.isArray(after))
    return [{ path, change: "changed", before, after }]
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) =>
    json(Object.hasOwn(before, name) ? before[name] : undefined, Object.hasOwn(after, name) ? after[name] : undefined, [
      ...path,
      name,
    ]),
  )
}

const lists = (before: ReadonlyArray<unknown>, after: ReadonlyArray<unknown>, path: Path): ReadonlyArray<JsonChange> => {
  const least = Math.min(before.length, after.length)
  let begin = 0
  while (begin < least && same(before[begin], after[begin])) begin++
  let end = 0
  while (end < least - begin && same(before[before.length - 1 - end], after[after.length - 1 - end])) end++
  const [old, now] = [before.slice(begin, before.length - end), after.slice(begin, after.length - end)]
  return Array.from({ length: Math.max(old.length, now.length) }).flatMap((_, index) =>
    json(old[index], now[index], [...path, begin + index]),
  )
}

/** The prompts of an attempt's calls of agents, and their replies. */
const Turns = Schema.Struct({ prompts: Schema.Array(Schema.String), replies: Schema.Array(Schema.String) })
type Turns = typeof Turns.Type

const Side = Schema.Struct({
  status: Status.NodeStatus,
  attempt: Schema.Number,
  error: Schema.NullOr(Schema.String),
  turns: Turns,
})

/** A node that differs. `before` and `after` are `null` where it has no record. */
export const NodeDifference = Schema.Struct({
  nodeId: Schema.String,
  iteration: Schema.Number,
  before: Schema.NullOr(Side),
  after: Schema.NullOr(Side),
  output: Schema.Array(JsonChange),
})
export type NodeDifference = typeof NodeDifference.Type

const ids = Schema.Array(Schema.String)
/** A run as of a frame, committed at `at` (epoch ms); `null` before its first event. */
const RunSide = Schema.Struct({
  runId: Schema.String,
  frame: Schema.Number,
  at: Schema.NullOr(Schema.Number),
  status: Status.ShownStatus,
})

/** The differences between two runs, each as of a moment. */
export const Comparison = Schema.Struct({
  before: RunSide,
  after: RunSide,
  plan: Schema.Struct({ added: ids, removed: ids, changed: ids }),
  input: Schema.Array(JsonChange),
  output: Schema.Array(JsonChange),
  /** Nodes that differ in status, attempt, error, output, prompts or replies. Their times are not compared. */
  nodes: Schema.Array(NodeDifference),
})
export type Comparison = typeof Comparison.Type

type Reader = Pick<RunStoreShape, "load"> & Pick<RunReaderShape, "plan" | "events" | "inspect">

/** A run, by default as of now. */
export type RunName = { readonly runId: string } & Partial<Record<"frame" | "seq", number>>

interface Loaded {
  readonly run: RunAt.RunAt
  readonly attempts: ReadonlyArray<AttemptSummary>
}

const loaded = (
  storage: Reader,
  { runId, frame, seq }: RunName,
): Effect.Effect<Loaded, StoreError | RunNotFound | NoSuchMoment> => {
  const moment: Moment | undefined = frame !== undefined ? { frame } : seq !== undefined ? { seq } : undefined
  return Effect.zipWith(RunAt.read(storage, runId, moment), storage.inspect(runId), (run, { attempts }) => ({ run, attempts }))
}

/** Compares two runs, or two moments of one. Fails with `NoSuchMoment` if a run has not got there. */
export const runs = (
  storage: Reader,
  before: RunName,
  after: RunName,
): Effect.Effect<Comparison, StoreError | RunNotFound | NoSuchMoment> =>
  Effect.zipWith(loaded(storage, before), loaded(storage, after), compare)

const noTurns: Turns = { prompts: [], replies: [] }

const turnsOf = ({ turns }: Pick<AttemptSummary, "turns">): Turns => ({
  prompts: turns.map(({ prompt }) => prompt),
  replies: turns.flatMap(({ reply }) => (reply === undefined ? [] : [reply])),
})

const sidesOf = ({
  run,
  attempts,
}: Loaded): ReadonlyMap<NodeKey, { readonly side: typeof Side.Type; readonly output: unknown }> => {
  const ended = new Map(
    attempts.flatMap((attempt) =>
      attempt.finishedAt === null || run.at === null || attempt.finishedAt > run.at
        ? []
        : [[`${nodeKey(attempt.nodeId, attempt.iteration)} ${attempt.attempt}`, attempt] as const],
    ),
  )
  return new Map(
    run.nodes.map(({ nodeId, iteration, status, attempt, error, output }) => {
      const key = nodeKey(nodeId, iteration)
      const made = ended.get(`${key} ${attempt}`)
      const turns = made === undefined ? noTurns : turnsOf(made)
      return [key, { side: { status, attempt, error: error === null ? null : ErrorInfo.text(error), turns }, output }] as const
    }),
  )
}

const compare = (before: Loaded, after: Loaded): Comparison => {
  const changes = PlanText.diff(PlanText.decode(before.run.plan), PlanText.decode(after.run.plan))
  const [old, now] = [sidesOf(before), sidesOf(after)]
  const places = new Map([...after.run.nodes, ...before.run.nodes].map((node) => [nodeKey(node.nodeId, node.iteration), node]))
  const nameOf = ({ run: { runId, frame, at, status } }: Loaded) => ({ runId, frame, at, status })
  return {
    before: nameOf(before),
    after: nameOf(after),
    plan: {
      added: PlanText.changed(changes, "added"),
      removed: PlanText.changed(changes, "removed"),
      changed: PlanText.changed(changes, "changed"),
    },
    input: json(before.run.input, after.run.input),
    output: json(before.run.output, after.run.output),
    nodes: [...places].flatMap(([key, { nodeId, iteration }]): ReadonlyArray<NodeDifference> => {
      const [was, is] = [old.get(key), now.get(key)]
      const output = json(was?.output, is?.output)
      if (output.length === 0 && same(was?.side, is?.side)) return []
      return [{ nodeId, iteration, before: was?.side ?? null, after: is?.side ?? null, output }]
    }),
  }
}

/** An attempt at a step. */
export interface AttemptsName {
  readonly runId: string
  readonly nodeId: string
  /** Default: 0. */
  readonly iteration?: number
  readonly attempts: readonly [before: number, after: number]
}

/** Compares two attempts at a step. Fails with `NoSuchAttempt` if the step has no such attempt that ended. */
export const attempts = (
  storage: Reader,
  { runId, nodeId, iteration = 0, attempts: [first, second] }: AttemptsName,
): Effect.Effect<NodeDifference, StoreError | RunNotFound | NoSuchAttempt> =>
  Effect.gen(function* () {
    const details = yield* storage.inspect(runId)
    const sideOf = Effect.fnUntraced(function* (number: number) {
      const found = details.attempts.find((one) => one.nodeId === nodeId && one.iteration === iteration && one.attempt === number)
      if (found === undefined) {
        const mine = details.attempts.filter((one) => one.nodeId === nodeId)
        return yield* new NoSuchAttempt({
          runId,
          nodeId,
          iteration,
          attempt: number,
          known: mine.filter((one) => one.iteration === iteration).map((one) => one.attempt),
        })
      }
      const status = ({ succeeded: "finished", failed: "failed", interrupted: "interrupted", running: "running" } as const)[
        found.status
      ]
      const error = found.error === null ? null : ErrorInfo.text(found.error)
      // An output that was replaced since is that of its event.
      const logged = yield* Stream.runHead(
        Stream.filter(
          RunLog.read(storage, runId),
          ({ event }) =>
            event._tag === "AttemptSucceeded" &&
            event.nodeId === nodeId &&
            event.iteration === iteration &&
            event.attempt === number,
        ),
      )
      const output =
        logged._tag === "None"
          ? undefined
          : RunState.step(yield* storage.load(runId, { seq: logged.value.seq }), nodeId, iteration)?.output
      return { side: { status, attempt: number, error, turns: turnsOf(found) }, output }
    })
    const [before, after] = [yield* sideOf(first), yield* sideOf(second)]
    return { nodeId, iteration, before: before.side, after: after.side, output: json(before.output, after.output) }
  })
