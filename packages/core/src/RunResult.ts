/**
 * How a run has stopped.
 */
import type { WaitingStatus } from "./Status.ts"

/**
 * The status of a run that waits, by the kinds of its open waits and of those of its child runs. People come first, since someone has to be
 * told; a timer and a retry need nobody. A child run stands for what it waits for itself.
 */
export const waitingStatus = (waits: ReadonlyArray<{ readonly kind: string }>): WaitingStatus => {
  const kinds = new Set(waits.map(({ kind }) => kind))
  if (kinds.size > 1) kinds.delete("subflow")
  if (kinds.has("approval") || kinds.has("human")) return "waiting-approval"
  return kinds.size > 0 && [...kinds].every((kind) => kind === "timer" || kind === "retry") ? "waiting-timer" : "waiting-event"
}
