/**
 * The metrics of a process and of a store, for Prometheus. Counters and histograms are of this process alone; gauges of runs, waits
 * and commands are computed from the store, whichever process works on them.
 */
import type { StoreError } from "@smithers/core/Errors"
import type { RunReaderShape, StoreStatistics } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as Prometheus from "./Prometheus.ts"

/** Prefix of the metrics that are shown. Those of Effect and of other libraries have exporters of their own. */
const prefix = "smithers_"

const histogramSamples = (
  labels: Prometheus.Sample["labels"],
  { buckets, count, sum }: MetricState.MetricState.Histogram,
): ReadonlyArray<Prometheus.Sample> => {
  const finite = [...buckets].filter(([bound]) => Number.isFinite(bound))
  const bucketed = [...finite, [Number.POSITIVE_INFINITY, count] as const].map(([bound, value]) => ({
    labels: { ...labels, le: Prometheus.numberOf(bound) },
    value,
    suffix: "_bucket" as const,
  }))
  return [...bucketed, { labels, value: sum, suffix: "_sum" }, { labels, value: count, suffix: "_count" }]
}

/** The metrics of the runtime in this process. */
export const ofProcess = (): ReadonlyArray<Prometheus.Family> => {
  const families = new Map<string, Prometheus.Family & { readonly samples: Array<Prometheus.Sample> }>()
  for (const { metricKey, metricState } of Metric.unsafeSnapshot()) {
    const { name } = metricKey
    if (!name.startsWith(prefix)) continue
    const labels = Object.fromEntries(metricKey.tags.map(({ key, value }) => [key, value]))
    const of = (type: Prometheus.Family["type"], samples: ReadonlyArray<Prometheus.Sample>): void => {
      const help = Option.getOrElse(metricKey.description, () => name)
      const family = families.get(name) ?? { name, help, type, samples: [] }
      family.samples.push(...samples)
      families.set(name, family)
    }
    if (MetricState.isCounterState(metricState)) of("counter", [{ labels, value: Number(metricState.count) }])
    else if (MetricState.isGaugeState(metricState)) of("gauge", [{ labels, value: Number(metricState.value) }])
    else if (MetricState.isHistogramState(metricState)) of("histogram", histogramSamples(labels, metricState))
  }
  return [...families.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

const gauge = (name: string, help: string, samples: ReadonlyArray<Prometheus.Sample>): Prometheus.Family => ({
  name: `${prefix}${name}`,
  help,
  type: "gauge",
  samples,
})

const unlabelled = (value: number): ReadonlyArray<Prometheus.Sample> => [{ labels: {}, value }]

/** Seconds since a time; 0 if there is none, or if it lies ahead by another clock. */
const secondsSince = (since: number | null, now: number): number => (since === null ? 0 : Math.max(0, now - since) / 1000)

/**
 * The gauges of a store. A workflow that the store knows has a sample for every status, so that a count that falls to 0 is a 0 and
 * no gap.
 */
export const ofStore = (statistics: StoreStatistics): ReadonlyArray<Prometheus.Family> => {
  const { at, runs, waits, due, pendingCommands, oldestCommandAt, bytes } = statistics
  const workflows = [...new Set(runs.map(({ workflow }) => workflow))].toSorted()
  const counts = new Map(runs.map(({ workflow, status, count }) => [JSON.stringify([workflow, status]), count]))
  const byKind = waits.toSorted((one, other) => (one.kind < other.kind ? -1 : 1))
  const ages = byKind.map(({ kind, oldestSince }) => ({ labels: { kind }, value: secondsSince(oldestSince, at) }))
  return [
    gauge(
      "runs",
      "Runs in the database by workflow and status",
      workflows.flatMap((workflow) =>
        Status.ShownStatus.literals.map((status) => ({
          labels: { status, workflow },
          value: counts.get(JSON.stringify([workflow, status])) ?? 0,
        })),
      ),
    ),
    gauge("due_runs", "Runs that no process works on and that could continue now", unlabelled(due)),
    gauge(
      "open_waits",
      "Open waits in the database by kind",
      byKind.map(({ kind, count }) => ({ labels: { kind }, value: count })),
    ),
    gauge("oldest_wait_age_seconds", "Age of the oldest open wait by kind, in seconds", ages),
    gauge("inbox_commands", "Commands that no run has applied yet", unlabelled(pendingCommands)),
    gauge(
      "oldest_command_age_seconds",
      "Age of the oldest command that no run has applied yet, in seconds",
      unlabelled(secondsSince(oldestCommandAt, at)),
    ),
    ...(bytes === null ? [] : [gauge("database_size_bytes", "Size of the database with its log, in bytes", unlabelled(bytes))]),
  ]
}

/** Time for which counts of the store are reused, so that several scrapers cost no more than one. */
export const cacheFor = "1 second"

/** Makes the effect that formats the metrics of this process and of a store. The store is read once a second at most. */
export const make = ({ statistics }: Pick<RunReaderShape, "statistics">): Effect.Effect<Effect.Effect<string, StoreError>> =>
  Effect.map(
    Effect.cachedWithTTL(statistics, cacheFor),
    Effect.map((counted) => Prometheus.text([...ofStore(counted), ...ofProcess()])),
  )

/** Formats the metrics of a store once. */
export const once = ({ statistics }: Pick<RunReaderShape, "statistics">): Effect.Effect<string, StoreError> =>
  Effect.flatMap(make({ statistics }), (text) => text)
