/**
 * Metrics of the runtime, labelled with the name of the workflow and, for ends, the outcome. Effect metrics: they cost almost
 * nothing until they are read.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import type * as Status from "./Status.ts"

/** Counts runs that were claimed for the first time, created by a caller, a parent or a signal. */
export const runsStarted = Metric.counter("smithers_runs_started_total", { incremental: true, description: "Runs started" })
/** Counts resumed runs: after a crash, a shutdown, a wait or a failure. */
export const runsResumed = Metric.counter("smithers_runs_resumed_total", { incremental: true, description: "Runs resumed" })
/**
 * Counts runs that ended here, by `outcome`: `finished`, `failed` or `cancelled`. A run that is reopened and ends again counts
 * twice.
 */
export const runsEnded = Metric.counter("smithers_runs_ended_total", { incremental: true, description: "Runs ended" })
/** Counts runs that a supervisor in this process resumed. */
export const runsSupervised = Metric.counter("smithers_runs_supervised_total", {
  incremental: true,
  description: "Runs resumed by a supervisor",
})

/** Runs that this process drives now. Starts at 0 in each process. */
export const runsActive = Metric.gauge("smithers_runs_active", { description: "Runs this process drives now" })

/** Counts attempts at steps that started here, retries included. */
export const attemptsStarted = Metric.counter("smithers_attempts_started_total", {
  incremental: true,
  description: "Attempts started",
})
/**
 * Counts attempts that ended here, by `outcome`: `succeeded`, `failed` (retried or not) or `interrupted`. Attempts of a process
 * that died are not counted.
 */
export const attemptsEnded = Metric.counter("smithers_attempts_ended_total", { incremental: true, description: "Attempts ended" })

/** Counts frames committed here, each one transaction. */
export const frames = Metric.counter("smithers_frames_total", { incremental: true, description: "Frames committed" })

/**
 * Duration of attempts in seconds, by the same `outcome`. Upper bounds double from 1 ms to about 17 min: agents take seconds to
 * minutes.
 */
export const attemptDuration = Metric.histogram(
  "smithers_attempt_duration_seconds",
  MetricBoundaries.exponential({ start: 0.001, factor: 2, count: 20 }),
  "Time from the start to the end of an attempt, in seconds",
)

type Outcome = Status.EndedStatus | Exclude<Status.AttemptStatus, "running"> | "suspended"

const tags = new Map<string, Map<Outcome | "", ReadonlyArray<MetricLabel.MetricLabel>>>()

/** The labels of a metric. The same array each time, so that a metric is found without hashing. */
export const tagged = (workflow: string, outcome: Outcome | "" = ""): ReadonlyArray<MetricLabel.MetricLabel> => {
  const known = tags.get(workflow) ?? new Map<Outcome | "", ReadonlyArray<MetricLabel.MetricLabel>>()
  if (known.size === 0) tags.set(workflow, known)
  const found = known.get(outcome)
  if (found !== undefined) return found
  const made = [MetricLabel.make("workflow", workflow), ...(outcome === "" ? [] : [MetricLabel.make("outcome", outcome)])]
  known.set(outcome, made)
  return made
}
