/**
 * Signals that a run keeps since nobody has taken them, and why not: what was sent and what is waited for differ in a name, in a correlation or
 * in what the wait's schema takes. Plain functions of what is stored.
 */
import { parseNodeKey } from "@smithers/core/Ids"
import { isTransient, type Signal } from "@smithers/core/Records"
import type { WaitSummary } from "@smithers/core/RunReader"
import { nearest } from "./Argv.ts"
import { oneLine, shorten } from "./Text.ts"

/** Signals that are named at most. */
const most = 5

/** Characters of why a signal was refused. */
const longestIssues = 300

/** A signal by its name and correlation, as both senders and waits give them. */
export const signalText = ({
  name,
  correlation,
}: {
  readonly name: string | null
  readonly correlation?: string | null | undefined
}): string =>
  `${JSON.stringify(name ?? "")}${correlation === undefined || correlation === null ? "" : ` with the correlation ${JSON.stringify(correlation)}`}`

type Sent = Pick<Signal, "name" | "correlation">

/** Whether a wait is for such a signal. */
export const isFor = (wait: WaitSummary, { name, correlation }: Sent): boolean =>
  wait.kind === "signal" && wait.name === name && (wait.correlation ?? undefined) === correlation

/**
 * Why no wait takes a signal that was sent to a run, as far as one nearly does. The waits may be those of child runs, which hear of no signal to
 * their parent.
 */
export const missText = (runId: string, sent: Sent, waits: ReadonlyArray<WaitSummary>): string => {
  const open = waits.filter(({ kind, status, name }) => kind === "signal" && status === "open" && name !== null)
  const below = open.find((wait) => wait.runId !== runId && isFor(wait, sent))
  if (below !== undefined) return `"${below.nodeId}" of the child run ${oneLine(below.runId)} waits for it: send it to that run`
  const own = open.filter((wait) => wait.runId === runId)
  const later = own.find((wait) => isFor(wait, sent) && isTransient(wait))
  if (later !== undefined) return `kept: "${later.nodeId}" takes only signals that are sent after it began to wait`
  const named = own.find(({ name }) => name === sent.name)
  if (named !== undefined) {
    const wanted =
      named.correlation === null ? "without a correlation" : `with the correlation ${JSON.stringify(named.correlation)}`
    const given = sent.correlation === undefined ? "this has none" : `this has ${JSON.stringify(sent.correlation)}`
    return `"${named.nodeId}" waits for it ${wanted}, and ${given}`
  }
  const near = nearest(
    sent.name,
    own.map(({ name }) => name ?? ""),
  )
  const like = own.find(({ name }) => name === near)
  return like === undefined ? "" : `"${like.nodeId}" waits for ${signalText(like)}`
}

const listed = (texts: ReadonlyArray<string>): string =>
  [...texts.slice(0, most), ...(texts.length > most ? [`and ${texts.length - most} more`] : [])].join("; ")

/** The signals that a run keeps, as sentences: those that a wait has refused, and those that nobody has looked at. */
export const keptText = (runId: string, signals: ReadonlyArray<Signal>, waits: ReadonlyArray<WaitSummary>): string => {
  const refused = signals.flatMap((signal) =>
    (signal.refusedBy ?? []).map(({ key, issues }) => {
      const { nodeId } = parseNodeKey(key)
      return `${signalText(signal)} by "${nodeId}" (${shorten(oneLine(issues.join("; ")), longestIssues)})`
    }),
  )
  const kept = signals
    .filter(({ refusedBy = [] }) => refusedBy.length === 0)
    .map((signal) => {
      const why = missText(runId, signal, waits)
      return `${signalText(signal)}${why === "" ? "" : ` (${why})`}`
    })
  return [
    ...(kept.length === 0 ? [] : [`Kept and taken by nobody: the signal ${listed(kept)}.`]),
    ...(refused.length === 0 ? [] : [`Refused: the signal ${listed(refused)}.`]),
  ].join(" ")
}
