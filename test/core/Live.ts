/** Waits as nodes of a plan, and a schedule that is kept up to date from outside. */
import * as Codec from "@smithers/core/Codec"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

export const wait = (id: string, target: Plan.WaitTarget, options: Partial<Plan.Wait> = {}): Plan.Wait => ({
  _tag: "Wait",
  id,
  label: undefined,
  meta: undefined,
  needs: [],
  codec: Codec.makeUnknown(Schema.Unknown),
  table: undefined,
  skipIf: undefined,
  target,
  timeoutMs: undefined,
  onTimeout: "fail",
  ...options,
})
export const signal = (id: string, options: Partial<Plan.Wait> = {}) =>
  wait(id, { kind: "signal", name: "go", correlation: undefined }, options)
export const timer = (id: string, ms: number) => wait(id, { kind: "timer", due: Millis.make(ms) })
export const approval = (id: string, options: Partial<Plan.Wait> = {}) =>
  wait(id, { kind: "approval", request: () => ({ title: id }), onDeny: "fail", approvers: undefined }, options)

/** A schedule, driven from outside by events at a time. */
export const live = (root: Plan.Node, from = RunState.empty("r")) => {
  const plan = PlanLayout.make("w", root)
  const schedule = Scheduler.make(
    plan,
    { input: {}, outputs: new Map() },
    { maxConcurrency: 4, accept: (_, __, given) => Either.right(given as Codec.Json) },
  )
  let state = from
  const at = (ms: number, ...given: ReadonlyArray<RunEvent>) => {
    const now = Millis.make(ms)
    for (const event of given) state = RunState.apply(state, event, now)
    const events: Array<RunEvent> = []
    for (let absorbed = given; ; absorbed = []) {
      const consequences = schedule.advance(state, absorbed, now)
      const decision = schedule.next()
      state = decision.state
      events.push(...consequences.events, ...decision.events)
      if (!decision.isPartial) return { ...decision, events }
    }
  }
  return { at, state: () => state }
}
export const received = (id: string): RunEvent => ({ _tag: "SignalReceived", id, name: "go", payload: id })
