/**
 * What the runtime counts. Effect metrics: they cost next to nothing until something reads them.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

export const runsStarted = Metric.counter("smithers_runs_started_total", { incremental: true, description: "Runs created" })
export const runsResumed = Metric.counter("smithers_runs_resumed_total", { incremental: true, description: "Runs taken up again" })
export const runsFinished = Metric.counter("smithers_runs_finished_total", {
  incremental: true,
  description: "Runs ended with an output",
})
export const runsFailed = Metric.counter("smithers_runs_failed_total", {
  incremental: true,
  description: "Runs ended by a failure",
})
export const runsCancelled = Metric.counter("smithers_runs_cancelled_total", { incremental: true, description: "Runs cancelled" })
/** Runs that a supervisor took up. */
export const runsSupervised = Metric.counter("smithers_runs_supervised", { incremental: true })

export const runsActive = Metric.gauge("smithers_runs_active", { description: "Runs this process works on now" })

export const attemptsStarted = Metric.counter("smithers_attempts_started_total", {
  incremental: true,
  description: "Attempts started",
})
export const attemptsSucceeded = Metric.counter("smithers_attempts_succeeded_total", {
  incremental: true,
  description: "Attempts that gave a valid output",
})
export const attemptsFailed = Metric.counter("smithers_attempts_failed_total", {
  incremental: true,
  description: "Attempts that failed, to be retried or not",
})
export const attemptsInterrupted = Metric.counter("smithers_attempts_interrupted_total", {
  incremental: true,
  description: "Attempts ended by a crash, a shutdown or a cancellation",
})

export const frames = Metric.counter("smithers_frames_total", { incremental: true, description: "Frames committed" })

/** Upper bounds in milliseconds, doubling from 1 ms to about 17 min: agents take seconds to minutes. */
export const attemptDuration = Metric.histogram(
  "smithers_attempt_duration_ms",
  MetricBoundaries.exponential({ start: 1, factor: 2, count: 20 }),
  "Time from the start to the end of an attempt, in milliseconds",
)
