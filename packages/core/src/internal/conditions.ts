/**
 * Authors' functions that a schedule calls during its walk: conditions of branches and loops, `skipIf`, and requests of waits.
 * A throw fails the node of the function.
 */
import { alwaysTrue } from "../Condition.ts"
import { cutMessage } from "../ErrorInfo.ts"
import { type ErrorInfo, InvalidCondition, InvalidRequest, UnknownCase } from "../Errors.ts"
import * as Plan from "../Plan.ts"
import type { FailureCause } from "../RunEvent.ts"
import * as Thrown from "../Thrown.ts"
import type { Agenda } from "./agenda.ts"
import { failureOf } from "./caught.ts"
import type { Journal } from "./journal.ts"
import type { ReadTracker } from "./readTracker.ts"
import type { View } from "./view.ts"
import type { Withdrawals } from "./withdrawals.ts"

/** The schedule that conditions belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly journal: Journal
  readonly agenda: Pick<Agenda, "complete">
  readonly reads: ReadTracker
  readonly withdrawals: Pick<Withdrawals, "close">
  readonly fail: (position: number, reason: FailureCause["reason"]) => void
}

export interface Conditions {
  /** Calls an author's function. Returns `undefined` if it threw, which fails the node. */
  readonly evaluate: <A>(position: number, run: () => A, functionName: string) => A | undefined
  /** The index of the arm that a branch takes; -1 for none. Throws the error of its function, or `UnknownCase`. */
  readonly choose: (position: number, branch: Plan.Branch) => number
  /** Like {@link choose}, but a throw fails the branch and returns `undefined`. */
  readonly chosen: (position: number, branch: Plan.Branch) => number | undefined
  /** Evaluates the `until` of a loop; `undefined` if it threw, which fails the loop. */
  readonly isLoopOver: (position: number) => boolean | undefined
  /**
   * Calls the filter of a try with a failure inside. Returns `undefined` if it is caught, otherwise the failure to propagate.
   * That is the same one or, if the filter threw, its error with the failure as its cause.
   */
  readonly passedOn: (position: number, node: Plan.TryCatch, cause: FailureCause) => FailureCause | undefined
  /** Evaluates a named condition, with `given` beside the needs. Returns `undefined` if it threw, which fails the node. */
  readonly holds: (
    position: number,
    name: string,
    condition: (context: Record<string, unknown>) => unknown,
    extra?: object,
  ) => boolean | undefined
  /** Evaluates `skipIf`. Returns whether the node has ended: skipped, or failed by a throw. */
  readonly isSkipped: (position: number, node: Plan.Step | Plan.Wait) => boolean
}

/** The conditions of a plan. */
export const make = ({ plan, view, journal, agenda, reads, withdrawals, fail }: Host): Conditions => {
  const { state, emit } = journal
  /** Throws for a value that is always truthy. */
  const holds = (position: number, condition: string, value: unknown): boolean => {
    const late = alwaysTrue(value)
    if (late === undefined) return Boolean(value)
    throw new InvalidCondition({ nodeId: view.nameOf(position), condition, received: late })
  }
  const evaluate: Conditions["evaluate"] = (position, run, functionName) => {
    try {
      return run()
    } catch (thrown) {
      failFunction(position, functionName, thrown)
      return undefined
    }
  }
  const failFunction = (position: number, functionName: string, thrown: unknown): void => {
    const node = plan.node(position)
    const error = errorOf(functionName, thrown)
    if (Plan.isLeaf(node)) {
      const record = view.stepRecord(position)
      if (record?.status === "waiting") withdrawals.close(record, "left-plan")
      const isSoft = node._tag === "Step" && node.continueOnFail
      const soft = isSoft ? { isSoft: true } : {}
      emit({ _tag: "NodeFailed", nodeId: node.id, iteration: view.iterationOf(position), error, ...soft })
      if (isSoft) return agenda.complete(position)
    }
    fail(position, { _tag: "Error", error })
  }
  const choose: Conditions["choose"] = (position, { arms, choice }) => {
    const context = view.context(position)
    if (choice.kind === "when") return holds(position, "when", choice.when(context)) ? 0 : arms.length > 1 ? 1 : -1
    const value = choice.on(context)
    const isName = typeof value === "string" || typeof value === "number"
    const index = isName ? choice.cases.indexOf(String(value)) : -1
    if (index >= 0) return index
    if (isName && arms.length > choice.cases.length) return choice.cases.length
    throw new UnknownCase({
      nodeId: view.nameOf(position),
      received: isName ? cutMessage(JSON.stringify(value)) : (alwaysTrue(value) ?? Thrown.show(value)),
      cases: choice.cases,
      isName,
    })
  }
  return {
    evaluate,
    choose,
    chosen: (position, branch) => evaluate(position, () => choose(position, branch), branch.choice.kind === "when" ? "when" : "on"),
    holds: (position, name, condition, extra = {}) =>
      evaluate(position, () => holds(position, name, condition(Object.assign(extra, view.context(position)))), name),
    isLoopOver: (position) => {
      const { until } = plan.loop(position)
      const iteration = view.loopRecord(position)?.passes ?? 0
      const output = iteration === 0 ? undefined : view.value(position + 1)
      return evaluate(
        position,
        () => holds(position, "until", until({ ...view.context(position), output, iteration }, state(), reads.noteFor(position))),
        "until",
      )
    },
    passedOn: (position, { id, catchWhen }, cause) => {
      if (catchWhen === undefined) return undefined
      const option = plan.isRendered ? "catchWhen" : "when"
      const failure = failureOf(cause, (nodeId) => Plan.errorOf(plan, nodeId))
      try {
        return holds(position, option, catchWhen(failure)) ? undefined : cause
      } catch (thrown) {
        const { nodeId: _, iteration: __, issues: ___, declared: ____, ...from } = failure
        const error = { ...errorOf(option, thrown), cause: from }
        return { nodeId: id, iteration: view.iterationOf(position), reason: { _tag: "Error", error } }
      }
    },
    isSkipped: (position, { id, skipIf }) => {
      if (skipIf === undefined) return false
      const isTrue = (): boolean => holds(position, "skipIf", skipIf(view.context(position), state(), reads.noteFor(position)))
      const isSkipped = evaluate(position, isTrue, "skipIf")
      if (isSkipped !== true) return isSkipped === undefined
      emit({ _tag: "NodeSkipped", nodeId: id, iteration: view.iterationOf(position), ...reads.readsOf(position) })
      agenda.complete(position)
      return true
    },
  }
}

const errorOf = (functionName: string, thrown: unknown): ErrorInfo => {
  const raised = { ...Thrown.describe(thrown), retryable: false, notRetried: "plan" } as const
  if (thrown instanceof InvalidRequest || thrown instanceof InvalidCondition || thrown instanceof UnknownCase) return raised
  return { ...raised, message: `its "${functionName}" threw: ${raised.message}` }
}
