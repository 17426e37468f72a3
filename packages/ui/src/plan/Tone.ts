/** Tones: what a status means at a glance. Colours, counts and filters go by them. */
import type { NodeStatus, ShownStatus } from "@smithers/core/Status"

/** From the most to the least pressing. */
export const tones = ["failed", "wait", "retry", "active", "done", "off", "idle"] as const
export type Tone = (typeof tones)[number]

const ofNode: { readonly [S in NodeStatus]: Tone } = {
  running: "active",
  retrying: "retry",
  interrupted: "retry",
  waiting: "wait",
  decided: "active",
  answered: "active",
  finished: "done",
  caught: "done",
  compensated: "done",
  completed: "done",
  failed: "failed",
  halted: "failed",
  skipped: "off",
  withdrawn: "off",
  superseded: "off",
  cancelled: "off",
}

/** The tone of a node; `idle` before it has begun. */
export const toneOf = (status: NodeStatus | null): Tone => (status === null ? "idle" : ofNode[status])

const ofRun: { readonly [S in ShownStatus]: Tone } = {
  running: "active",
  suspended: "idle",
  orphaned: "failed",
  finished: "done",
  failed: "failed",
  cancelled: "off",
  continued: "done",
  paused: "off",
  "waiting-approval": "wait",
  "waiting-event": "wait",
  "waiting-timer": "retry",
  "waiting-quota": "retry",
}

export const toneOfRun = (status: ShownStatus): Tone => ofRun[status]

/** The words for a run's status. */
export const runWords: { readonly [S in ShownStatus]: string } = {
  running: "running",
  suspended: "suspended",
  orphaned: "orphaned",
  finished: "finished",
  failed: "failed",
  cancelled: "cancelled",
  continued: "continued",
  paused: "paused",
  "waiting-approval": "waits for a person",
  "waiting-event": "waits for an event",
  "waiting-timer": "waits for a time",
  "waiting-quota": "waits for a limit",
}

/** A mark beside the colour, so that no meaning is in colour alone. */
export const marks: { readonly [T in Tone]: string } = {
  failed: "✗",
  wait: "◦",
  retry: "↻",
  active: "▸",
  done: "✓",
  off: "–",
  idle: "·",
}

/** Numbers of nodes by tone. */
export type Counts = { readonly [T in Tone]: number }

export const noCounts = (): { -readonly [T in Tone]: number } => ({
  failed: 0,
  wait: 0,
  retry: 0,
  active: 0,
  done: 0,
  off: 0,
  idle: 0,
})

/** The tone of a group by the tones of its members: the most pressing one, `done` only when nothing is left. */
export const toneOfMembers = (counts: Counts): Tone => {
  if (counts.failed > 0) return "failed"
  if (counts.active > 0) return "active"
  if (counts.wait > 0) return "wait"
  if (counts.retry > 0) return "retry"
  if (counts.idle > 0 || counts.done + counts.off === 0) return "idle"
  return counts.done > 0 ? "done" : "off"
}

const countWords: { readonly [T in Tone]: string } = {
  failed: "failed",
  wait: "waiting",
  retry: "retrying",
  active: "running",
  done: "done",
  off: "left out",
  idle: "to come",
}

/** Counts as words: `3 failed, 12 done`. */
export const countText = (counts: Counts): string =>
  tones
    .filter((tone) => counts[tone] > 0)
    .map((tone) => `${counts[tone]} ${countWords[tone]}`)
    .join(", ")
