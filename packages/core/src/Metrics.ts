/**
 * What the runtime counts, by the name of the workflow and, where something ends, by its outcome. Effect metrics: they cost next to nothing until
 * something reads them.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import type * as Status from "./Status.ts"

/** Counts runs that were claimed for the first time, whoever created them: a caller, a parent, or a signal. */
export const runsStarted = Metric.counter("smithers_runs_started_total", { incremental: true, description: "Runs begun" })
/** Counts how often runs were taken up again here, after a crash, a shutdown, a wait or a failure. */
export const runsResumed = Metric.counter("smithers_runs_resumed_total", { incremental: true, description: "Runs taken up again" })
/** Counts runs that ended here, by `outcome`: `finished`, `failed` or `cancelled`. One that is resumed and ends again counts twice. */
export const runsEnded = Metric.counter("smithers_runs_ended_total", { incremental: true, description: "Runs ended" })
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
/**
 * Counts attempts that ended here, by `outcome`: `succeeded`, `failed`, whether they are retried or not, or `interrupted`. Those of a process that died
 * are not counted: nobody saw them end.
 */
export const attemptsEnded = Metric.counter("smithers_attempts_ended_total", { incremental: true, description: "Attempts ended" })

/** Counts frames committed here: each is one transaction. */
export const frames = Metric.counter("smithers_frames_total", { incremental: true, description: "Frames committed" })

/** Seconds, by `outcome` as attempts are counted. Upper bounds double from 1 ms to about 17 min: agents take seconds to minutes. */
export const attemptDuration = Metric.histogram(
  "smithers_attempt_duration_seconds",
  MetricBoundaries.exponential({ start: 0.001, factor: 2, count: 20 }),
  "Time from the start to the end of an attempt, in seconds",
)

type Outcome = Status.EndedStatus | Exclude<Status.AttemptStatus, "running">

const tags = new Map<string, Map<Outcome | "", ReadonlyArray<MetricLabel.MetricLabel>>>()

/** The tags of what is counted. The same array each time, by which a metric finds its place without hashing. */
export const tagged = (workflow: string, outcome: Outcome | "" = ""): ReadonlyArray<MetricLabel.MetricLabel> => {
  const known = tags.get(workflow) ?? new Map<Outcome | "", ReadonlyArray<MetricLabel.MetricLabel>>()
  if (known.size === 0) tags.set(workflow, known)
  const found = known.get(outcome)
  if (found !== undefined) return found
  const made = [MetricLabel.make("workflow", workflow), ...(outcome === "" ? [] : [MetricLabel.make("outcome", outcome)])]
  known.set(outcome, made)
  return made
}
