/** @jsxImportSource smithers-orchestrator */
/** Several panelists judge the same, unseen by one another. Their votes are counted, or a moderator makes one answer of theirs. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Sequence, useCtx } from "@smithers/jsx/components"
import type * as React from "react"
import {
  checkLimits,
  Outcome,
  type Output,
  Part,
  type Participant,
  type PatternProps,
  type Prompt,
  say,
  told,
  type ValueOf,
} from "./Participant.tsx"

export interface PanelOutcome<Answer = unknown, Synthesis = unknown> {
  /** `undecided`: no vote has enough panelists, as in a tie. `noQuorum`: too few of them have answered. */
  readonly outcome: "decided" | "synthesized" | "undecided" | "noQuorum"
  /** The vote that has won. */
  readonly vote: string | undefined
  /** Panelists by vote. */
  readonly votes: { readonly [vote: string]: ReadonlyArray<string> }
  readonly answers: { readonly [panelist: string]: Answer }
  /** Panelists that have failed, or whose answer is no vote. */
  readonly absent: ReadonlyArray<string>
  readonly synthesis: Synthesis | undefined
}

export interface PanelProps<P extends Output, M extends Output> extends PatternProps<PanelOutcome<ValueOf<P>, ValueOf<M>>> {
  /** Panelists by name. */
  readonly panelists: { readonly [name: string]: Participant }
  readonly panelistOutput: P
  /** `vote`: the majority of all panelists. `consensus`: all of them. `synthesize`: a moderator. Default: `vote`, or `synthesize` with a moderator. */
  readonly strategy?: "vote" | "consensus" | "synthesize"
  /** The vote in an answer; `undefined` for none. Default: its field `vote`. */
  readonly voteOf?: (answer: ValueOf<P>) => string | number | boolean | undefined
  /** Panelists that a vote needs. Default: more than half of all, or all of them with `consensus`. */
  readonly minAgree?: number
  /** Panelists that must answer. Default: more than half of all. */
  readonly quorum?: number
  readonly moderator?: Participant
  readonly moderatorOutput?: M
  readonly maxConcurrency?: number
  /** Time of each panelist, and of the moderator. A panelist that is late is absent; a moderator fails the run. Default: none. */
  readonly timeout?: React.ComponentProps<typeof ForEach>["timeout"]
  /** Outcome where a panelist fails for good: `absent` counts it among those without a vote, `fail` fails the run. Default: `absent`. */
  readonly onParticipantFailure?: "absent" | "fail"
  readonly children: Prompt
}

export const Panel = <P extends Output, M extends Output>(props: PanelProps<P, M>): React.ReactNode => {
  const { id, panelists, panelistOutput, moderator, moderatorOutput, children, voteOf = (answer) => Object(answer).vote } = props
  const { strategy = moderator === undefined ? "vote" : "synthesize", maxConcurrency = Number.POSITIVE_INFINITY } = props
  if (strategy === "synthesize" && (moderator === undefined || moderatorOutput === undefined))
    throw new TypeError(`Panel "${id}": it synthesizes, and has no "moderator" with a "moderatorOutput"`)
  const names = Object.keys(panelists)
  const most = Math.floor(names.length / 2) + 1
  const { quorum = most, minAgree = strategy === "consensus" ? Math.max(1, names.length) : most } = props
  checkLimits(`Panel "${id}"`, 1, { minAgree })
  checkLimits(`Panel "${id}"`, 0, { quorum })
  const counted = (ctx: Ctx) => {
    const votes = new Map<string, ReadonlyArray<string>>()
    const answers = new Map<string, ValueOf<P>>()
    for (const name of names) {
      const answer = ctx.outputMaybe<Output>(panelistOutput, { nodeId: `${id}:by:${name}` })
      const vote = answer === undefined ? undefined : strategy === "synthesize" ? "" : voteOf(answer)
      if (vote === undefined || vote === null) continue
      answers.set(name, answer)
      if (strategy !== "synthesize") votes.set(String(vote), [...(votes.get(String(vote)) ?? []), name])
    }
    const absent = names.filter((name) => !answers.has(name))
    return { votes: Object.fromEntries(votes), answers: Object.fromEntries(answers), absent }
  }
  const seen = counted(useCtx())
  return (
    <Sequence skipIf={props.skipIf}>
      <ForEach id={`${id}:panel`} items={names} maxConcurrency={maxConcurrency} settled={props.onParticipantFailure !== "fail"}>
        {(name) => (
          <Part by={panelists[name] ?? []} id={`${id}:by:${name}`} output={panelistOutput} timeout={props.timeout}>
            {(ctx) => say(children, ctx)}
          </Part>
        )}
      </ForEach>
      {moderator !== undefined && moderatorOutput !== undefined && (
        <Sequence skipIf={strategy !== "synthesize" || Object.keys(seen.answers).length < quorum}>
          <Part timeout={props.timeout} by={moderator} id={`${id}:moderate`} output={moderatorOutput}>
            {(ctx) => {
              const { answers, absent } = counted(ctx)
              const given = { "The answers": answers, "Without an answer": absent.join(", ") || undefined }
              return told("Make one answer of those of the panel.", given, say(children, ctx))
            }}
          </Part>
        </Sequence>
      )}
      <Outcome {...props}>
        {(ctx): PanelOutcome<ValueOf<P>, ValueOf<M>> => {
          const found = counted(ctx)
          const isQuorate = names.length > 0 && Object.keys(found.answers).length >= quorum
          if (!isQuorate) return { outcome: "noQuorum", vote: undefined, synthesis: undefined, ...found }
          if (strategy === "synthesize" && moderatorOutput !== undefined) {
            const synthesis = ctx.outputMaybe<Output>(moderatorOutput, { nodeId: `${id}:moderate` })
            return { outcome: "synthesized", vote: undefined, synthesis, ...found }
          }
          const [first, second] = Object.entries(found.votes).sort(([, left], [, right]) => right.length - left.length)
          const isWon = first !== undefined && first[1].length >= minAgree && first[1].length > (second?.[1].length ?? 0)
          return { outcome: isWon ? "decided" : "undecided", vote: isWon ? first[0] : undefined, synthesis: undefined, ...found }
        }}
      </Outcome>
    </Sequence>
  )
}
