/**
 * Detects agents that repeat themselves: the same call of a tool, or the same few calls in turn, with the same results. The model is
 * told of it first; if that does not help, the agent is stopped. Pure: whoever makes the calls keeps the state.
 *
 * Results count, since a call whose result changes makes progress: a test that is run after each edit, a log that grows.
 */

import * as Bounds from "@smithers/core/Bounds"
import * as Digest from "@smithers/core/Digest"
import * as Later from "@smithers/core/Later"
import * as Schema from "effect/Schema"

/** Repetitions after which the model is told, and after which the agent is stopped. */
export const nudgeAfter = 3
export const stopAfter = Bounds.limitOf("repetitions")

/** The longest sequence of calls whose repetition is detected. */
export const longestCycle = 3

/** A call of a tool that has ended. */
export interface EndedCall {
  readonly tool: string
  readonly input: unknown
  /** The result, or the message of the error. */
  readonly result: unknown
  /** Text by which calls are the same, instead of their input. */
  readonly loopKey?: string | undefined
  /** `true` for a call that may be repeated, such as one that waits for a change. It ends a repetition. Default: false. */
  readonly isExempt?: boolean | undefined
}

/** Digests of the last calls that count, latest last. */
export type State = ReadonlyArray<string>

/** The state before the first call. */
export const initial: State = []

export type Verdict =
  | { readonly _tag: "Continue" }
  /** The model is to be told. */
  | { readonly _tag: "Nudge"; readonly text: string }
  /** The agent is to be stopped. */
  | { readonly _tag: "Stop"; readonly stalled: AgentStalled }

/** An agent that was stopped, since it repeated itself. Another agent may do better; the same one would not. */
export class AgentStalled extends Later.TaggedError<AgentStalled>()("AgentStalled", {
  /** The tools of the repeated calls, in order. */
  tools: Schema.Array(Schema.String),
  times: Schema.Number,
}) {
  /** Read by the classification of errors. */
  readonly isRetryable: boolean = false
  override get message(): string {
    return `stalled: it made ${namesOf(this.tools)} ${this.times} times in a row, with the same result each time. Its instructions or tools have to change; a tool that is meant to be repeated declares isPolling or a loopKey.`
  }
}

const continued: Verdict = { _tag: "Continue" }

const namesOf = (tools: ReadonlyArray<string>): string =>
  tools.length === 1 ? `the same call of ${tools[0]}` : `the same calls of ${tools.join(", ")}`

/** Adds a call, and says what becomes of its agent. */
export const observe = (state: State, call: EndedCall): { readonly state: State; readonly verdict: Verdict } => {
  if (call.isExempt === true) return { state: initial, verdict: continued }
  const { tool, input, result, loopKey } = call
  // The tool stays readable, for the message.
  const fingerprint = `${tool}\n${Digest.ofValue([loopKey ?? input ?? null, loopKey !== undefined, result ?? null])}`
  const next = [...state, fingerprint].slice(-stopAfter * longestCycle)
  const { cycle, times } = repetitionOf(next)
  const tools = cycle.map((one) => one.slice(0, one.lastIndexOf("\n")))
  if (times >= stopAfter) return { state: next, verdict: { _tag: "Stop", stalled: new AgentStalled({ tools, times }) } }
  if (times < nudgeAfter) return { state: next, verdict: continued }
  return { state: next, verdict: { _tag: "Nudge", text: nudgeText(tools, times) } }
}

/** The shortest sequence with which the calls end, and that is repeated often enough to count. */
const repetitionOf = (state: State): { readonly cycle: ReadonlyArray<string>; readonly times: number } => {
  for (let length = 1; length <= longestCycle; length++) {
    const cycle = state.slice(-length)
    let times = 1
    while (isSame(cycle, state.slice(-length * (times + 1), -length * times))) times++
    if (times >= nudgeAfter) return { cycle, times }
  }
  return { cycle: state.slice(-1), times: 1 }
}

const isSame = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): boolean =>
  left.length === right.length && left.every((one, index) => one === right[index])

const nudgeText = (tools: ReadonlyArray<string>, times: number): string =>
  `[You have made ${namesOf(tools)} ${times} times in a row, with the same result. Doing it again will not change it: try something else, or give your answer. After ${stopAfter} times you are stopped.]`

const mark = "notice"

/** Adds a notice to the result of a tool, as the model gets it. */
export const withNotice = (result: unknown, text: string): unknown =>
  typeof result === "string" ? `${result}\n\n${text}` : { result: result ?? null, [mark]: text }

const notice = `\\[You have made the same calls? of [^\\]]+ After ${stopAfter} times you are stopped\\.\\]$`
const appended = new RegExp(`\\n\\n(${notice})`)
const whole = new RegExp(`^${notice}`)

/** The notice that was added to a result, and the result without it. */
export const splitNotice = (result: unknown): { readonly result: unknown; readonly notice: string | undefined } => {
  if (typeof result === "string") return { result: result.replace(appended, ""), notice: appended.exec(result)?.[1] }
  if (typeof result !== "object" || result === null || Object.keys(result).join() !== `result,${mark}`)
    return { result, notice: undefined }
  const { result: before, notice: text } = result as { readonly result: unknown; readonly notice: unknown }
  return typeof text === "string" && whole.test(text) ? { result: before, notice: text } : { result, notice: undefined }
}
