/**
 * What the steps and predicates of a scenario do. Each answer is a pure function of the seed, the node, its place, the failures
 * before and what it was given, so that two runs of a scenario may be compared whatever happened around them. A place is the
 * passes that the loops around a node are in, the outermost first ("2.0"): rows are counted over the whole run, and a pass that a
 * failure cut off in one run and not in the other would move them.
 */
import type { Json } from "@smithers/core/Codec"
import { hash } from "@smithers/testing/Random"
import {
  type BranchSpec,
  channelOf,
  type LoopSpec,
  type ScopeSpec,
  type StepSpec,
  type Verdict,
  type WaitSpec,
} from "./Scenario.ts"
import { Violation } from "./Violation.ts"
import { given } from "./World.ts"

/** What steps give: `row` is a number when read and text when stored, so that the two cannot be mistaken for each other. */
interface Output {
  readonly from: string
  readonly row: number
  readonly seen: string
}

export type Attempt =
  | { readonly _tag: "Succeeds"; readonly value: Output | undefined; readonly stored: Json | undefined }
  | { readonly _tag: "Fails"; readonly message: string; readonly isRetryable: boolean }

type Given = { readonly [name: string]: unknown }

/** What a predicate is given, but for where it is asked. */
const apart = ({ runId: _, item: __, ...rest }: Given): Given => rest

/** Text that differs wherever two values differ, also where one is absent. */
const digest = (value: unknown): string => hash(text(value) ?? "").toString(36)

/** What depends on the order of things in a value: times and, of an item that failed, which of its failures came first. */
const vague: { readonly [field: string]: unknown } = { decidedAt: 0, error: "(error)" }

/** A value as text, but for what is vague in it. The value of a winner, or of an item, that has none is not there in stored form. */
export const text = (value: unknown): string | undefined =>
  JSON.stringify(value, (key, item: unknown) =>
    item === undefined ? (key === "value" ? undefined : "(absent)") : key in vague ? vague[key] : item,
  )

/** What a step is given that does not depend on the order of completions. */
const certain = (spec: StepSpec, given: Given): Given =>
  Object.fromEntries(
    spec.needs.flatMap(({ name, pass }) => (pass === "current" || pass === "previous" ? [[name, given[name]]] : [])),
  )

/** The attempt that follows `failures` failed ones. */
export const attempt = (seed: number, spec: StepSpec, place: string, failures: number, needs: Given): Attempt => {
  const roll = hash(seed, spec.label, place)
  const fails = (isRetryable: boolean): Attempt => ({
    _tag: "Fails",
    message: `${spec.label}/${place} failed ${failures + 1}`,
    isRetryable,
  })
  if (spec.flaw === "flaky" && failures < Math.min(spec.maxAttempts - 1, 1 + (roll % 2))) return fails(true)
  if (spec.flaw === "failing" && roll % 3 > 0) return fails(true)
  if (spec.flaw === "fatal" && roll % 3 > 0) return fails(failures < (roll >> 4) % spec.maxAttempts)
  if (spec.isVoid) return { _tag: "Succeeds", value: undefined, stored: undefined }
  const seen = digest([certain(spec, needs), place])
  const row = roll % 1000
  return { _tag: "Succeeds", value: { from: spec.label, row, seen }, stored: { from: spec.label, row: String(row), seen } }
}

/** Whether what undoes a step fails for good. */
export const isStuck = (seed: number, spec: StepSpec, place: string): boolean =>
  spec.undo === "failing" && hash(seed, spec.label, place, "undo") % 3 > 0

/** The attempt to undo a step that follows `failures` failed ones; `given` is what the step was given, and its output. */
export const undo = (seed: number, spec: StepSpec, place: string, failures: number, given: Given): Attempt => {
  const { output, ...needs } = given
  const done = attempt(seed, spec, place, Number.POSITIVE_INFINITY, needs)
  const fails = (message: string, isRetryable: boolean): Attempt => ({ _tag: "Fails", message, isRetryable })
  if (done._tag === "Fails" || digest(done.value) !== digest(output)) {
    throw new Violation(`${spec.label}/${place} is undone with ${JSON.stringify(given)}`)
  }
  const roll = hash(seed, spec.label, place, "undo")
  if (spec.undo === "flaky" && failures < Math.min(spec.maxAttempts - 1, 1 + (roll % 2))) return fails("not yet", true)
  if (isStuck(seed, spec, place)) return fails("stuck", roll % 5 > 0)
  return { _tag: "Succeeds", value: undefined, stored: undefined }
}

/** What comes of what is asked of the world. */
export type Answer =
  | { readonly _tag: "Gives"; readonly value: unknown; readonly stored: Json | undefined }
  | { readonly _tag: "Skips" }
  | { readonly _tag: "Fails"; readonly error: string }

/** What comes of a wait, or of the gate of a step. */
export const answer = (spec: WaitSpec | (Verdict & { readonly on: "approval" })): Answer => {
  if (spec.on === "timer") return { _tag: "Gives", value: undefined, stored: undefined }
  const gives = (stored: Json): Answer => ({ _tag: "Gives", value: stored, stored })
  const { verdict, onTimeout } = spec
  if (verdict === "silent" && onTimeout === "fail") return { _tag: "Fails", error: "within" }
  if (verdict === "silent" && onTimeout === "continue") return { _tag: "Skips" }
  if (spec.on === "approval") {
    const approved = verdict === "yes" || (verdict === "silent" && onTimeout === "approve")
    if (!approved && spec.onDeny !== "continue")
      return spec.onDeny === "skip" ? { _tag: "Skips" } : { _tag: "Fails", error: "denied" }
    const timedOut = verdict === "silent"
    return gives({ approved, note: null, decidedBy: timedOut ? null : "ann", decidedAt: 0, timedOut })
  }
  const said = given(spec.on === "signal" ? channelOf(spec) : spec.label)
  return { _tag: "Gives", value: { ...said, row: Number(said.row) }, stored: said }
}

const thrown = (label: string): Error => new Error(`the predicate of ${label} threw`)

export const isSkipped = (seed: number, spec: StepSpec, context: Given): boolean => {
  const { input } = context
  const roll = hash(seed, spec.label, "skip", digest({ input, ...certain(spec, context) }))
  if (spec.skip === "throws" && roll % 3 === 0) throw thrown(spec.label)
  return spec.skip === "sometimes" && roll % 2 === 0
}

export const isTaken = (seed: number, spec: BranchSpec, context: Given): boolean => {
  const { iteration: _, ...given } = apart(context)
  const roll = hash(seed, spec.label, "when", digest(given))
  if (spec.throws && roll % 2 === 0) throw thrown(spec.label)
  return roll % 2 === 0
}

export const isOver = (seed: number, spec: LoopSpec, context: Given & { readonly iteration: number }): boolean => {
  const { iteration, ...given } = apart(context)
  const roll = hash(seed, spec.label, "until", digest({ ...given, iteration }))
  if (spec.throws && roll % 4 === 0) throw thrown(spec.label)
  if (context.iteration === 0) return spec.mayBeEmpty && roll % 3 === 0
  return roll % 3 === 0 || context.iteration >= 4
}

/** Whether the condition of a scope holds: once it does, nothing that comes later makes it false. */
export const isLeft = (seed: number, spec: ScopeSpec, context: Given): boolean =>
  spec.leaves !== "never" &&
  spec.needs.some(({ name }) => context[name] !== undefined && hash(seed, spec.label, name, digest(context[name])) % 3 === 0)
