/** The timeline of a run: lanes of steps with their attempts, the gaps before retries, waits and heartbeats. Pure. */
import type { AttemptStatus } from "@smithers/core/Status"

/** An attempt at a step, as it is stored. */
export interface AttemptTimes {
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly status: AttemptStatus
  readonly startedAt: number | null
  readonly finishedAt: number | null
  readonly heartbeatAt: number | null
}

/** A wait, open or closed. */
export interface WaitTimes {
  readonly nodeId: string
  readonly iteration: number
  readonly kind: string
  readonly status: string
  readonly since: number
  readonly endedAt: number | null
  readonly deadline: number | null
}

export interface Span {
  readonly kind: "attempt" | "retry" | "wait"
  readonly from: number
  readonly to: number
  /** `true` if it has not ended. */
  readonly isOpen: boolean
  readonly attempt: number
  /** Of an attempt its status, of a wait its kind. */
  readonly status: string
  readonly heartbeatAt: number | null
}

export interface Lane {
  readonly nodeId: string
  readonly iteration: number
  readonly spans: ReadonlyArray<Span>
  readonly from: number
  readonly to: number
}

/** Lanes in the order in which they began. `retries` has the time of the next attempt of steps that wait for it. */
export const lanes = (attempts: ReadonlyArray<AttemptTimes>, waits: ReadonlyArray<WaitTimes>, now: number): ReadonlyArray<Lane> => {
  const found = new Map<string, { readonly nodeId: string; readonly iteration: number; readonly spans: Array<Span> }>()
  const laneOf = (nodeId: string, iteration: number): Array<Span> => {
    const key = `${nodeId}\u0000${iteration}`
    const lane = found.get(key) ?? { nodeId, iteration, spans: [] }
    found.set(key, lane)
    return lane.spans
  }
  for (const { nodeId, iteration, attempt, status, startedAt, finishedAt, heartbeatAt } of attempts) {
    if (startedAt === null) continue
    const to = finishedAt ?? Math.max(now, startedAt)
    laneOf(nodeId, iteration).push({
      kind: "attempt",
      from: startedAt,
      to,
      isOpen: finishedAt === null,
      attempt,
      status,
      heartbeatAt,
    })
  }
  for (const { nodeId, iteration, kind, since, endedAt, status, deadline } of waits) {
    const isOpen = status === "open"
    // A retry that is not due yet reaches into the time to come.
    const to = endedAt ?? (kind === "retry" && deadline !== null ? Math.max(deadline, since) : Math.max(now, since))
    laneOf(nodeId, iteration).push({
      kind: kind === "retry" ? "retry" : "wait",
      from: since,
      to,
      isOpen,
      attempt: 0,
      status: kind,
      heartbeatAt: null,
    })
  }
  return [...found.values()]
    .map(({ nodeId, iteration, spans }): Lane => {
      const sorted = withGaps(spans.toSorted((left, right) => left.from - right.from || left.to - right.to))
      return {
        nodeId,
        iteration,
        spans: sorted,
        from: sorted.reduce((least, { from }) => Math.min(least, from), Number.POSITIVE_INFINITY),
        to: sorted.reduce((most, { to }) => Math.max(most, to), 0),
      }
    })
    .sort((left, right) => left.from - right.from || left.nodeId.localeCompare(right.nodeId) || left.iteration - right.iteration)
}

/** Puts the gap before each retry between two attempts, where no wait stands there. */
const withGaps = (spans: ReadonlyArray<Span>): ReadonlyArray<Span> => {
  const found: Array<Span> = []
  for (const span of spans) {
    const before = found.at(-1)
    if (before?.kind === "attempt" && span.kind === "attempt" && span.from > before.to) {
      found.push({
        kind: "retry",
        from: before.to,
        to: span.from,
        isOpen: false,
        attempt: span.attempt,
        status: "retry",
        heartbeatAt: null,
      })
    }
    found.push(span)
  }
  return found
}

/** A stretch of time without any attempt at work. */
export interface Idle {
  readonly from: number
  readonly to: number
}

/** Stretches in which nothing was at work, longer than a share of the time in which something was. */
export const idleOf = (lanes: ReadonlyArray<Lane>, from: number, to: number, share = 0.08): ReadonlyArray<Idle> => {
  const busy = lanes
    .flatMap(({ spans }) => spans.filter(({ kind }) => kind === "attempt"))
    .map((span) => ({ from: Math.max(span.from, from), to: Math.min(span.to, to) }))
    .filter((span) => span.to >= span.from)
    .sort((left, right) => left.from - right.from)
  const gaps: Array<Idle> = []
  let [reached, worked] = [from, 0]
  for (const span of busy) {
    if (span.from > reached) gaps.push({ from: reached, to: span.from })
    worked += Math.max(0, span.to - Math.max(span.from, reached))
    reached = Math.max(reached, span.to)
  }
  if (to > reached) gaps.push({ from: reached, to })
  const least = Math.max(1_000, worked * share)
  return gaps.filter((gap) => gap.to - gap.from > least)
}

/** Time as a place from 0 to 1, with idle stretches cut short. */
export interface Scale {
  readonly from: number
  readonly to: number
  readonly place: (at: number) => number
  readonly time: (place: number) => number
  /** Idle stretches with their places. */
  readonly cuts: ReadonlyArray<Idle & { readonly start: number; readonly end: number }>
}

/** Share of the width that an idle stretch keeps, and that all of them keep together at most. */
const cutShare = 0.035
const mostCuts = 0.35

export const scale = (from: number, to: number, idle: ReadonlyArray<Idle>): Scale => {
  const end = Math.max(to, from + 1)
  const inside = idle
    .map((gap) => ({ from: Math.max(from, gap.from), to: Math.min(end, gap.to) }))
    .filter((gap) => gap.to > gap.from)
    .sort((left, right) => left.from - right.from)
  const idleTime = inside.reduce((sum, gap) => sum + gap.to - gap.from, 0)
  const busyTime = end - from - idleTime
  const each = inside.length === 0 ? 0 : busyTime <= 0 ? 1 / inside.length : Math.min(cutShare, mostCuts / inside.length)
  const perMs = busyTime <= 0 ? 0 : (1 - each * inside.length) / busyTime
  const stops: Array<readonly [time: number, place: number]> = [[from, 0]]
  const cuts: Array<Idle & { start: number; end: number }> = []
  let [time, place] = [from, 0]
  for (const gap of inside) {
    place += (gap.from - time) * perMs
    stops.push([gap.from, place])
    cuts.push({ ...gap, start: place, end: place + each })
    place += each
    stops.push([gap.to, place])
    time = gap.to
  }
  stops.push([end, 1])
  const between = (value: number, source: 0 | 1): number => {
    const target = source === 0 ? 1 : 0
    let [low, high] = [0, stops.length - 1]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if ((stops[middle] as readonly [number, number])[source] <= value) low = middle
      else high = middle
    }
    const [before, after] = [stops[low] as readonly [number, number], stops[high] as readonly [number, number]]
    const whole = after[source] - before[source]
    if (whole <= 0) return before[target]
    return before[target] + Math.min(1, Math.max(0, (value - before[source]) / whole)) * (after[target] - before[target])
  }
  return { from, to: end, cuts, place: (at) => between(at, 0), time: (at) => between(at, 1) }
}

const steps = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
  1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
]

/** Times for marks on the axis, none within a cut, at most about `most`. */
export const ticks = (
  { from, to, cuts, place }: Scale,
  most = 8,
): ReadonlyArray<{ readonly at: number; readonly place: number }> => {
  const busy = to - from - cuts.reduce((sum, cut) => sum + cut.to - cut.from, 0)
  const step = steps.find((one) => busy / one <= most) ?? Math.ceil(busy / most / 86_400_000) * 86_400_000
  const found: Array<{ at: number; place: number }> = []
  let at = Math.ceil(from / step) * step
  while (at <= to && found.length < most * 3) {
    const cut = cuts.find((one) => at >= one.from && at < one.to)
    if (cut !== undefined) {
      at = Math.max(at + step, Math.ceil(cut.to / step) * step)
      continue
    }
    found.push({ at, place: place(at) })
    at += step
  }
  // Marks that would stand on one another go.
  return found.filter((tick, index) => index === 0 || tick.place - (found[index - 1]?.place ?? 0) > 0.4 / most)
}
