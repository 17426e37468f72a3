/**
 * What the runtime counts. Effect metrics: they cost next to nothing until something reads them.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/** Counts runs that were claimed for the first time, whoever created them: a caller, a parent, or a signal. */
export const runsStarted = Metric.counter("smithers_runs_started_total", { incremental: true, description: "Runs begun" })
/** Counts how often runs were taken up again here, after a crash, a shutdown, a wait or a failure. */
export const runsResumed = Metric.counter("smithers_runs_resumed_total", { incremental: true, description: "Runs taken up again" })
/** Counts runs that ended here with an output. */
export const runsFinished = Metric.counter("smithers_runs_finished_total", {
  incremental: true,
  description: "Runs ended with an output",
})
/** Counts runs that ended here by a failure; one that is resumed and fails again counts twice. */
export const runsFailed = Metric.counter("smithers_runs_failed_total", {
  incremental: true,
  description: "Runs ended by a failure",
})
/** Counts runs that ended here because they were cancelled. */
export const runsCancelled = Metric.counter("smithers_runs_cancelled_total", { incremental: true, description: "Runs cancelled" })
/** Counts how often a supervisor in this process took up a run. */
export const runsSupervised = Metric.counter("smithers_runs_supervised_total", {
  incremental: true,
  description: "Runs taken up by a supervisor",
})

/** The runs that this process works on now. Begins at 0 in each process. */
export const runsActive = Metric.gauge("smithers_runs_active", { description: "Runs this process works on now" })

/** Counts attempts at steps that began here, the first ones and retries. */
export const attemptsStarted = Metric.counter("smithers_attempts_started_total", {
  incremental: true,
  description: "Attempts started",
})
/** Counts attempts that gave a valid output. */
export const attemptsSucceeded = Metric.counter("smithers_attempts_succeeded_total", {
  incremental: true,
  description: "Attempts that gave a valid output",
})
/** Counts attempts that failed, whether they are retried or not. */
export const attemptsFailed = Metric.counter("smithers_attempts_failed_total", {
  incremental: true,
  description: "Attempts that failed, to be retried or not",
})
/** Counts attempts that were interrupted here. Those of a process that died are not counted: nobody saw them end. */
export const attemptsInterrupted = Metric.counter("smithers_attempts_interrupted_total", {
  incremental: true,
  description: "Attempts interrupted while their process lived",
})

/** Counts frames committed here: each is one transaction. */
export const frames = Metric.counter("smithers_frames_total", { incremental: true, description: "Frames committed" })

/** Upper bounds in milliseconds, doubling from 1 ms to about 17 min: agents take seconds to minutes. */
export const attemptDuration = Metric.histogram(
  "smithers_attempt_duration_ms",
  MetricBoundaries.exponential({ start: 1, factor: 2, count: 20 }),
  "Time from the start to the end of an attempt, in milliseconds",
)
