/** The frames of a run as marks on a slider. Only what a mark needs is kept, so long runs stay small. */
import type { TimelineFrame } from "@smithers/core/Timeline"

export interface Mark {
  readonly frame: number
  readonly at: number
  readonly seq: number
  readonly changesPlan: boolean
  readonly hasFailure: boolean
  readonly hasWait: boolean
  readonly forks: ReadonlyArray<string>
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
  /** Nodes that failed in it. */
  readonly failed: ReadonlyArray<{ readonly nodeId: string; readonly iteration: number }>
  /** Its first events in words. */
  readonly text: string
}

export type FrameLike = Pick<TimelineFrame, "frame" | "at" | "lastSeq" | "events" | "plan" | "forks"> & {
  readonly texts?: ReadonlyArray<string> | undefined
}

const failures: ReadonlySet<string> = new Set(["AttemptFailed", "NodeFailed"])

export const markOf = ({ frame, at, lastSeq, events, plan, forks, texts }: FrameLike): Mark => ({
  frame,
  at,
  seq: lastSeq,
  // The first frame adds the whole plan, which is no change.
  changesPlan: frame > 1 && plan.added.length + plan.removed.length + plan.changed.length > 0,
  hasFailure: events.some(({ _tag }) => failures.has(_tag)),
  hasWait: events.some((event) => event._tag === "WaitStarted"),
  forks,
  ...(frame > 1 ? { added: plan.added, removed: plan.removed, changed: plan.changed } : { added: [], removed: [], changed: [] }),
  failed: events.flatMap((event) =>
    event._tag === "AttemptFailed" || event._tag === "NodeFailed" ? [{ nodeId: event.nodeId, iteration: event.iteration }] : [],
  ),
  text: (texts ?? events.map(({ _tag }) => words(_tag))).slice(0, 4).join("; "),
})

/** Marks of the frames of some events in order, before their frames were read: changes of the plan and forks are not known yet. */
export const ofEvents = (
  events: ReadonlyArray<{
    readonly frame: number
    readonly at: number
    readonly seq: number
    readonly event: FrameLike["events"][number]
    readonly text: string
  }>,
): ReadonlyArray<Mark> =>
  [...Map.groupBy(events, ({ frame }) => frame)].map(([frame, all]) =>
    markOf({
      frame,
      at: all[0]?.at ?? 0,
      lastSeq: all.at(-1)?.seq ?? 0,
      events: all.map(({ event }) => event),
      texts: all.map(({ text }) => text),
      plan: { added: [], removed: [], changed: [] },
      forks: [],
    }),
  )

/** `AttemptStarted` as `attempt started`. */
export const words = (tag: string): string =>
  tag.replace(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after}`).toLowerCase()

/** The position of the last mark at or before a frame; 0 where there is none. */
export const indexAt = (marks: ReadonlyArray<Mark>, frame: number): number => {
  let [low, high] = [0, marks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((marks[middle] as Mark).frame <= frame) low = middle + 1
    else high = middle
  }
  return Math.max(0, low - 1)
}

/** The frame of the next mark with a failure behind a frame, from the start again behind the last. */
export const nextFailure = (marks: ReadonlyArray<Mark>, frame: number): Mark | undefined => {
  const failed = marks.filter(({ hasFailure }) => hasFailure)
  return failed.find((mark) => mark.frame > frame) ?? failed[0]
}

/** Marks thinned to what a slider of some pixels can show: of those that share a pixel, the most telling one. */
export const thinned = (
  marks: ReadonlyArray<Mark>,
  pixels: number,
): ReadonlyArray<{ readonly mark: Mark; readonly place: number }> => {
  const shown = new Map<number, { mark: Mark; place: number }>()
  const last = Math.max(1, marks.length - 1)
  for (const [index, mark] of marks.entries()) {
    if (!(mark.hasFailure || mark.changesPlan || mark.forks.length > 0 || mark.hasWait)) continue
    const place = index / last
    const pixel = Math.round(place * pixels)
    const there = shown.get(pixel)
    if (there === undefined || weight(mark) > weight(there.mark)) shown.set(pixel, { mark, place })
  }
  return [...shown.values()]
}

const weight = ({ hasFailure, forks, changesPlan }: Mark): number =>
  (hasFailure ? 4 : 0) + (forks.length > 0 ? 2 : 0) + (changesPlan ? 1 : 0)
