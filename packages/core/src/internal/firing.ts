/**
 * What becomes of a schedule at a time: its due ticks, and the runs that they start. Pure.
 */
import * as Either from "effect/Either"
import type { Json } from "../Codec.ts"
import * as Millis from "../Millis.ts"
import type { NewRun } from "../RunOwnership.ts"
import * as Schedules from "../Schedules.ts"
import * as Ticks from "./ticks.ts"

/** Pause of a schedule whose next tick cannot be computed, such as in a zone that this machine does not know (ms). */
const pauseMs = Millis.make(300_000)

/** Ticks that are counted exactly when they are missed together. */
const mostCounted = 1000

/** The run of a tick. */
const newRunOf = ({ workflow, source, input, tags }: Schedules.Schedule): NewRun => ({
  workflow,
  version: undefined,
  // It is read from the store, and so JSON.
  input: input as Json | undefined,
  tags,
  ...(source === null ? {} : { source }),
})

/** The schedule with its next tick after a time. */
export const from = (schedule: Schedules.Schedule, ticks: Ticks.Ticks, time: Millis.Millis): Schedules.Schedule => {
  const tick = ticks.after(time)
  return { ...schedule, tick, dueAt: Millis.after(tick, Schedules.jitterOf(schedule, tick)) }
}

/** A schedule as it is decided on, with what follows. */
const deciding = (before: Schedules.Schedule, isBusyBefore: boolean, now: Millis.Millis) => {
  let schedule: Schedules.Schedule = { ...before, decidedAt: now, error: null }
  let isBusy = isBusyBefore
  const starts: Array<{ readonly runId: string; readonly create: NewRun }> = []
  const cancels: Array<string> = []
  const ticks: Array<Schedules.Tick> = []
  const { scheduleId, overlap } = before
  const note = (tick: Millis.Millis, outcome: Schedules.TickOutcome, detail: string | null, runId: string | null = null): void => {
    ticks.push({ scheduleId, tick, at: now, outcome, runId, detail })
  }
  const start = (tick: Millis.Millis): void => {
    const runId = Schedules.runIdOf(scheduleId, tick)
    starts.push({ runId, create: newRunOf(schedule) })
    note(tick, "started", null, runId)
    schedule = { ...schedule, lastRunId: runId }
    isBusy = true
  }
  const queue = (tick: Millis.Millis): void => {
    schedule = { ...schedule, queued: [...schedule.queued, tick] }
    note(tick, "queued", `it waits for the end of run ${schedule.lastRunId}`)
  }
  return {
    note,
    get schedule() {
      return schedule
    },
    set schedule(next) {
      schedule = next
    },
    get isBusy() {
      return isBusy
    },
    /** Starts the first queued tick once nothing is in its way. */
    startQueued: (): void => {
      const [first, ...queued] = schedule.queued
      if (first === undefined || isBusy) return
      schedule = { ...schedule, queued }
      start(first)
    },
    /** Makes a due tick. `others` are due as well, and later. */
    make: (tick: Millis.Millis, hasLater: boolean): void => {
      // It came before a clock was set back.
      if (schedule.queued.includes(tick)) return
      if (overlap === "cancel-other") {
        if (hasLater) return note(tick, "skipped", "a later tick was due as well")
        if (!isBusy) return start(tick)
        for (const replaced of schedule.queued) note(replaced, "skipped", "a later tick came before it could start")
        schedule = { ...schedule, queued: [] }
        if (schedule.lastRunId !== null) cancels.push(schedule.lastRunId)
        return queue(tick)
      }
      if (!isBusy) return start(tick)
      if (overlap === "skip") return note(tick, "skipped", `run ${schedule.lastRunId} has not ended`)
      if (schedule.queued.length >= Schedules.mostQueued)
        return note(tick, "skipped", `${Schedules.mostQueued} ticks wait for the end of run ${schedule.lastRunId}`)
      queue(tick)
    },
    result: (): Schedules.ScheduleWrite => ({ schedule, starts, cancels, ticks }),
  }
}

/** Decides what becomes of the due ticks of a schedule. */
export const decide = ({ schedule, isBusy }: Schedules.DueSchedule, now: Millis.Millis): Schedules.ScheduleWrite => {
  const decision = deciding(schedule, isBusy, now)
  decision.startQueued()
  if (schedule.tick === null) return decision.result()
  const read = Ticks.make(schedule.cron, schedule.tz)
  if (Either.isLeft(read)) {
    const { of, expected } = read.left
    const message = `its ${of} is ${JSON.stringify(schedule[of])}, and must be ${expected}`
    const error = { at: now, name: "InvalidSetting", message }
    decision.schedule = { ...decision.schedule, error, dueAt: Millis.after(now, pauseMs) }
    return decision.result()
  }
  const ticks = read.right
  // The clock was set back: ticks that have been made have started runs of the same ids.
  if (schedule.decidedAt > now + Schedules.setBackMs) {
    decision.schedule = from(decision.schedule, ticks, now)
    return decision.result()
  }
  const oldest = now - schedule.catchUpMs
  const due: Array<Millis.Millis> = []
  let missed: { readonly first: Millis.Millis; count: number } | undefined
  let next = decision.schedule
  for (let { tick, dueAt } = next; tick !== null && dueAt !== null && dueAt <= now; { tick, dueAt } = next) {
    if (dueAt >= oldest) due.push(tick)
    else if (missed === undefined) missed = { first: tick, count: 1 }
    else missed.count++
    const isFar = missed !== undefined && missed.count >= mostCounted
    const skipped = oldest - schedule.jitterMs - 1
    next = from(next, ticks, isFar && skipped > tick ? Millis.make(skipped) : tick)
  }
  decision.schedule = next
  if (missed !== undefined) {
    const count =
      missed.count > mostCounted ? `more than ${mostCounted} ticks` : missed.count === 1 ? "1 tick" : `${missed.count} ticks`
    decision.note(missed.first, "missed", `${count}, since nothing supervised the store`)
  }
  for (const [index, tick] of due.entries()) decision.make(tick, index < due.length - 1)
  return decision.result()
}

/** Decides on a tick that a person asks for. `undefined` if the run before has not ended, and ticks are skipped then. */
export const decideNow = ({ schedule, isBusy }: Schedules.DueSchedule, now: Millis.Millis): Schedules.ScheduleWrite | undefined => {
  if (isBusy && schedule.overlap === "skip") return undefined
  const decision = deciding(schedule, isBusy, now)
  decision.startQueued()
  decision.make(now, false)
  return decision.result()
}

/** The same decision without its runs: a run of another workflow has the id of one. */
export const refused = (
  { schedule }: Schedules.DueSchedule,
  write: Schedules.ScheduleWrite,
  runId: string,
  now: Millis.Millis,
): Schedules.ScheduleWrite => {
  const message = `Run "${runId}" is of another workflow, so no run of "${schedule.workflow}" can start under this id`
  const isRefused = (tick: Schedules.Tick): boolean => tick.outcome === "started" && tick.runId === runId
  return {
    schedule: { ...write.schedule, lastRunId: schedule.lastRunId, error: { at: now, name: "RunIdTaken", message } },
    starts: write.starts.filter((start) => start.runId !== runId),
    cancels: write.cancels,
    ticks: write.ticks.map((tick) => (isRefused(tick) ? { ...tick, outcome: "refused", runId: null, detail: message } : tick)),
  }
}
