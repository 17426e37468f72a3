/**
 * Phases of a node in a schedule. A node is in one at a time, since the passes of a loop are sequential.
 */
export const Phase = {
  /** It has not begun, or its pass is over. */
  idle: 0,
  /** It has unmet needs. */
  blocked: 1,
  ready: 2,
  running: 3,
  /** Its next attempt is due later. */
  retrying: 4,
  done: 5,
  failed: 6,
  /** It has an open wait. */
  waiting: 7,
  /** A group around it has no free place. */
  parked: 8,
} as const
