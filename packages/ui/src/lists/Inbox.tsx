/** @jsxImportSource react */
/** Everything that waits for a person, over all runs. */
import type { WaitSummary } from "@smithers/core/RunReader"
import { useQuery } from "@tanstack/react-query"
import { useEffect } from "react"
import { Link } from "wouter"
import * as Queries from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Empty, Problem } from "../parts/Basics.tsx"
import { Decide, requestOf } from "../run/Decide.tsx"
import { runAddress } from "../state/Url.ts"
import * as Times from "../text/Times.ts"

const keyOf = ({ runId, nodeId, iteration, requestId }: WaitSummary): string =>
  JSON.stringify([runId, nodeId, iteration, requestId])

export const Inbox = () => {
  const { place, change } = usePlace()
  const { data, error } = useQuery(Queries.inbox)
  const waits = (data?.waits ?? []).filter(({ kind, status }) => status === "open" && (kind === "approval" || kind === "human"))
  const found = waits.findIndex((wait) => keyOf(wait) === place.query.at)
  // What was decided is gone from the list; the next one takes its place, and nothing is decided twice by a key that is held.
  const index = place.query.at === undefined ? 0 : found
  const wait = waits[index]
  useEffect(() => {
    document.title = waits.length === 0 ? "Inbox · Smithers" : `(${waits.length}) Inbox · Smithers`
  }, [waits.length])
  const move = (by: number): void => {
    const next = waits[Math.min(waits.length - 1, Math.max(0, index + by))]
    if (next !== undefined) change({ at: keyOf(next) }, { replace: true })
  }
  useKeys(["list", "inbox"], { next: () => move(1), previous: () => move(-1), close: () => change({ at: undefined }) })
  return (
    <>
      <div className="head">
        <div className="bar">
          <h1>Inbox</h1>
          <span className="soft">
            {data?.hasMore === true ? "the first " : ""}
            {Times.plural(waits.length, "request")}, oldest first
          </span>
          <span className="grow" />
          <span className="soft keys">
            <kbd>j</kbd> <kbd>k</kbd> move, <kbd>a</kbd> approve, <kbd>d</kbd> deny
          </span>
        </div>
      </div>
      {error !== null && data === undefined ? <Problem error={error} /> : null}
      {waits.length === 0 && data !== undefined && place.query.at === undefined ? <Empty>Nobody waits for you.</Empty> : null}
      {waits.length === 0 && place.query.at === undefined ? null : (
        <div className={`inbox ${place.query.at === undefined ? "" : "open"}`}>
          <nav className="items" aria-label="Requests">
            {waits.map((one, at) => (
              <button key={keyOf(one)} type="button" aria-current={at === index} onClick={() => change({ at: keyOf(one) })}>
                <div className="bar">
                  <strong className="cut grow">{requestOf(one).title ?? one.nodeId}</strong>
                  <span className="soft">
                    <Ago at={one.since} />
                  </span>
                </div>
                <div className="soft cut">
                  {one.kind === "approval" ? "approval" : "question"} · {one.workflow} · {one.runId}
                </div>
              </button>
            ))}
          </nav>
          <div className="detail">
            {wait === undefined ? (
              <Gone at={place.query.at} onNext={waits.length === 0 ? undefined : () => change({ at: undefined })} />
            ) : (
              <>
                <p className="soft">
                  <span className="narrow-only">
                    <button type="button" onClick={() => change({ at: undefined })}>
                      ‹ All requests
                    </button>{" "}
                  </span>
                  <Link
                    href={runAddress(wait.runId, {
                      node: wait.nodeId,
                      ...(wait.iteration === 0 ? {} : { iteration: String(wait.iteration) }),
                    })}
                  >
                    {wait.runId} / {wait.nodeId}
                  </Link>{" "}
                  of {wait.workflow}
                </p>
                <Decide
                  key={keyOf(wait)}
                  wait={wait}
                  hasKeys
                  onDone={() => {
                    const next = waits[index + 1] ?? waits[index - 1]
                    change({ at: next === undefined ? undefined : keyOf(next) }, { replace: true })
                  }}
                />
              </>
            )}
          </div>
        </div>
      )}
    </>
  )
}

/** A request of a link, or one that somebody else has decided while it was open here. */
const Gone = ({ at, onNext }: { readonly at: string | undefined; readonly onNext: (() => void) | undefined }) => {
  const named = nameIn(at)
  return (
    <div className="stack" role="status">
      <p>
        This request is not open any more: it was decided, replaced by a new one, or its run has ended.
        {named === undefined ? null : (
          <>
            {" "}
            <Link href={runAddress(named.runId, { node: named.nodeId })}>Look at it in its run</Link>.
          </>
        )}
      </p>
      {onNext === undefined ? null : (
        <p>
          <button type="button" onClick={onNext}>
            To the first request
          </button>
        </p>
      )}
    </div>
  )
}

const nameIn = (at: string | undefined): { readonly runId: string; readonly nodeId: string } | undefined => {
  try {
    const [runId, nodeId]: ReadonlyArray<unknown> = JSON.parse(at ?? "[]")
    return typeof runId === "string" && typeof nodeId === "string" ? { runId, nodeId } : undefined
  } catch {
    return undefined
  }
}
