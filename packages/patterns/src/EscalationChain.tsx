/** @jsxImportSource smithers-orchestrator */
/** Levels are tried in order, the cheapest first. The next one is asked only where the one before has failed or must be escalated. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, HumanTask, Sequence, useCtx } from "@smithers/jsx/components"
import type * as React from "react"
import {
  Here,
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

/** A level that was tried in vain. */
export interface Tried<Answer = unknown> {
  readonly level: string
  /** The answer that was escalated, or the message of the failure. */
  readonly answer?: Answer
  readonly failure?: string
}

export interface EscalationOutcome<Answer = unknown> {
  /** `answered`: by a level. `human`: by a person. `exhausted`: by nobody. */
  readonly outcome: "answered" | "human" | "exhausted"
  readonly level: string | undefined
  readonly answer: Answer | undefined
  readonly tried: ReadonlyArray<Tried<Answer>>
}

export interface EscalationChainProps<L extends Output> extends PatternProps<EscalationOutcome<ValueOf<L>>> {
  /** Participants by the name of their level, in order. */
  readonly levels: { readonly [level: string]: Participant }
  readonly levelOutput: L
  /** Tells whether an answer goes to the next level. Must be pure. */
  readonly escalateIf: (answer: ValueOf<L>, level: string) => boolean
  /** Asks a person last, who answers with `levelOutput`. A time-out exhausts the chain. Default: false. */
  readonly human?: boolean | { readonly timeout?: React.ComponentProps<typeof ForEach>["timeout"] }
  /** Time of each level. Default: none. */
  readonly timeout?: React.ComponentProps<typeof ForEach>["timeout"]
  /** Outcome without an answer: `fail` fails the run, `accept` goes on. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a level fails for good: `escalate` asks the next one, `fail` fails the run. Default: `escalate`. */
  readonly onParticipantFailure?: "escalate" | "fail"
  readonly children: Prompt
}

export const EscalationChain = <L extends Output>(props: EscalationChainProps<L>): React.ReactNode => {
  const { id, levels, levelOutput, escalateIf, human = false, onExhausted = "fail", children } = props
  const names = Object.keys(levels)
  const nodeOf = (level: string): string => `${id}:level:${level}`
  const answerOf = (ctx: Ctx, level: string) => ctx.outputMaybe<Output>(levelOutput, { nodeId: nodeOf(level) })
  /** Levels that were tried in vain, and the level that is next, which may have answered. */
  const soFar = (ctx: Ctx) => {
    const tried: Array<Tried<ValueOf<L>>> = []
    for (const level of names) {
      const answer = answerOf(ctx, level)
      const [failure] = ctx.failures(`${nodeOf(level)}:try`)
      if (answer === undefined && failure === undefined) return { tried, level, answer }
      if (answer !== undefined && !escalateIf(answer, level)) return { tried, level, answer }
      tried.push(answer === undefined ? { level, failure: failure?.error.message ?? "" } : { level, answer })
    }
    return { tried, level: undefined, answer: undefined }
  }
  const { tried, level: next } = soFar(useCtx())
  const asked = (ctx: Ctx) =>
    told(say(children, ctx), { "Tried before, in vain": soFar(ctx).tried.length === 0 ? undefined : soFar(ctx).tried })
  const patience = typeof human === "object" ? human.timeout : undefined
  return (
    <Sequence skipIf={props.skipIf}>
      {[...tried.map(({ level }) => level), ...(next === undefined ? [] : [next])].map((level) => (
        <ForEach key={level} id={`${nodeOf(level)}:try`} items={[level]} settled={props.onParticipantFailure !== "fail"}>
          {() => (
            <Part by={levels[level] ?? []} id={nodeOf(level)} output={levelOutput} timeout={props.timeout}>
              {asked}
            </Part>
          )}
        </ForEach>
      ))}
      <Sequence skipIf={human === false || next !== undefined}>
        <HumanTask
          id={`${id}:human`}
          output={levelOutput}
          onTimeout="continue"
          {...(patience === undefined ? {} : { timeout: patience })}
        >
          <Here>{asked}</Here>
        </HumanTask>
      </Sequence>
      <Outcome
        {...props}
        failsFor={({ outcome }) => outcome === "exhausted" && onExhausted === "fail" && `no level of "${id}" has an answer`}
      >
        {(ctx): EscalationOutcome<ValueOf<L>> => {
          const found = soFar(ctx)
          if (found.answer !== undefined) return { outcome: "answered", ...found }
          const answer = human === false ? undefined : ctx.outputMaybe<Output>(levelOutput, { nodeId: `${id}:human` })
          return {
            ...found,
            outcome: answer === undefined ? "exhausted" : "human",
            level: answer === undefined ? undefined : "human",
            answer,
          }
        }}
      </Outcome>
    </Sequence>
  )
}
