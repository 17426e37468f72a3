/** @jsxImportSource smithers-orchestrator */
/** A proposer and an opponent argue for some rounds, each with the last arguments of the other. Then a judge decides. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { Loop, Sequence, useCtx } from "@smithers/jsx/components"
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

export interface DebateOutcome<Argument = unknown, Verdict = unknown> {
  /** The side that has won. `undecided`: the verdict names neither. `failed`: a side has given no argument at all. */
  readonly outcome: "proposer" | "opponent" | "undecided" | "failed"
  readonly proposed: ReadonlyArray<Argument>
  readonly opposed: ReadonlyArray<Argument>
  readonly verdict: Verdict | undefined
}

export interface DebateProps<A extends Output, V extends Output> extends PatternProps<DebateOutcome<ValueOf<A>, ValueOf<V>>> {
  readonly proposer: Participant
  readonly opponent: Participant
  readonly judge: Participant
  readonly argumentOutput: A
  /** Any `winner` but `proposer` and `opponent` means that the debate is undecided. */
  readonly verdictOutput: Having<V, { readonly winner: string }>
  /** Default: 2. */
  readonly rounds?: number
  /**
   * Outcome where a side fails for good: `fail` fails the run, `stop` ends the debate; the judge decides if both sides have argued.
   * Default: `fail`.
   */
  readonly onParticipantFailure?: "fail" | "stop"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  /** The question. */
  readonly children: Prompt
}

export const Debate = <A extends Output, V extends Output>(props: DebateProps<A, V>): React.ReactNode => {
  const { id, rounds = 2, argumentOutput, verdictOutput, children } = props
  const [propose, oppose, decide] = [`${id}:propose`, `${id}:oppose`, `${id}:judge`]
  const of = (ctx: Ctx, nodeId: string): ReadonlyArray<ValueOf<A>> =>
    Array.from({ length: ctx.iterationCount<Output>(argumentOutput, nodeId) }, (_, iteration) =>
      ctx.outputMaybe<Output>(argumentOutput, { nodeId, iteration }),
    )
  const side = (by: Participant, nodeId: string, other: string, stand: string): React.ReactNode => (
    <Part timeout={props.timeout} by={by} id={nodeId} output={argumentOutput}>
      {(ctx) =>
        told([say(children, ctx), <p key="stand">{stand}</p>], {
          "The last argument of the other side": of(ctx, other).at(-1),
          "Your last argument": of(ctx, nodeId).at(-1),
        })
      }
    </Part>
  )
  const areHeard = (ctx: Ctx): boolean => of(ctx, propose).length > 0 && of(ctx, oppose).length > 0
  const isShort = !areHeard(useCtx())
  return (
    <Sequence skipIf={props.skipIf}>
      <Tolerant id={id} when={props.onParticipantFailure === "stop"}>
        <Loop id={`${id}:rounds`} until={false} maxIterations={rounds} onMaxReached="return-last">
          {side(props.proposer, propose, oppose, "Argue for it.")}
          {side(props.opponent, oppose, propose, "Argue against it.")}
        </Loop>
      </Tolerant>
      <Sequence skipIf={isShort}>
        <Part timeout={props.timeout} by={props.judge} id={decide} output={verdictOutput}>
          {(ctx) =>
            told(
              'Decide the debate. Its winner is "proposer", "opponent", or "undecided".',
              { "For it": of(ctx, propose), "Against it": of(ctx, oppose) },
              say(children, ctx),
            )
          }
        </Part>
      </Sequence>
      <Outcome {...props}>
        {(ctx): DebateOutcome<ValueOf<A>, ValueOf<V>> => {
          const verdict = areHeard(ctx) ? ctx.outputMaybe<Output>(verdictOutput, { nodeId: decide }) : undefined
          const winner = ["proposer", "opponent"].find((one) => one === verdict?.winner) as "proposer" | "opponent" | undefined
          const outcome = verdict === undefined ? "failed" : (winner ?? "undecided")
          return { outcome, proposed: of(ctx, propose), opposed: of(ctx, oppose), verdict }
        }}
      </Outcome>
    </Sequence>
  )
}
