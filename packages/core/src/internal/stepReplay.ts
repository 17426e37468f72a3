/**
 * What today's code would give an attempt at a step: its prompt, or its constant output. Calls the function of the step only where
 * that is a prompt or a constant; no other work of a step is done.
 */
import * as Effect from "effect/Effect"
import type { AgentRunnerShape } from "../AgentRunner.ts"
import { idempotencyKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import type * as Records from "../Records.ts"
import type { RunState } from "../RunState.ts"
import * as Secrets from "../Secrets.ts"
import { describe, show } from "../Thrown.ts"

/** What the function of a step gave. */
export type Given =
  | { readonly _tag: "Given"; readonly value: unknown }
  | { readonly _tag: "Threw"; readonly message: string }
  /** It cannot be compared, and the reason. */
  | { readonly _tag: "Later"; readonly reason: string }

/** An attempt that the recording has, as today's code sees it. */
export interface Attempt {
  readonly step: Plan.Step
  readonly record: Records.StepRecord | undefined
  readonly iteration: number
  readonly attempt: number
  readonly pass: number
  readonly input: unknown
  readonly needs: { readonly [name: string]: unknown }
  readonly state: RunState
}

const unnoted: Plan.NoteRead = () => {}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

/** Calls the function of a step that makes its prompt or its constant. */
export const ask = ({ step, record, iteration, attempt, pass, input, needs, state }: Attempt): Given => {
  const context = {
    ...needs,
    input,
    heartbeat: () => {},
    lastHeartbeat: undefined,
    signal: new AbortController().signal,
    runId: state.runId,
    stepId: step.id,
    iteration: pass,
    attempt,
    idempotencyKey: idempotencyKey(state.runId, step.id, iteration, record?.generation ?? 0),
  }
  try {
    const run = step.run as (context: unknown, state: RunState, noteRead: Plan.NoteRead) => unknown
    const value = run(context, state, unnoted)
    if (Effect.isEffect(value) && step.codec.isValue?.(value) !== true)
      return { _tag: "Later", reason: "its prompt is an Effect, which is not run" }
    if (!isThenable(value)) return { _tag: "Given", value }
    value.then(undefined, () => {})
    return { _tag: "Later", reason: "its prompt is a promise" }
  } catch (thrown) {
    return { _tag: "Threw", message: describe(thrown).message }
  }
}

/** The recalled facts in a recorded prompt, which may have changed since. */
const facts = /\n\n<memory>\n[\s\S]*?\n<\/memory>/

/** The prompt of an agent's attempt, beside the recorded first one. */
export const prompted = (
  attempt: Attempt,
  recorded: string,
  promptOf: AgentRunnerShape["promptOf"],
): Given | { readonly _tag: "Prompt"; readonly prompt: string; readonly isForm: boolean } => {
  const { step, record } = attempt
  const given = ask(attempt)
  if (given._tag !== "Given") return given
  const { value } = given
  if (typeof value !== "string")
    return { _tag: "Threw", message: `the prompt of step "${step.id}" must be text, and is ${show(value)}` }
  const recalled = step.memory?.recall === undefined ? "" : (facts.exec(recorded)?.[0] ?? "")
  const own = Secrets.text(value) + recalled
  const feedback = record?.failures.at(-1)?.error.issues ?? []
  const isText = step.agentSpec?.isText === true
  const prompt = promptOf === undefined ? own : promptOf({ prompt: own, output: step.codec, isText, feedback })
  const isForm = prompt !== recorded && (recorded === own || recorded.startsWith(`${own}\n\nYour`))
  return { _tag: "Prompt", prompt: promptOf === undefined && isForm ? recorded : prompt, isForm }
}
