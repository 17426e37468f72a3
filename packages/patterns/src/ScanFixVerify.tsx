/** @jsxImportSource smithers-orchestrator */
/** A scanner finds issues, fixers work on them at the same time, and a verifier looks at each fix. Only what survives is fixed again. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Loop, Sequence, useCtx } from "@smithers/jsx/components"
import type * as React from "react"
import {
  Given,
  type Having,
  Outcome,
  type Output,
  Part,
  type Participant,
  type PatternProps,
  type Prompt,
  say,
  type ValueOf,
} from "./Participant.tsx"

export interface FixOutcome {
  /** `clean`: the scanner found nothing. `fixed`: everything was verified. `survivors`: not everything was. */
  readonly outcome: "clean" | "fixed" | "survivors"
  readonly fixed: ReadonlyArray<string>
  /** Keys of the issues that were not verified, each with the number of fixes, and the reason where its fixer or verifier failed. */
  readonly survivors: ReadonlyArray<{ readonly key: string; readonly fixes: number; readonly failure?: string }>
}

export interface ScanFixVerifyProps<S extends Output, F extends Output, V extends Output> extends PatternProps<FixOutcome> {
  readonly scanner: Participant
  readonly scanOutput: Having<S, { readonly issues: ReadonlyArray<unknown> }>
  /** Key of an issue, stable. Of issues with one key the first counts. Default: its field `id`. */
  readonly by?: (issue: ValueOf<S>["issues"][number]) => string | number
  readonly fixer: Participant
  readonly fixOutput: F
  readonly verifier: Participant
  readonly verifyOutput: Having<V, { readonly fixed: boolean }>
  /** Maximum number of fixes of an issue. Default: 2. */
  readonly maxIterations?: number
  /** Issues at work at the same time. Default: 4. */
  readonly maxConcurrency?: number
  /** Outcome with survivors: `fail` fails the run, `accept` goes on. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a fixer or a verifier fails for good: `survive` gives up the issue, `fail` fails the run. Default: `survive`. */
  readonly onParticipantFailure?: "survive" | "fail"
  /** The task of the scanner. */
  readonly children: Prompt
}

export const ScanFixVerify = <S extends Output, F extends Output, V extends Output>(
  props: ScanFixVerifyProps<S, F, V>,
): React.ReactNode => {
  const { id, scanOutput, verifyOutput, fixOutput, maxIterations = 2, onExhausted = "fail", children } = props
  const keyOf = (issue: unknown): string => String(props.by === undefined ? Object(issue).id : props.by(issue as never))
  const issuesIn = (ctx: Ctx): ReadonlyArray<{ readonly key: string; readonly issue: unknown }> => {
    const { issues = [] } = ctx.outputMaybe<Output>(scanOutput, { nodeId: `${id}:scan` }) ?? {}
    const keyed = issues.map((issue: unknown) => ({ key: keyOf(issue), issue }))
    return keyed.filter(
      ({ key }: { key: string }, index: number) => keyed.findIndex((other: { key: string }) => other.key === key) === index,
    )
  }
  const verdictOf = (ctx: Ctx, key: string) => ctx.outputMaybe<Output>(verifyOutput, { nodeId: `${id}:verify:${key}` })
  const issues = issuesIn(useCtx())
  return (
    <Sequence skipIf={props.skipIf}>
      <Part by={props.scanner} id={`${id}:scan`} output={scanOutput}>
        {(ctx) => say(children, ctx)}
      </Part>
      <ForEach
        id={`${id}:issues`}
        items={issues}
        by={({ key }) => key}
        maxConcurrency={props.maxConcurrency ?? 4}
        settled={props.onParticipantFailure !== "fail"}
      >
        {({ key, issue }) => (
          <Loop
            id={`${id}:rounds:${key}`}
            until={(ctx) => verdictOf(ctx, key)?.fixed === true}
            maxIterations={maxIterations}
            onMaxReached="return-last"
          >
            <Part by={props.fixer} id={`${id}:fix:${key}`} output={fixOutput}>
              {(ctx) => (
                <>
                  <p>Fix this issue.</p>
                  <Given title="The issue" value={issue} />
                  <Given title="The last fix did not hold" value={ctx.latest<Output>(verifyOutput, `${id}:verify:${key}`)} />
                </>
              )}
            </Part>
            <Part by={props.verifier} id={`${id}:verify:${key}`} output={verifyOutput}>
              {(ctx) => (
                <>
                  <p>Verify that this issue is fixed.</p>
                  <Given title="The issue" value={issue} />
                  <Given title="The fix" value={ctx.outputMaybe<Output>(fixOutput, { nodeId: `${id}:fix:${key}` })} />
                </>
              )}
            </Part>
          </Loop>
        )}
      </ForEach>
      <Outcome
        {...props}
        failsFor={({ survivors }) =>
          onExhausted === "fail" && survivors.length > 0 && `"${id}" has not fixed ${survivors.map(({ key }) => key).join(", ")}`
        }
      >
        {(ctx): FixOutcome => {
          const keys = issuesIn(ctx).map(({ key }) => key)
          const failures = new Map(ctx.failures(`${id}:issues`).map(({ key, error }) => [key, error.message]))
          const isFixed = (key: string): boolean => verdictOf(ctx, key)?.fixed === true
          const survivors = keys
            .filter((key) => !isFixed(key))
            .map((key) => {
              const [fixes, failure] = [ctx.iterationCount<Output>(fixOutput, `${id}:fix:${key}`), failures.get(key)]
              return failure === undefined ? { key, fixes } : { key, fixes, failure }
            })
          const outcome = survivors.length > 0 ? "survivors" : keys.length === 0 ? "clean" : "fixed"
          return { outcome, fixed: keys.filter(isFixed), survivors }
        }}
      </Outcome>
    </Sequence>
  )
}
