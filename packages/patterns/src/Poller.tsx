/** @jsxImportSource smithers-orchestrator */
/** A condition outside is checked until it is satisfied, with durable pauses between. A run that pauses needs no process. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Loop, Scope, Sequence, Timer } from "@smithers/jsx/components"
import type * as React from "react"
import {
  type Having,
  Here,
  Outcome,
  type Output,
  Part,
  type Participant,
  type PatternProps,
  type Prompt,
  say,
  type ValueOf,
} from "./Participant.tsx"

export interface PollOutcome<Check = unknown> {
  /** `exhausted`: `maxIterations` checks were not satisfied. `timedOut`: `timeout` has passed. */
  readonly outcome: "satisfied" | "exhausted" | "timedOut"
  readonly checks: number
  /** The last check; without one if there was none that gave an answer. */
  readonly last: Check | undefined
}

export interface PollerProps<C extends Output> extends PatternProps<PollOutcome<ValueOf<C>>> {
  /** Makes a check: an agent, or elements, such as a Task with a function. */
  readonly checker: Participant
  readonly checkOutput: Having<C, { readonly satisfied: boolean }>
  /** Milliseconds of the first pause. Default: 30 seconds. */
  readonly intervalMs?: number
  /** Growth of the pauses: the same, one interval more each time, or twice as long each time. Default: `exponential`. */
  readonly backoff?: "fixed" | "linear" | "exponential"
  /** Longest pause in milliseconds. Default: 1 hour. */
  readonly maxIntervalMs?: number
  /** Maximum number of checks. Default: 100. */
  readonly maxIterations?: number
  /** Time of the whole. Default: none. */
  readonly timeout?: React.ComponentProps<typeof Scope>["timeout"]
  /** Outcome without a satisfied check: `fail` fails the run, `accept` goes on. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a check fails for good: `fail` fails the run, `retry` checks again after the pause. Default: `fail`. */
  readonly onParticipantFailure?: "fail" | "retry"
  /** The prompt of an agent that checks. */
  readonly children?: Prompt
}

export const Poller = <C extends Output>(props: PollerProps<C>): React.ReactNode => {
  const { id, checkOutput, intervalMs = 30_000, backoff = "exponential", maxIntervalMs = 3_600_000, maxIterations = 100 } = props
  const { timeout, onExhausted = "fail", children } = props
  const check = `${id}:check`
  const isSatisfied = (ctx: Ctx): boolean => ctx.outputMaybe<Output>(checkOutput, { nodeId: check })?.satisfied === true
  const pauseAfter = (pass: number): number =>
    Math.min(maxIntervalMs, intervalMs * (backoff === "fixed" ? 1 : backoff === "linear" ? pass + 1 : 2 ** Math.min(pass, 50)))
  const checking = (
    <Part by={props.checker} id={check} output={checkOutput}>
      {(ctx) => say(children, ctx)}
    </Part>
  )
  const polling = (
    <Loop id={`${id}:polls`} until={isSatisfied} maxIterations={maxIterations} onMaxReached="return-last">
      {props.onParticipantFailure === "retry" ? (
        <ForEach id={`${id}:try`} items={["check"]} settled>
          {() => checking}
        </ForEach>
      ) : (
        checking
      )}
      <Here>
        {(ctx) => (
          <Timer
            id={`${id}:pause`}
            durationMs={pauseAfter(ctx.iteration)}
            skipIf={(ctx) => isSatisfied(ctx) || ctx.iteration + 1 >= maxIterations}
          />
        )}
      </Here>
    </Loop>
  )
  return (
    <Sequence skipIf={props.skipIf}>
      {timeout === undefined ? (
        polling
      ) : (
        <Scope id={`${id}:time`} timeout={timeout} onTimeout="continue">
          {polling}
        </Scope>
      )}
      <Outcome
        {...props}
        failsFor={({ outcome, checks }) =>
          onExhausted === "fail" && outcome !== "satisfied" && `"${id}" was not satisfied in ${checks} checks (${outcome})`
        }
      >
        {(ctx): PollOutcome<ValueOf<C>> => {
          const [checks, last] = [ctx.iterationCount<Output>(checkOutput, check), ctx.latest<Output>(checkOutput, check)]
          const isOut = ctx.iterationCount<Output>(checkOutput, check) >= maxIterations
          return { outcome: last?.satisfied === true ? "satisfied" : isOut ? "exhausted" : "timedOut", checks, last }
        }}
      </Outcome>
    </Sequence>
  )
}
