/** @jsxImportSource smithers-orchestrator */
/** Several sources are asked at the same time, and a synthesizer makes one answer of theirs. It is told which are missing, and why. */
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

export interface GatherOutcome<Found = unknown, Synthesis = unknown> {
  /** `tooFew`: fewer than `minSources` have answered, and the synthesizer was not asked. */
  readonly outcome: "synthesized" | "tooFew"
  readonly synthesis: Synthesis | undefined
  readonly found: { readonly [source: string]: Found }
  /** Sources that have failed, each with the reason. */
  readonly missing: { readonly [source: string]: string }
}

export interface GatherAndSynthesizeProps<G extends Output, S extends Output>
  extends PatternProps<GatherOutcome<ValueOf<G>, ValueOf<S>>> {
  /** Sources by name. */
  readonly sources: { readonly [name: string]: Participant }
  readonly gatherOutput: G
  readonly synthesizer: Participant
  readonly synthesisOutput: S
  /** Sources that must answer. Default: 1. */
  readonly minSources?: number
  readonly maxConcurrency?: number
  /** Time of each source, and of the synthesizer. A source that is late is missing; a synthesizer fails the run. Default: none. */
  readonly timeout?: React.ComponentProps<typeof ForEach>["timeout"]
  /** Outcome where a source fails for good: `missing` goes on without it, `fail` fails the run. Default: `missing`. */
  readonly onParticipantFailure?: "missing" | "fail"
  readonly children: Prompt
}

export const GatherAndSynthesize = <G extends Output, S extends Output>(props: GatherAndSynthesizeProps<G, S>): React.ReactNode => {
  const { id, sources, gatherOutput, synthesizer, synthesisOutput, minSources = 1, children } = props
  const [gather, synthesize, names] = [`${id}:gather`, `${id}:synthesize`, Object.keys(sources)]
  const foundIn = (ctx: Ctx): Record<string, ValueOf<G>> =>
    Object.fromEntries(
      names
        .map((name) => [name, ctx.outputMaybe<Output>(gatherOutput, { nodeId: `${id}:from:${name}` })] as const)
        .filter(([, value]) => value !== undefined),
    )
  const missingIn = (ctx: Ctx): Record<string, string> =>
    Object.fromEntries(ctx.failures(gather).map(({ key, error }) => [key, error.message]))
  checkLimits(`GatherAndSynthesize "${id}"`, 0, { minSources })
  const isEnough = (ctx: Ctx): boolean => Object.keys(foundIn(ctx)).length >= Math.max(1, minSources)
  const isShort = !isEnough(useCtx())
  return (
    <Sequence skipIf={props.skipIf}>
      <ForEach
        id={gather}
        items={names}
        maxConcurrency={props.maxConcurrency ?? Number.POSITIVE_INFINITY}
        settled={props.onParticipantFailure !== "fail"}
      >
        {(name) => (
          <Part by={sources[name] ?? []} id={`${id}:from:${name}`} output={gatherOutput} timeout={props.timeout}>
            {(ctx) => say(children, ctx)}
          </Part>
        )}
      </ForEach>
      <Sequence skipIf={isShort}>
        <Part timeout={props.timeout} by={synthesizer} id={synthesize} output={synthesisOutput}>
          {(ctx) => {
            const missing = missingIn(ctx)
            const isAll = Object.keys(missing).length === 0
            return told(say(children, ctx), { "From the sources": foundIn(ctx), "Missing sources": isAll ? undefined : missing })
          }}
        </Part>
      </Sequence>
      <Outcome {...props}>
        {(ctx): GatherOutcome<ValueOf<G>, ValueOf<S>> => {
          const [found, missing] = [foundIn(ctx), missingIn(ctx)]
          if (!isEnough(ctx)) return { outcome: "tooFew", synthesis: undefined, found, missing }
          const synthesis = ctx.outputMaybe<Output>(synthesisOutput, { nodeId: synthesize })
          return { outcome: "synthesized", synthesis, found, missing }
        }}
      </Outcome>
    </Sequence>
  )
}
