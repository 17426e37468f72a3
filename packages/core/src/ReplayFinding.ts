/**
 * What today's code would have done otherwise in a recorded run: one finding for each node at which it departs from the recording.
 */
import * as Schema from "effect/Schema"
import { shownId } from "./Ids.ts"
import { WaitKind } from "./RunEvent.ts"

/** The frame of the recording in which the difference shows. */
const at = { frame: Schema.Number }
/** A node, in one iteration of the loop around it. */
const place = { ...at, nodeId: Schema.String, iteration: Schema.Number }
const texts = { was: Schema.NullOr(Schema.String), now: Schema.NullOr(Schema.String) }
const values = { was: Schema.Unknown, now: Schema.Unknown }

/** The input of the run does not match the schema. */
export const InputRefused = Schema.TaggedStruct("InputRefused", { ...at, issues: Schema.Array(Schema.String) })

/** The plan cannot be made. */
export const PlanFailed = Schema.TaggedStruct("PlanFailed", { ...at, problem: Schema.String })

/** An agent would be asked something else. */
export const PromptChanged = Schema.TaggedStruct("PromptChanged", {
  ...place,
  attempt: Schema.Number,
  was: Schema.String,
  now: Schema.String,
  /** `true` if only the required form of the answer differs, not the text of the author. */
  isForm: Schema.optional(Schema.Boolean),
})

/** Other agents would be asked. */
export const AgentsChanged = Schema.TaggedStruct("AgentsChanged", {
  ...place,
  was: Schema.Array(Schema.String),
  now: Schema.Array(Schema.String),
})

/** A constant of the plan, or the value of an answer or a signal, differs. */
export const ValueChanged = Schema.TaggedStruct("ValueChanged", { ...place, ...values })

/** The recorded output does not match the schema. */
export const OutputRefused = Schema.TaggedStruct("OutputRefused", { ...place, issues: Schema.Array(Schema.String) })

const Needs = Schema.Record({ key: Schema.String, value: Schema.String })

/** The step takes its values from other nodes: targets by the name of the need. */
export const NeedsChanged = Schema.TaggedStruct("NeedsChanged", { ...place, was: Needs, now: Needs })

/** A policy of the step decides otherwise about an attempt. */
export const PolicyChanged = Schema.TaggedStruct("PolicyChanged", {
  ...place,
  attempt: Schema.Number,
  policy: Schema.Literal("retry", "timeout", "continueOnFail"),
  was: Schema.String,
  now: Schema.String,
})

/** A person, or a signal, would be asked for otherwise. `null`: for nothing. */
export const RequestChanged = Schema.TaggedStruct("RequestChanged", { ...place, kind: WaitKind, ...values })

/** A timer fires, or a wait times out, at another time: milliseconds after it began, `null` for never. */
export const DueChanged = Schema.TaggedStruct("DueChanged", {
  ...place,
  kind: WaitKind,
  was: Schema.NullOr(Schema.Number),
  now: Schema.NullOr(Schema.Number),
})

/** A child run would get another input, or be of another workflow. */
export const ChildInputChanged = Schema.TaggedStruct("ChildInputChanged", { ...place, ...values })

/** The answer or the signal that came does not match the schema. */
export const AnswerRefused = Schema.TaggedStruct("AnswerRefused", { ...place, issues: Schema.Array(Schema.String) })

/** A wait ends otherwise. `null`: it stays open. */
export const WaitEndChanged = Schema.TaggedStruct("WaitEndChanged", { ...place, ...texts })

/** A branch takes another arm: the tasks in it. Empty for no arm. */
export const RouteChanged = Schema.TaggedStruct("RouteChanged", {
  ...at,
  was: Schema.Array(Schema.String),
  now: Schema.Array(Schema.String),
})

/** A node is skipped that was not, or the other way round. */
export const SkipChanged = Schema.TaggedStruct("SkipChanged", { ...place, isSkipped: Schema.Boolean })

/** A loop makes another number of passes; `null`: more than it made. */
export const LoopChanged = Schema.TaggedStruct("LoopChanged", {
  ...place,
  was: Schema.Number,
  now: Schema.NullOr(Schema.Number),
})

/** A list has other items: their keys. */
export const ItemsChanged = Schema.TaggedStruct("ItemsChanged", {
  ...at,
  nodeId: Schema.String,
  added: Schema.Array(Schema.String),
  removed: Schema.Array(Schema.String),
})

/** A scope, race, list, saga or try ends otherwise. `null`: it goes on. */
export const RegionChanged = Schema.TaggedStruct("RegionChanged", { ...place, ...texts })

/** A function of the author throws that did not, or something else. `now` is `null` if it throws no more. */
export const FunctionThrew = Schema.TaggedStruct("FunctionThrew", { ...place, ...texts })

/** A node would begin that the run never had. */
export const NodeAdded = Schema.TaggedStruct("NodeAdded", place)

/** A node would not begin that did. */
export const NodeGone = Schema.TaggedStruct("NodeGone", place)

/** The output of the run differs. */
export const OutputChanged = Schema.TaggedStruct("OutputChanged", { ...at, ...values })

/** The run ends otherwise. `null`: it does not end. */
export const OutcomeChanged = Schema.TaggedStruct("OutcomeChanged", { ...at, ...texts })

/**
 * Two evaluations of the same code differ from each other: it depends on the time, on chance, or on something else outside the run.
 * `first` and `second` are the two findings; absent if one evaluation was as recorded.
 */
const Unsteady = Schema.TaggedStruct("Unsteady", { ...at, about: Schema.String, first: Schema.Unknown, second: Schema.Unknown })

/** A difference between the recording and today's code. */
export const Difference = Schema.Union(
  InputRefused,
  PlanFailed,
  PromptChanged,
  AgentsChanged,
  ValueChanged,
  OutputRefused,
  NeedsChanged,
  PolicyChanged,
  RequestChanged,
  DueChanged,
  ChildInputChanged,
  AnswerRefused,
  WaitEndChanged,
  RouteChanged,
  SkipChanged,
  LoopChanged,
  ItemsChanged,
  RegionChanged,
  FunctionThrew,
  NodeAdded,
  NodeGone,
  OutputChanged,
  OutcomeChanged,
)
export type Difference = typeof Difference.Type

/** A finding of a replay. */
export const ReplayFinding = Schema.Union(...Difference.members, Unsteady)
export type ReplayFinding = typeof ReplayFinding.Type

const shown = (value: unknown): string => {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing")
  return text.length > 200 ? `${text.slice(0, 200)} …` : text
}

const listed = (ids: ReadonlyArray<string>): string => (ids.length === 0 ? "none" : ids.map(shownId).join(", "))

const spanOf = (ms: number | null): string => (ms === null ? "never" : `after ${ms} ms`)

/** The first place in which two texts differ, with some text around it. */
const change = (was: string, now: string): string => {
  let from = 0
  while (from < was.length && from < now.length && was[from] === now[from]) from++
  let left = 0
  while (left < was.length - from && left < now.length - from && was.at(-1 - left) === now.at(-1 - left)) left++
  const start = Math.max(0, from - 30)
  const part = (text: string): string => JSON.stringify(shown(text.slice(start, Math.min(text.length, text.length - left + 30))))
  return `${start > 0 ? "… " : ""}${part(was)} → ${part(now)}`
}

/** Formats a finding as one line. */
export const describe = (finding: ReplayFinding): string => {
  const where = "nodeId" in finding ? `${shownId(finding.nodeId)}${iterationOf(finding)}` : ""
  switch (finding._tag) {
    case "InputRefused":
      return `the input of the run is refused: ${finding.issues.join("; ")}`
    case "PlanFailed":
      return `the plan cannot be made: ${finding.problem}`
    case "PromptChanged":
      return `${where}: ${finding.isForm === true ? "the required form of the answer" : "the prompt"} differs: ${change(finding.was, finding.now)}`
    case "AgentsChanged":
      return `${where}: asks ${finding.now.join(", ")} instead of ${finding.was.join(", ")}`
    case "ValueChanged":
      return `${where}: the value differs: ${shown(finding.was)} → ${shown(finding.now)}`
    case "OutputRefused":
      return `${where}: the recorded output is refused: ${finding.issues.join("; ")}`
    case "NeedsChanged":
      return `${where}: the needs differ: ${shown(finding.was)} → ${shown(finding.now)}`
    case "PolicyChanged":
      return `${where}, attempt ${finding.attempt}: "${finding.policy}" decides otherwise: ${finding.was} → ${finding.now}`
    case "RequestChanged":
      return `${where}: the ${finding.kind} asked for differs: ${shown(finding.was)} → ${shown(finding.now)}`
    case "DueChanged":
      return `${where}: the ${finding.kind === "timer" ? "timer fires" : "wait times out"} ${spanOf(finding.now)}, not ${spanOf(finding.was)}`
    case "ChildInputChanged":
      return `${where}: the input of the child run differs: ${shown(finding.was)} → ${shown(finding.now)}`
    case "AnswerRefused":
      return `${where}: what came is refused: ${finding.issues.join("; ")}`
    case "WaitEndChanged":
      return `${where}: the wait ends otherwise: ${finding.was ?? "open"} → ${finding.now ?? "open"}`
    case "RouteChanged":
      return `another arm is taken: ${listed(finding.was)} → ${listed(finding.now)}`
    case "SkipChanged":
      return finding.isSkipped ? `${where}: is skipped, and was not` : `${where}: would run, and was skipped`
    case "LoopChanged":
      return `${where}: makes ${finding.now === null ? "more" : finding.now} passes instead of ${finding.was}`
    case "ItemsChanged": {
      const parts = [
        ...(finding.added.length === 0 ? [] : [`new ${listed(finding.added)}`]),
        ...(finding.removed.length === 0 ? [] : [`gone ${listed(finding.removed)}`]),
      ]
      return `${where}: the items differ: ${parts.join("; ")}`
    }
    case "RegionChanged":
      return `${where}: ends otherwise: ${finding.was ?? "goes on"} → ${finding.now ?? "goes on"}`
    case "FunctionThrew":
      return finding.now === null ? `${where}: threw, and throws no more: ${finding.was}` : `${where}: throws: ${finding.now}`
    case "NodeAdded":
      return `${where}: a new node would run here`
    case "NodeGone":
      return `${where}: would not run`
    case "OutputChanged":
      return `the output of the run differs: ${shown(finding.was)} → ${shown(finding.now)}`
    case "OutcomeChanged":
      return `the run ends otherwise: ${finding.was ?? "not at all"} → ${finding.now ?? "not at all"}`
    case "Unsteady":
      return `${finding.about}: differs from itself: two evaluations gave two values. It must not depend on the time or on chance`
  }
}

const iterationOf = (finding: ReplayFinding): string =>
  "iteration" in finding && finding.iteration > 0 ? ` (iteration ${finding.iteration})` : ""
