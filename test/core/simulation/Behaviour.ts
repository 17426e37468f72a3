/**
 * What the steps and predicates of a scenario do. Each answer is a pure function of the seed, the node, its row, the failures
 * before and what it was given, so that two runs of a scenario may be compared whatever happened around them.
 */
import type { Json } from "@smithers/core/Codec"
import { hash } from "./Random.ts"
import type { BranchSpec, LoopSpec, StepSpec } from "./Scenario.ts"

/** What steps give: `row` is a number when read and text when stored, so that the two cannot be mistaken for each other. */
export interface Output {
  readonly from: string
  readonly row: number
  readonly seen: string
}

export type Attempt =
  | { readonly _tag: "Succeeds"; readonly value: Output | undefined; readonly stored: Json | undefined }
  | { readonly _tag: "Fails"; readonly message: string; readonly isRetryable: boolean }

type Given = { readonly [name: string]: unknown }

/** Text that differs wherever two values differ, also where one is absent. */
const digest = (value: unknown): string =>
  hash(JSON.stringify(value, (_, item: unknown) => (item === undefined ? "(absent)" : item)) ?? "").toString(36)

/** The attempt that follows `failures` failed ones. */
export const attempt = (seed: number, spec: StepSpec, row: number, failures: number, needs: Given): Attempt => {
  const roll = hash(seed, spec.label, row)
  const fails = (isRetryable: boolean): Attempt => ({
    _tag: "Fails",
    message: `${spec.label}/${row} failed ${failures + 1}`,
    isRetryable,
  })
  if (spec.flaw === "flaky" && failures < Math.min(spec.maxAttempts - 1, 1 + (roll % 2))) return fails(true)
  if (spec.flaw === "failing" && roll % 3 > 0) return fails(true)
  if (spec.flaw === "fatal" && roll % 3 > 0) return fails(failures < (roll >> 4) % spec.maxAttempts)
  if (spec.isVoid) return { _tag: "Succeeds", value: undefined, stored: undefined }
  const seen = digest(needs)
  return { _tag: "Succeeds", value: { from: spec.label, row, seen }, stored: { from: spec.label, row: String(row), seen } }
}

const thrown = (label: string): Error => new Error(`the predicate of ${label} threw`)

export const isSkipped = (seed: number, spec: StepSpec, context: Given): boolean => {
  const roll = hash(seed, spec.label, "skip", digest(context))
  if (spec.skip === "throws" && roll % 3 === 0) throw thrown(spec.label)
  return spec.skip === "sometimes" && roll % 2 === 0
}

export const isTaken = (seed: number, spec: BranchSpec, context: Given): boolean => {
  const roll = hash(seed, spec.label, "when", digest(context))
  if (spec.throws && roll % 2 === 0) throw thrown(spec.label)
  return roll % 2 === 0
}

export const isOver = (seed: number, spec: LoopSpec, context: Given & { readonly iteration: number }): boolean => {
  const roll = hash(seed, spec.label, "until", digest(context))
  if (spec.throws && roll % 4 === 0) throw thrown(spec.label)
  if (context.iteration === 0) return spec.mayBeEmpty && roll % 3 === 0
  return roll % 3 === 0 || context.iteration >= 4
}
