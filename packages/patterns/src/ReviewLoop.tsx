/** @jsxImportSource smithers-orchestrator */
/** A producer makes a draft and a reviewer judges it, until the reviewer approves. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { Loop, Sequence } from "@smithers/jsx/components"
import type * as React from "react"
import {
  type Having,
  Outcome,
  type Output,
  Part,
  type Participant,
  type Patience,
  type PatternProps,
  type Prompt,
  say,
  Tolerant,
  told,
  type ValueOf,
} from "./Participant.tsx"

export interface ReviewOutcome<Draft = unknown, Review = unknown> {
  /** `stalled`: a draft was equal to the one before. `failed`: a participant failed, and `onParticipantFailure` is `stop`. */
  readonly outcome: "approved" | "exhausted" | "stalled" | "failed"
  readonly rounds: number
  /** The last draft and its review; without one if it failed. */
  readonly draft: Draft | undefined
  readonly review: Review | undefined
}

export interface ReviewLoopProps<P extends Output, R extends Output> extends PatternProps<ReviewOutcome<ValueOf<P>, ValueOf<R>>> {
  readonly producer: Participant
  readonly reviewer: Participant
  readonly produceOutput: P
  readonly reviewOutput: Having<R, { readonly approved: boolean }>
  /** Maximum number of drafts. Default: 3. */
  readonly maxIterations?: number
  /** Outcome without an approval: `fail` fails the run, `accept` goes on with the last draft. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a participant fails for good: `fail` fails the run, `stop` ends the pattern as `failed`. Default: `fail`. */
  readonly onParticipantFailure?: "fail" | "stop"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  /** The task of the producer, which the reviewer is told too. */
  readonly children: Prompt
}

export const ReviewLoop = <P extends Output, R extends Output>(props: ReviewLoopProps<P, R>): React.ReactNode => {
  const { id, producer, reviewer, maxIterations = 3, onExhausted = "fail", children, skipIf } = props
  const [produce, judge] = [`${id}:produce`, `${id}:review`]
  const draftIn = (ctx: Ctx, iteration?: number) =>
    ctx.outputMaybe<Output>(props.produceOutput, iteration === undefined ? { nodeId: produce } : { nodeId: produce, iteration })
  const reviewIn = (ctx: Ctx) => ctx.outputMaybe<Output>(props.reviewOutput, { nodeId: judge })
  const roundsIn = (ctx: Ctx) => ctx.iterationCount<Output>(props.produceOutput, produce)
  const isStalled = (ctx: Ctx): boolean => {
    const rounds = roundsIn(ctx)
    return rounds > 1 && JSON.stringify(draftIn(ctx, rounds - 1)) === JSON.stringify(draftIn(ctx, rounds - 2))
  }
  return (
    <Sequence skipIf={skipIf}>
      <Tolerant id={id} when={props.onParticipantFailure === "stop"}>
        <Loop id={`${id}:rounds`} until={(ctx) => reviewIn(ctx)?.approved === true || isStalled(ctx)} maxIterations={maxIterations}>
          <Part timeout={props.timeout} by={producer} id={produce} output={props.produceOutput}>
            {(ctx) =>
              told(say(children, ctx), {
                "Your last draft": ctx.latest<Output>(props.produceOutput, produce),
                "Its review, which the next draft must answer": ctx.latest<Output>(props.reviewOutput, judge),
              })
            }
          </Part>
          <Part timeout={props.timeout} by={reviewer} id={judge} output={props.reviewOutput}>
            {(ctx) =>
              told(
                "Review the draft. Approve it only if it does what was asked for.",
                { "The draft": draftIn(ctx), "Your review of the draft before": ctx.latest<Output>(props.reviewOutput, judge) },
                say(children, ctx),
              )
            }
          </Part>
        </Loop>
      </Tolerant>
      <Outcome
        {...props}
        failsFor={({ outcome, rounds }) =>
          onExhausted === "fail" &&
          (outcome === "exhausted" || outcome === "stalled") &&
          `"${id}" was not approved in ${rounds} rounds (${outcome})`
        }
      >
        {(ctx): ReviewOutcome<ValueOf<P>, ValueOf<R>> => {
          const [draft, review] = [draftIn(ctx), reviewIn(ctx)]
          const stopped = review === undefined ? "failed" : isStalled(ctx) ? "stalled" : "exhausted"
          return { outcome: review?.approved === true ? "approved" : stopped, rounds: roundsIn(ctx), draft, review }
        }}
      </Outcome>
    </Sequence>
  )
}
