/** Phases of a node in a schedule. A node has one at a time, as the passes of a loop follow each other. */
export const Phase = {
  /** It has not begun, or what it did is past. */
  idle: 0,
  /** Needs of it are not met. */
  blocked: 1,
  ready: 2,
  running: 3,
  /** Its next attempt is due later. */
  retrying: 4,
  done: 5,
  failed: 6,
  /** It has an open wait. */
  waiting: 7,
  /** A group around it has no place for it yet. */
  parked: 8,
} as const
