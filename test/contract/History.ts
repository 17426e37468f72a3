/**
 * Runs as a store sees them: a journal that commits frames as an engine would, and random histories that an engine could have.
 */
import * as Changes from "@smithers/core/Changes"
import type { Json, JsonSchema } from "@smithers/core/Codec"
import { type RunFailure, StepFailed } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { NewRun } from "@smithers/core/RunOwnership"
import * as RunState from "@smithers/core/RunState"
import type { Frame, OutputTable } from "@smithers/core/RunStore"
import { Storage, type StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"

/** When the runs of the suite begin, in epoch milliseconds; each frame comes a second after the one before. */
export const start = Millis.make(1_700_000_000_000)

/** So many milliseconds after {@link start}. */
export const later = (ms: number): Millis.Millis => Millis.make(start + ms)

export const leaseMs = Millis.make(30_000)

export const newRun: NewRun = { workflow: "flow", version: "1", input: { repo: "acme/api" }, tags: ["nightly"] }

/** Writes the frames of one run and folds its events, as its owner does. */
interface Journal {
  readonly runId: string
  readonly state: () => RunState.RunState
  /** The time of the next frame. */
  readonly now: () => Millis.Millis
  readonly commit: (events: ReadonlyArray<RunEvent>, extra?: Partial<Frame>) => ReturnType<StorageShape["commit"]>
  /** Claims the run again, as another process would once the lease is over. */
  readonly claim: (reopen?: ReadonlyArray<"failed" | "cancelled">) => Effect.Effect<void, unknown>
}

/** Creates a run and its journal. */
export const journal = (runId: string, create: NewRun = newRun, at = start) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const opened = yield* storage.open({ runId, create, reopen: [], leaseMs, now: at })
    if (opened._tag !== "Created") throw new Error(`run ${runId} was not created: ${opened._tag}`)
    let epoch = opened.epoch
    let state = RunState.empty(runId)
    let now = at
    const commit: Journal["commit"] = (events, extra = {}) => {
      now = Millis.make(now + 1000)
      const next = events.reduce((folded, event) => RunState.apply(folded, event, now), state)
      const frame: Frame = {
        runId,
        epoch,
        frame: state.frame + 1,
        firstSeq: state.seq + 1,
        at: now,
        events,
        changes: Changes.of(next),
        plan: undefined,
        cache: [],
        consumed: [],
        ...extra,
      }
      return Effect.map(storage.commit(frame), () => {
        state = RunState.committed(next, frame.frame)
      })
    }
    const claim: Journal["claim"] = (reopen = []) =>
      Effect.map(storage.open({ runId, create: undefined, reopen, leaseMs, now: Millis.after(now, leaseMs) }), (again) => {
        if (again._tag !== "Claimed") throw new Error(`run ${runId} was not claimed: ${again._tag}`)
        epoch = again.epoch
      })
    const made: Journal = { runId, state: () => state, now: () => now, commit, claim }
    return made
  })

/** The event that begins a run. */
export const started: RunEvent = { _tag: "RunStarted", workflow: "flow", version: "1", input: { repo: "acme/api" } }

/** The events of one attempt that succeeds. */
export const step = (nodeId: string, table: string, output: Json | undefined, iteration = 0): ReadonlyArray<RunEvent> => {
  const at = { nodeId, iteration, attempt: 1 }
  return [
    { _tag: "AttemptStarted", ...at },
    { _tag: "AttemptSucceeded", ...at, table, ...(output === undefined ? {} : { output }) },
  ]
}

/** A state as plain data, in which equal states are equal whatever the order in which they came to be. */
export const plain = (state: RunState.RunState) => ({
  ...state,
  nodes: Object.fromEntries([...state.nodes].sort()),
  unfinished: [...state.unfinished].sort(),
  loopPasses: Object.fromEntries([...state.loopPasses].sort()),
})

const schema = (properties: { readonly [name: string]: JsonSchema }, required: ReadonlyArray<string> = []): JsonSchema => ({
  type: "object",
  properties,
  required,
})

/** Tables of every kind. Any output may come to any of them: a store keeps it, whatever the JSON Schema says. */
export const tables: ReadonlyArray<OutputTable & { readonly nodeId: undefined }> = [
  { name: "untyped", jsonSchema: undefined, nodeId: undefined },
  { name: "text", jsonSchema: { type: "string" }, nodeId: undefined },
  { name: "nothing", jsonSchema: { type: ["number", "null"] }, nodeId: undefined },
  {
    name: "record",
    jsonSchema: schema(
      {
        a: { type: "string" },
        b: { type: "integer" },
        c: { type: "boolean" },
        d: { type: "number" },
        e: {},
        f: { anyOf: [{ type: "string" }, { type: "null" }] },
      },
      ["a", "b", "c", "d", "f"],
    ),
    nodeId: undefined,
  },
  {
    name: "loose",
    jsonSchema: schema({ a: { type: "string" }, b: { type: ["boolean", "null"] }, f: { type: "array" } }),
    nodeId: undefined,
  },
]

/** Text that is hard to keep: quotes, NUL, halves of surrogate pairs, characters beyond the first plane. */
const hostileText: FastCheck.Arbitrary<string> = FastCheck.oneof(
  FastCheck.constantFrom("", "'", '"', "`;--", "\0", "a\0b", "\ud800", "x\udc00y", "😀", "\uffff", "null", "undefined", "0", "{}"),
  FastCheck.string({ unit: "binary" }),
)

const anyJson: FastCheck.Arbitrary<Json> = FastCheck.letrec<{ readonly json: Json }>((tie) => ({
  json: FastCheck.oneof(
    { maxDepth: 3, depthSize: "small" },
    hostileText,
    FastCheck.constantFrom<Json>(
      null,
      true,
      false,
      0,
      -0,
      1,
      -1,
      0.1,
      2 ** 31,
      2 ** 53,
      2 ** 62,
      -(2 ** 63),
      2 ** 64,
      1e300,
      5e-324,
    ),
    FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
    FastCheck.array(tie("json"), { maxLength: 4 }),
    FastCheck.dictionary(FastCheck.oneof(hostileText, FastCheck.constantFrom("a", "b", "A", "run_id")), tie("json"), {
      maxKeys: 4,
    }),
    tie("json").map((value) => JSON.parse(`{"__proto__": ${JSON.stringify(value)}}`) as Json),
  ),
})).json

const fittingRecord: FastCheck.Arbitrary<Json> = FastCheck.record(
  {
    a: hostileText,
    b: FastCheck.oneof(FastCheck.integer(), FastCheck.maxSafeInteger(), FastCheck.constant(-0)),
    c: FastCheck.boolean(),
    d: FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
    e: anyJson,
    f: FastCheck.option(hostileText, { nil: null }),
  },
  { requiredKeys: ["a", "b", "c", "d", "f"] },
)

/** Outputs of every kind, and none. */
export const output: FastCheck.Arbitrary<Json | undefined> = FastCheck.oneof(anyJson, fittingRecord, FastCheck.constant(undefined))

/** A failure as it is stored. */
export const failure: RunFailure = new StepFailed({
  runId: "run",
  nodeId: "a",
  iteration: 0,
  attempts: 4,
  error: { name: "Error", message: "no 'luck'\0", retryable: true },
})

/** One decision of a random history: which node, what happens to it, and with which output. */
export interface Choice {
  readonly node: number
  readonly roll: number
  readonly output: Json | undefined
  /** Whether the frame ends here. */
  readonly isCut: boolean
}

export const choices: FastCheck.Arbitrary<ReadonlyArray<Choice>> = FastCheck.array(
  FastCheck.record({ node: FastCheck.nat(7), roll: FastCheck.nat(59), output, isCut: FastCheck.boolean() }),
  { minLength: 1, maxLength: 60 },
)

/** Events that may say what was read. */
const reading: ReadonlySet<string> = new Set([
  ...[
    "AttemptStarted",
    "AttemptSucceeded",
    "WaitStarted",
    "WaitEnded",
    "NodeSkipped",
    "LoopAdvanced",
    "LoopMounted",
    "LoopFinished",
  ],
])

/** What may happen next to a step or a loop, as a choice says. */
export const happen = (state: RunState.RunState, choice: Choice, now: number): RunEvent => {
  const event = happenBlindly(state, choice, now)
  const hasFailed = event._tag === "AttemptFailed" && event.retryAt === undefined
  if (!(reading.has(event._tag) || hasFailed) || choice.roll % 3 !== 1) return event
  return { ...event, reads: ["other/0", `other/${choice.roll}`] } as RunEvent
}

const happenBlindly = (state: RunState.RunState, { node, roll, output }: Choice, now: number): RunEvent => {
  if (node === 7)
    return state.pausedAt !== undefined ? { _tag: "RunUnpaused" } : { _tag: "RunPaused", ...(roll % 2 === 0 ? { by: "ann" } : {}) }
  if (node === 6) return boundaryEvent(state, `guard-${roll % 2}`, roll % 3, roll)
  if (node >= 4) return loopEvent(state, `loop-${node}`, roll % 2, roll)
  const [nodeId, iteration] = [`step-${node >> 1}`, node & 1]
  const record = RunState.step(state, nodeId, iteration)
  const at = { nodeId, iteration }
  const running = { ...at, attempt: record?.attempt ?? 0 }
  const error = { name: "Error", message: `roll ${roll}`, retryable: true, ...(roll % 4 === 0 ? { stack: "at x" } : {}) }
  const heartbeat = roll % 3 === 0 && output !== undefined ? { heartbeat: output } : {}
  switch (record?.status) {
    case "running":
      switch (roll % 5) {
        case 0:
          return { _tag: "AttemptFailed", ...running, error, retryAt: Millis.make(now + roll), ...heartbeat }
        case 1:
          return { _tag: "AttemptFailed", ...running, error, ...(roll % 2 === 0 ? { isSoft: true } : {}), ...heartbeat }
        case 2: {
          const reason = roll < 30 ? "crash" : ((["shutdown", "suspended", "cancelled"] as const)[roll % 3] ?? "crash")
          const progress = reason === "crash" && roll % 2 === 0 ? { hasProgress: true } : {}
          return { _tag: "AttemptInterrupted", ...running, reason, ...progress, ...heartbeat }
        }
        default: {
          // What undoes a step gives nothing.
          if (roll % 10 === 3) return { _tag: "AttemptSucceeded", ...running }
          const table = tables[roll % tables.length]?.name ?? ""
          const cached = roll % 7 === 0 ? { isCached: true } : {}
          return { _tag: "AttemptSucceeded", ...running, table, ...(output === undefined ? {} : { output }), ...cached }
        }
      }
    case "finished":
    case "failed":
    case "skipped":
      return { _tag: "NodeReset", ...at }
    case "waiting":
      if (roll % 10 === 8 && record.wait?.deadline !== undefined)
        return { _tag: "DeadlineMoved", ...at, deadline: Millis.after(record.wait.deadline, Millis.make(roll)) }
      return roll % 10 === 9 ? withdrawn(record, roll) : waitEvent(state, at, roll, output)
    case "retrying":
      if (roll % 5 === 0) return withdrawn(record, roll)
      return attemptStarted(at, running.attempt + 1, roll)
    default: {
      if (record?.status === "interrupted" && roll % 7 === 0) return withdrawn(record, roll)
      const kept = Records.keptWait(record)
      if (kept !== undefined && roll % 3 !== 0) return waitKept(at, kept, roll)
      if (roll % 13 === 0) return waitStarted(at, roll, output)
      if (roll % 17 === 0) {
        const sent = { id: `signal-${now}`, name: `name-${roll % 2}`, ...(roll < 30 ? { correlation: "c" } : {}) }
        return { _tag: "SignalReceived", ...sent, ...(output === undefined ? {} : { payload: output }) }
      }
      if (roll % 11 === 0) return { _tag: "NodeSkipped", ...at }
      if (roll % 19 === 0) return { _tag: "CodeReloaded", codeGeneration: roll % 4, kept: 1, added: 0, removed: 0 }
      if (roll % 5 === 0) return { _tag: "NodeFailed", ...at, error, ...(roll % 2 === 0 ? { isSoft: true } : {}) }
      return attemptStarted(at, running.attempt + 1, roll)
    }
  }
}

/** The code of a run may have been replaced. */
const attemptStarted = (at: Place, attempt: number, roll: number): RunEvent => ({
  _tag: "AttemptStarted",
  ...at,
  attempt,
  ...(roll % 3 === 0 ? { codeGeneration: (roll % 2) + 1 } : {}),
})

const withdrawn = ({ nodeId, iteration, wait }: Records.StepRecord, roll: number): RunEvent => {
  const reason = (["left-plan", "given-up", "superseded"] as const)[roll % 3] ?? "left-plan"
  const isKept = wait !== undefined && reason === "given-up" && roll % 2 === 1
  return { _tag: "NodeWithdrawn", nodeId, iteration, reason, ...(isKept ? { isKept } : {}) }
}

/** What was kept while the run was over goes on. */
const waitKept = (at: Place, { kind, request, digest, name, correlation }: Records.Wait, roll: number): RunEvent => ({
  _tag: "WaitStarted",
  ...at,
  kind,
  ...(request === undefined ? {} : { request }),
  ...(digest === undefined ? {} : { digest }),
  ...(name === undefined ? {} : { name }),
  ...(correlation === undefined ? {} : { correlation }),
  ...(roll % 3 === 0 ? { deadline: Millis.make(roll * 1000) } : {}),
  isKept: true,
})

type Place = { readonly nodeId: string; readonly iteration: number }

const waitStarted = (at: Place, roll: number, output: Json | undefined): RunEvent => {
  // An attempt asks for an approval, or waits for a limit to pass.
  const isOfAttempt = roll % 26 === 0
  const kinds = isOfAttempt ? (["approval", "quota"] as const) : (["approval", "human", "signal", "timer", "subflow"] as const)
  const kind = kinds[roll % kinds.length] ?? "timer"
  const request = output === undefined ? {} : { request: output, digest: `${roll}` }
  const signal =
    kind === "signal" ? { name: "n", ...(roll < 30 ? { correlation: "c" } : {}) } : kind === "subflow" ? { name: "c" } : {}
  return {
    _tag: "WaitStarted",
    ...at,
    kind,
    ...request,
    ...signal,
    ...(roll % 3 === 0 ? { deadline: Millis.make(roll * 1000) } : {}),
    ...(isOfAttempt ? { isOfAttempt } : {}),
  }
}

const waitEvent = (state: RunState.RunState, at: Place, roll: number, output: Json | undefined): RunEvent => {
  const by = roll % 2 === 0 ? { by: "ann" } : {}
  const wait = RunState.step(state, at.nodeId, at.iteration)?.wait
  const [signal] = state.signals
  const given = output === undefined ? {} : { output }
  switch (roll % 9) {
    case 7:
      return { _tag: "WaitEnded", ...at, reason: "decided", status: "passed", ...by }
    case 8: {
      if (roll % 2 === 0) return { _tag: "SubflowEnded", ...at, status: "finished", ...given }
      return { _tag: "SubflowEnded", ...at, status: "failed", error: { name: "StepFailed", message: "no", retryable: false } }
    }
    case 0:
      return waitStarted(at, roll + 1, output)
    case 1:
      return { _tag: "ApprovalDecided", ...at, approved: roll < 30, ...by, ...(roll % 3 === 0 ? { note: "n" } : {}) }
    case 2:
      return { _tag: "TaskAnswered", ...at, value: output ?? null, ...by }
    case 3:
      if (wait?.answers !== undefined) return { _tag: "AnswerRefused", ...at, issues: ["no"] }
      if (signal !== undefined) return { _tag: "SignalRefused", ...at, signalId: signal.id, issues: ["no"] }
      return { _tag: "NodeReset", ...at }
    case 4:
      return { _tag: "WaitEnded", ...at, reason: "timed-out", status: "skipped" }
    case 5:
      return {
        _tag: "WaitEnded",
        ...at,
        reason: "decided",
        status: "failed",
        error: { name: "ApprovalDenied", message: "no", retryable: false },
      }
    default: {
      const table = tables[roll % tables.length]?.name ?? ""
      const taken = signal === undefined ? {} : { signalId: signal.id }
      return {
        _tag: "WaitEnded",
        ...at,
        reason: "signalled",
        status: "finished",
        table,
        ...taken,
        ...given,
      }
    }
  }
}

const boundaryEvent = (state: RunState.RunState, nodeId: string, iteration: number, roll: number): RunEvent => {
  const at = { nodeId, iteration }
  const reasons = [
    { _tag: "Error", error: { name: "Error", message: "no 'luck'\0", retryable: true } },
    { _tag: "LoopLimit", maxIterations: 3 },
    { _tag: "EndlessPass", nodeIds: ["task-1"] },
    { _tag: "Unsettled", read: { nodeId: "a" } },
  ] as const
  switch (RunState.boundary(state, nodeId, iteration)?.status) {
    case undefined:
      return { _tag: "BoundaryStarted", ...at }
    case "running":
    case "halted": {
      const status = (["finished", "caught", "compensated", "failed"] as const)[roll % 4] ?? "failed"
      if (roll % 3 === 0) return { _tag: "BoundaryEnded", ...at, status }
      const reason = reasons[roll % 5]
      const cause = reason === undefined ? {} : { cause: { nodeId: "a", iteration: 1, reason } }
      return {
        _tag: "BoundaryHalted",
        ...at,
        ...cause,
        isCaught: roll % 2 === 0,
        ...(roll % 5 === 0 ? { isFinallySkipped: true } : {}),
      }
    }
    default:
      return { _tag: "NodeReset", ...at }
  }
}

const loopEvent = (state: RunState.RunState, nodeId: string, iteration: number, roll: number): RunEvent => {
  const record = RunState.loop(state, nodeId, iteration)
  const total = state.loopPasses.get(nodeId) ?? 0
  const base = record?.base ?? total
  if (record !== undefined && roll % 9 === 0) return { _tag: "NodeReset", nodeId, iteration }
  if (record !== undefined && record.passes > 0 && roll % 5 === 2) {
    const mounting = (record.mounting?.count ?? -1) + 1
    const first = record.mounting === undefined ? { initial: ["task-a"] } : {}
    const mounted = [`task-${roll % 7}`, 'it\'s "new"'].slice(0, 1 + (roll % 2))
    return {
      _tag: "LoopMounted",
      nodeId,
      iteration,
      ...first,
      mounted,
      mountCount: mounting,
      ...(roll % 4 === 1 ? { isOmitted: true } : {}),
    }
  }
  // A pass that is over is taken up again where something in it is to be done again.
  if (record !== undefined && record.passes > 0 && roll % 11 === 0) {
    return { _tag: "LoopAdvanced", nodeId, iteration, base: record.base, pass: record.passes - 1 }
  }
  const isOver = record?.status === "finished" || roll % 4 === 0
  if (isOver) return { _tag: "LoopFinished", nodeId, iteration, reason: roll % 2 === 0 ? "until" : "maxIterations" }
  return { _tag: "LoopAdvanced", nodeId, iteration, base, pass: record?.passes ?? 0 }
}
