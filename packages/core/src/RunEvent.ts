/**
 * Everything that can happen to a run, in the past tense. Events are the only way a run changes: they are folded into the
 * `RunState`, committed with their frame, and kept as the log. `AttemptSucceeded.output`, `RunStarted.input`,
 * `RunFinished.output` and the turns of agents are stored in the tables made for them, and the log does not repeat them.
 */
import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import { ErrorInfo, RunFailure } from "./Errors.ts"

/** Stored JSON: absent where the schema's value has no JSON form (`Schema.Void`). */
const Stored = Schema.optional(Schema.Unknown)

const node = { nodeId: Schema.String, iteration: Schema.Number }
const attempt = { ...node, attempt: Schema.Number }

/** What was said to agents in the attempt, and what they replied. */
const turns = Schema.optional(Schema.Array(AgentTurn))

export const RunStarted = Schema.TaggedStruct("RunStarted", {
  workflow: Schema.String,
  version: Schema.optional(Schema.String),
  input: Stored,
})

/** A process took up a run that was started before. The counts compare its plan with what is stored. */
export const RunResumed = Schema.TaggedStruct("RunResumed", {
  epoch: Schema.Number,
  kept: Schema.Number,
  added: Schema.Number,
  gone: Schema.Number,
})

/** The plan differs from that of the frame before. Lists hold node ids. */
export const PlanChanged = Schema.TaggedStruct("PlanChanged", {
  mounted: Schema.Array(Schema.String),
  unmounted: Schema.Array(Schema.String),
  changed: Schema.Array(Schema.String),
})

export const AttemptStarted = Schema.TaggedStruct("AttemptStarted", attempt)

/** `output` is the stored form; `table` is where the store keeps it. */
export const AttemptSucceeded = Schema.TaggedStruct("AttemptSucceeded", {
  ...attempt,
  table: Schema.String,
  output: Stored,
  /** The output was taken over from an earlier run. */
  isCached: Schema.optional(Schema.Boolean),
  turns,
})

/** `retryAt` (epoch ms) is when the next attempt is due; without it the node has failed for good, softly if `soft`. */
export const AttemptFailed = Schema.TaggedStruct("AttemptFailed", {
  ...attempt,
  error: ErrorInfo,
  retryAt: Schema.optional(Schema.Number),
  soft: Schema.optional(Schema.Boolean),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
})

/** An attempt ended without a result. Only `crash` counts towards a crash loop; none uses up a retry. */
export const AttemptInterrupted = Schema.TaggedStruct("AttemptInterrupted", {
  ...attempt,
  reason: Schema.Literal("crash", "shutdown", "fail-fast", "cancelled"),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
})

/** The node failed without an attempt of its own: a predicate threw, or it was running at too many crashes. */
export const NodeFailed = Schema.TaggedStruct("NodeFailed", { ...node, error: ErrorInfo, soft: Schema.optional(Schema.Boolean) })

export const NodeSkipped = Schema.TaggedStruct("NodeSkipped", node)

/** A failed or incompatible node is to run again, with a fresh budget. */
export const NodeReset = Schema.TaggedStruct("NodeReset", node)

/** A loop began pass number `pass` (from 0); `iteration` of the nodes inside is `base + pass`. */
export const LoopAdvanced = Schema.TaggedStruct("LoopAdvanced", { ...node, base: Schema.Number, pass: Schema.Number })

export const LoopFinished = Schema.TaggedStruct("LoopFinished", { ...node, reason: Schema.Literal("until", "maxIterations") })

export const CancelRequested = Schema.TaggedStruct("CancelRequested", { reason: Schema.optional(Schema.String) })

export const RunFinished = Schema.TaggedStruct("RunFinished", { output: Stored })

export const RunFailed = Schema.TaggedStruct("RunFailed", { failure: RunFailure })

export const RunCancelled = Schema.TaggedStruct("RunCancelled", { reason: Schema.optional(Schema.String) })

/** Any event of a run. */
export const RunEvent = Schema.Union(
  RunStarted,
  RunResumed,
  PlanChanged,
  AttemptStarted,
  AttemptSucceeded,
  AttemptFailed,
  AttemptInterrupted,
  NodeFailed,
  NodeSkipped,
  NodeReset,
  LoopAdvanced,
  LoopFinished,
  CancelRequested,
  RunFinished,
  RunFailed,
  RunCancelled,
)
export type RunEvent = typeof RunEvent.Type
