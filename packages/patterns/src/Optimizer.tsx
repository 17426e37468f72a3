/** @jsxImportSource smithers-orchestrator */
/** A generator makes candidates and an evaluator scores them, until a score reaches the target. The best candidate counts. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { Loop, Sequence } from "@smithers/jsx/components"
import type * as React from "react"
import {
  checkLimits,
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

export interface OptimizerOutcome<Candidate = unknown> {
  /** `stalled`: no better score in `patience` rounds. `failed`: a participant failed, and `onParticipantFailure` is `stop`. */
  readonly outcome: "reached" | "exhausted" | "stalled" | "failed"
  readonly rounds: number
  /** The candidate with the best score, the earliest of equal ones; without one if nothing was scored. */
  readonly best: { readonly candidate: Candidate; readonly score: number; readonly round: number } | undefined
}

export interface OptimizerProps<G extends Output, E extends Output> extends PatternProps<OptimizerOutcome<ValueOf<G>>> {
  readonly generator: Participant
  readonly evaluator: Participant
  readonly generateOutput: G
  readonly evaluateOutput: Having<E, { readonly score: number }>
  /** Score that ends the search. Default: none, so that only the other limits end it. */
  readonly targetScore?: number
  /** Maximum number of candidates. Default: 5. */
  readonly maxIterations?: number
  /** Rounds in a row without a better score, after which the search ends. Default: 2. */
  readonly patience?: number
  /** Outcome below the target: `fail` fails the run, `accept` goes on with the best. Default: `accept`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a participant fails for good: `fail` fails the run, `stop` ends with the best so far. Default: `fail`. */
  readonly onParticipantFailure?: "fail" | "stop"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  /** The task of the generator, which the evaluator is told too. */
  readonly children: Prompt
}

export const Optimizer = <G extends Output, E extends Output>(props: OptimizerProps<G, E>): React.ReactNode => {
  const { id, targetScore = Number.POSITIVE_INFINITY, maxIterations = 5, patience = 2, onExhausted = "accept", children } = props
  checkLimits(`Optimizer "${id}"`, 1, { patience })
  const [generate, evaluate] = [`${id}:generate`, `${id}:evaluate`]
  const candidateIn = (ctx: Ctx, iteration: number) =>
    ctx.outputMaybe<Output>(props.generateOutput, { nodeId: generate, iteration })
  const seen = (ctx: Ctx) => {
    const rounds = ctx.iterationCount<Output>(props.generateOutput, generate)
    let best: OptimizerOutcome<ValueOf<G>>["best"]
    let isScored = false
    for (let round = 0; round < rounds; round++) {
      const score: unknown = ctx.outputMaybe<Output>(props.evaluateOutput, { nodeId: evaluate, iteration: round })?.score
      isScored = typeof score === "number"
      // A score that is no number is no score.
      if (typeof score === "number" && !Number.isNaN(score) && score > (best?.score ?? Number.NEGATIVE_INFINITY))
        best = { candidate: candidateIn(ctx, round), score, round }
    }
    const isReached = best !== undefined && best.score >= targetScore
    return { rounds, best, isScored, isReached, isStalled: rounds - 1 - (best?.round ?? -1) >= patience }
  }
  return (
    <Sequence skipIf={props.skipIf}>
      <Tolerant id={id} when={props.onParticipantFailure === "stop"}>
        <Loop
          id={`${id}:rounds`}
          until={(ctx) => seen(ctx).isReached || seen(ctx).isStalled}
          maxIterations={maxIterations}
          onMaxReached="return-last"
        >
          <Part timeout={props.timeout} by={props.generator} id={generate} output={props.generateOutput}>
            {(ctx) =>
              told(say(children, ctx), {
                "The best so far, with its score": seen(ctx).best,
                "The last evaluation": ctx.latest<Output>(props.evaluateOutput, evaluate),
              })
            }
          </Part>
          <Part timeout={props.timeout} by={props.evaluator} id={evaluate} output={props.evaluateOutput}>
            {(ctx) =>
              told(
                "Score the candidate by how well it does what was asked for.",
                { "The candidate": candidateIn(ctx, ctx.iteration) },
                say(children, ctx),
              )
            }
          </Part>
        </Loop>
      </Tolerant>
      <Outcome
        {...props}
        failsFor={({ outcome, best }) =>
          onExhausted === "fail" && outcome !== "reached" && `"${id}" has reached ${best?.score ?? "no score"} (${outcome})`
        }
      >
        {(ctx): OptimizerOutcome<ValueOf<G>> => {
          const { rounds, best, isScored, isReached, isStalled } = seen(ctx)
          return { outcome: isReached ? "reached" : !isScored ? "failed" : isStalled ? "stalled" : "exhausted", rounds, best }
        }}
      </Outcome>
    </Sequence>
  )
}
