/** Drives a schedule by hand, one frame at a time: the test says what happened, and sees what follows. */
import type { Json } from "@smithers/core/Codec"
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Scheduler from "@smithers/core/Scheduler"

/** What followed from a frame. */
interface Frame {
  /** Ids of the steps that started, in order. */
  readonly started: ReadonlyArray<string>
  /** Everything else that happened by the plan alone. */
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<NodeKey>
  readonly wakeAt: number | undefined
  readonly outcome: Scheduler.Outcome | undefined
}

export interface Stepper {
  readonly plan: Plan.Plan
  readonly schedule: () => Scheduler.Schedule
  readonly state: () => RunState.RunState
  readonly values: Scheduler.Values
  /** Takes events, which happen `now`. */
  readonly frame: (...events: ReadonlyArray<RunEvent>) => Frame
  readonly succeed: (id: string, value?: Json) => Frame
  readonly fail: (id: string, options?: { readonly retryAt?: number; readonly isSoft?: boolean }) => Frame
  readonly interrupt: (id: string) => Frame
  /** As if the process had died: what ran is interrupted, and the schedule is made anew. */
  readonly restart: () => Frame
  /** Makes the schedule anew in the middle of everything, as when the plan has changed. */
  readonly replan: (root: Plan.Node) => Frame
  readonly wait: (ms: number) => Frame
  readonly step: (id: string, iteration?: number) => Records.StepRecord | undefined
  readonly needs: (id: string) => ReturnType<Scheduler.Schedule["needs"]>
}

const error = { name: "Error", message: "no", retryable: true }

export const make = (
  root: Plan.Node,
  { maxConcurrency = 4, input = {} as unknown, pending = [] as ReadonlyArray<Plan.PendingRead> } = {},
): Stepper => {
  let plan = PlanLayout.make("w", root, pending)
  const outputs = new Map<NodeKey, unknown>()
  const values: Scheduler.Values = { input, outputs }
  const newSchedule = () => Scheduler.make(plan, values, { maxConcurrency })
  let schedule = newSchedule()
  let state = RunState.empty("r")
  let now = Millis.zero

  const apply = (events: ReadonlyArray<RunEvent>): void => {
    for (const event of events) state = RunState.apply(state, event, now)
  }
  const settle = (events: ReadonlyArray<RunEvent>): Frame => {
    const consequences = schedule.advance(state, events, now)
    const decision = schedule.next()
    state = decision.state
    const { wakeAt, outcome } = decision
    const started = decision.starts.map(({ step }) => step.id)
    return { started, events: consequences.events, interrupts: consequences.interrupts.map(({ key }) => key), wakeAt, outcome }
  }
  const frame = (...events: ReadonlyArray<RunEvent>): Frame => {
    apply(events)
    return settle(events)
  }
  const running = (id: string) => {
    for (const [, record] of state.nodes) {
      if (record.kind === "step" && record.nodeId === id && record.status === "running") {
        return { nodeId: id, iteration: record.iteration, attempt: record.attempt }
      }
    }
    throw new Error(`${id} does not run`)
  }
  const interrupted = (id: string, reason: "crash" | "shutdown"): RunEvent => ({
    _tag: "AttemptInterrupted",
    ...running(id),
    reason,
  })

  return {
    get plan() {
      return plan
    },
    schedule: () => schedule,
    state: () => state,
    values,
    frame,
    succeed: (id, value = id) => {
      const at = running(id)
      outputs.set(nodeKey(id, at.iteration), value)
      return frame({ _tag: "AttemptSucceeded", ...at, table: "t", output: value })
    },
    fail: (id, { retryAt, ...options } = {}) => {
      const again = retryAt === undefined ? {} : { retryAt: Millis.make(retryAt) }
      return frame({ _tag: "AttemptFailed", ...running(id), error, ...options, ...again })
    },
    interrupt: (id) => frame(interrupted(id, "shutdown")),
    restart: () => {
      for (const [, record] of state.nodes) {
        if (record.kind === "step" && record.status === "running") apply([interrupted(record.nodeId, "crash")])
      }
      schedule = newSchedule()
      return settle([])
    },
    replan: (changed) => {
      plan = PlanLayout.make("w", changed)
      schedule = newSchedule()
      return settle([])
    },
    wait: (ms) => {
      now = Millis.make(now + ms)
      return settle([])
    },
    step: (id, iteration = 0) => RunState.step(state, id, iteration),
    needs: (id) => schedule.needs(plan.positions.get(id) as number),
  }
}
