/**
 * Explains why a stored signal matches no wait: its name, its correlation, or the schema of the wait differs. Pure functions of
 * stored state.
 */
import { parseNodeKey } from "@smithers/core/Ids"
import { nearestWord } from "@smithers/core/Names"
import { isTransient, type Signal } from "@smithers/core/Records"
import type { WaitSummary } from "@smithers/core/RunReader"
import { oneLine, shorten } from "./Text.ts"

/** Maximum number of signals that are listed. */
const most = 5

/** Maximum number of characters of the reason why a signal was refused. */
const longestIssues = 300

/** Formats a signal by its name and correlation. */
export const signalText = ({
  name,
  correlation,
}: {
  readonly name: string | null
  readonly correlation?: string | null | undefined
}): string =>
  `${JSON.stringify(name ?? "")}${correlation === undefined || correlation === null ? "" : ` with the correlation ${JSON.stringify(correlation)}`}`

type Sent = Pick<Signal, "name" | "correlation">

/** Returns `true` if a wait matches a signal by name and correlation. */
export const isFor = (wait: WaitSummary, { name, correlation }: Sent): boolean =>
  wait.kind === "signal" && wait.name === name && (wait.correlation ?? undefined) === correlation

/**
 * Explains why no open wait takes a signal, if one nearly matches. The waits may include those of child runs, which do not receive
 * signals sent to their parent.
 */
export const missText = (runId: string, sent: Sent, waits: ReadonlyArray<WaitSummary>): string => {
  const open = waits.filter(({ kind, status, name }) => kind === "signal" && status === "open" && name !== null)
  const below = open.find((wait) => wait.runId !== runId && isFor(wait, sent))
  if (below !== undefined)
    return `"${below.nodeId}" of the child run ${oneLine(below.runId)} waits for it. Send the signal to that run`
  const own = open.filter((wait) => wait.runId === runId)
  const later = own.find((wait) => isFor(wait, sent) && isTransient(wait))
  if (later !== undefined) return `stored: "${later.nodeId}" takes only signals sent after it started to wait`
  const named = own.find(({ name }) => name === sent.name)
  if (named !== undefined) {
    const wanted =
      named.correlation === null ? "without a correlation" : `with the correlation ${JSON.stringify(named.correlation)}`
    const described =
      sent.correlation === undefined ? "this signal has none" : `this signal has ${JSON.stringify(sent.correlation)}`
    return `"${named.nodeId}" waits for it ${wanted}, and ${described}`
  }
  const near = nearestWord(
    sent.name,
    own.map(({ name }) => name ?? ""),
  )
  const like = own.find(({ name }) => name === near)
  return like === undefined ? "" : `"${like.nodeId}" waits for ${signalText(like)}`
}

const listed = (texts: ReadonlyArray<string>): string =>
  [...texts.slice(0, most), ...(texts.length > most ? [`and ${texts.length - most} more`] : [])].join("; ")

/** Formats the stored signals of a run as sentences: those that a wait has refused, and those that match none. */
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
    ...(kept.length === 0 ? [] : [`Stored, and awaited by no node: the signal ${listed(kept)}.`]),
    ...(refused.length === 0 ? [] : [`Refused: the signal ${listed(refused)}.`]),
  ].join(" ")
}
