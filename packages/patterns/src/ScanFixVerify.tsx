/** @jsxImportSource smithers-orchestrator */
/**
 * A scanner finds issues, fixers work on them at the same time, and a verifier looks at each fix. Only what survives is fixed again, and the scanner may look again at what
 * was fixed.
 */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Loop, Sequence, useCtx } from "@smithers/jsx/components"
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
  told,
  type ValueOf,
} from "./Participant.tsx"
import * as Scans from "./Scans.ts"

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
  /** Maximum number of fixes of an issue, after all scans together. Default: 2. */
  readonly maxIterations?: number
  /** Maximum number of scans: another one follows the fixes, unless the last one found nothing to fix. Default: 1. */
  readonly maxScans?: number
  /** Issues at work at the same time. Default: 4. */
  readonly maxConcurrency?: number
  /** Outcome with survivors: `fail` fails the run, `accept` goes on. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a fixer or a verifier fails for good: `survive` gives up the issue, `fail` fails the run. Default: `survive`. */
  readonly onParticipantFailure?: "survive" | "fail"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  /** The task of the scanner. */
  readonly children: Prompt
}

export const ScanFixVerify = <S extends Output, F extends Output, V extends Output>(
  props: ScanFixVerifyProps<S, F, V>,
): React.ReactNode => {
  const { id, scanOutput, verifyOutput, fixOutput, maxIterations = 2, maxScans = 1, onExhausted = "fail", children } = props
  checkLimits(`ScanFixVerify "${id}"`, 1, { maxScans })
  const keyOf = (issue: unknown): string => String(props.by === undefined ? Object(issue).id : props.by(issue as never))
  /** Prefix of the ids of a scan and of its fixes. */
  const at = (scan: number): string => (scan === 1 ? id : `${id}:${scan}`)
  const idsOf = (scan: number, key: string) => ({ fix: `${at(scan)}:fix:${key}`, verify: `${at(scan)}:verify:${key}` })
  const isFixed = (ctx: Ctx, verify: string): boolean => ctx.outputMaybe<Output>(verifyOutput, { nodeId: verify })?.fixed === true
  const scanIn = (ctx: Ctx, scan: number): Scans.Scan => {
    const { issues = [] } = ctx.outputMaybe<Output>(scanOutput, { nodeId: `${at(scan)}:scan` }) ?? {}
    const failures = new Map(ctx.failures(`${at(scan)}:issues`).map(({ key, error }) => [key, error.message]))
    return {
      found: issues.map((issue: unknown) => ({ key: keyOf(issue), issue })),
      isFixed: (key) => isFixed(ctx, idsOf(scan, key).verify),
      fixes: (key) => ctx.iterationCount<Output>(fixOutput, idsOf(scan, key).fix),
      failure: (key) => failures.get(key),
    }
  }
  const account = (ctx: Ctx) => Scans.account((scan) => scanIn(ctx, scan), maxScans, maxIterations)
  const fixing = (scan: number, { key, issue, fixes }: Scans.OpenIssue): React.ReactElement => {
    const { fix, verify } = idsOf(scan, key)
    const again = fixes === 0 ? undefined : "It was fixed and verified, and a later scan found it again."
    return (
      <Loop
        id={`${at(scan)}:rounds:${key}`}
        until={(ctx) => isFixed(ctx, verify)}
        maxIterations={maxIterations - fixes}
        onMaxReached="return-last"
      >
        <Part timeout={props.timeout} by={props.fixer} id={fix} output={fixOutput}>
          {(ctx) => {
            const before = ctx.latest<Output>(verifyOutput, verify)
            return told("Fix this issue.", { "The issue": issue, "The last fix did not hold": before, "Found again": again })
          }}
        </Part>
        <Part timeout={props.timeout} by={props.verifier} id={verify} output={verifyOutput}>
          {(ctx) => {
            const fixed = ctx.outputMaybe<Output>(fixOutput, { nodeId: fix })
            return told("Verify that this issue is fixed.", { "The issue": issue, "The fix": fixed })
          }}
        </Part>
      </Loop>
    )
  }
  const { scans } = account(useCtx())
  return (
    <Sequence skipIf={props.skipIf}>
      {scans.map(({ scan, open }) => [
        <Part key={`scan ${scan}`} timeout={props.timeout} by={props.scanner} id={`${at(scan)}:scan`} output={scanOutput}>
          {(ctx) => {
            const { fixed, survivors } = account(ctx)
            return told(say(children, ctx), { "Issues of earlier scans": scan === 1 ? undefined : { fixed, survivors } })
          }}
        </Part>,
        <ForEach
          key={`issues ${scan}`}
          id={`${at(scan)}:issues`}
          items={open}
          by={({ key }) => key}
          maxConcurrency={props.maxConcurrency ?? 4}
          settled={props.onParticipantFailure !== "fail"}
        >
          {(one) => fixing(scan, one)}
        </ForEach>,
      ])}
      <Outcome
        {...props}
        failsFor={({ survivors }) =>
          onExhausted === "fail" && survivors.length > 0 && `"${id}" has not fixed ${survivors.map(({ key }) => key).join(", ")}`
        }
      >
        {(ctx): FixOutcome => {
          const { fixed, survivors } = account(ctx)
          return { outcome: survivors.length > 0 ? "survivors" : fixed.length === 0 ? "clean" : "fixed", fixed, survivors }
        }}
      </Outcome>
    </Sequence>
  )
}
