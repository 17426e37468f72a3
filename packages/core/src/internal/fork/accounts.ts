/**
 * Budgets of a fork: it has accounts of its own, with what was left in those of the original at the cut. An approval of more counts if it
 * was given by then.
 */
import * as Effect from "effect/Effect"
import type { AgentJournalShape } from "../../AgentJournal.ts"
import type * as Budget from "../../Budget.ts"
import type { StoreError } from "../../Errors.ts"
import { compositeKey, type NodeKey, nodeKey } from "../../Ids.ts"
import type { LoggedEvent } from "../../RunReader.ts"
import type { RunState } from "../../RunState.ts"
import type { ForkRequest } from "../../RunStore.ts"

/** The times of a fork (epoch ms). */
export interface Timing {
  /** Of the cut. */
  readonly at: number
  readonly now: number
}

const keyOfInherited = (runId: string, key: string): string => compositeKey("forked", runId, key)

/** The claims of a fork: what a parent allowed its original is allowed once, on an account of the fork. */
export const claimsOf = ({ budgets, runId: from }: RunState, runId: string): ReadonlyArray<Budget.Claim> => {
  const isOwn = ({ key }: Budget.Claim): boolean => key.startsWith(JSON.stringify(["given", from]).slice(0, -1))
  return budgets.map((claim): Budget.Claim => {
    const { isInherited: _, ...rest } = claim
    if (claim.runId === null) return claim
    const key = isOwn(claim) ? compositeKey("given", runId) : keyOfInherited(runId, claim.key)
    return { ...rest, key, runId, name: isOwn(claim) ? `run "${runId}"` : claim.name }
  })
}

/** The accounts to open for a fork. Reads `events`, the log of the original, only where its calls have drawn on any. */
export const opened = <E>(
  journal: AgentJournalShape,
  cut: RunState,
  runId: string,
  timing: Timing,
  events: Effect.Effect<ReadonlyArray<LoggedEvent>, E>,
): Effect.Effect<ForkRequest["accounts"], StoreError | E> =>
  Effect.gen(function* () {
    const accounts = yield* journal.budgets(cut.runId)
    const inherited = new Set(cut.budgets.flatMap(({ runId, key }) => (runId === null || runId === cut.runId ? [] : [key])))
    if (accounts.length === 0 && inherited.size === 0) return []
    const granted = grantedBy(yield* events, cut.seq)
    const owners = new Set(cut.budgets.flatMap(({ runId }) => (runId === null || runId === cut.runId ? [] : [runId])))
    const others = yield* Effect.forEach(owners, (of) => journal.budgets(of))
    const own = accounts.map((account) => ({ from: account.key, account: accountOf(account, runId, granted, timing) }))
    const above = others.flat().flatMap((account) => {
      if (!inherited.has(account.key)) return []
      const copy = { ...accountOf(account, runId, granted, timing), key: keyOfInherited(runId, account.key) }
      return [{ from: account.key, account: copy }]
    })
    return [...own, ...above]
  })

/** Copies what an approval allowed by the cut, under a key of the fork. */
const accountOf = (account: Budget.Account, runId: string, granted: ReadonlySet<string>, { at, now }: Timing): Budget.Account => {
  const [kind, , ...rest] = JSON.parse(account.key) as [string, string, ...ReadonlyArray<string | number>]
  const isOfRun = account.name === `run "${account.runId}"`
  const extensions = Object.fromEntries(Object.entries(account.extensions).filter(([digest]) => granted.has(digest)))
  return {
    ...account,
    key: compositeKey(kind, runId, ...rest),
    name: isOfRun ? `run "${runId}"` : account.name,
    runId,
    startedAt: account.startedAt + (now - at),
    reserved: {},
    extensions,
  }
}

/** Digests of the requests that were approved by a cut. */
const grantedBy = (events: ReadonlyArray<LoggedEvent>, seq: number): ReadonlySet<string> => {
  const asked = new Map<NodeKey, string>()
  const granted = new Set<string>()
  for (const { seq: of, event } of events) {
    if (of > seq) break
    if (event._tag === "WaitStarted" && event.digest !== undefined) asked.set(nodeKey(event.nodeId, event.iteration), event.digest)
    if (event._tag !== "ApprovalDecided" || !event.approved) continue
    const digest = asked.get(nodeKey(event.nodeId, event.iteration))
    if (digest !== undefined) granted.add(digest)
  }
  return granted
}
