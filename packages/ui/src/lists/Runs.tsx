/** @jsxImportSource react */
/** All runs: filters, pages by key, rows that are made when they are seen, live. */
import type { ShownStatus } from "@smithers/core/Status"
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query"
import { useVirtualizer } from "@tanstack/react-virtual"
import { useEffect, useMemo, useRef, useState } from "react"
import { Link } from "wouter"
import type { ListedRun } from "../api/Answers.ts"
import * as Queries from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { useIsNarrow, useNow } from "../app/Now.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Empty, Problem, RunStatus, Took } from "../parts/Basics.tsx"
import { toneOfRun } from "../plan/Tone.ts"
import { joined, list, runAddress } from "../state/Url.ts"
import * as Times from "../text/Times.ts"

/** The filters by status that people ask for, each with the statuses that it stands for. */
const choices = [
  { name: "running", label: "Running", statuses: ["running"] },
  { name: "person", label: "Waits for a person", statuses: ["waiting-approval"] },
  { name: "event", label: "Waits for an event", statuses: ["waiting-event"] },
  { name: "stuck", label: "Stuck", statuses: [] },
  { name: "retrying", label: "Retrying", statuses: [] },
  { name: "time", label: "Waits for a time", statuses: ["waiting-timer", "waiting-quota"] },
  { name: "failed", label: "Failed", statuses: ["failed"] },
  { name: "orphaned", label: "Orphaned", statuses: ["orphaned", "suspended"] },
  { name: "paused", label: "Paused", statuses: ["paused"] },
  { name: "finished", label: "Finished", statuses: ["finished", "continued"] },
  { name: "cancelled", label: "Cancelled", statuses: ["cancelled"] },
] as const satisfies ReadonlyArray<{ readonly name: string; readonly label: string; readonly statuses: ReadonlyArray<ShownStatus> }>

const minuteMs = 60_000

const stuckSince = [
  ["", "at any time"],
  ["10", "10 min"],
  ["60", "an hour"],
  ["1440", "a day"],
] as const

export const Runs = () => {
  const { place, change, go } = usePlace()
  const { query } = place
  const isNarrow = useIsNarrow()
  const now = useNow()
  const quietFor = Number(query.stuck ?? 0) * minuteMs
  // By the minute, since each time is a list of its own.
  const since = quietFor === 0 ? undefined : Math.floor(now / minuteMs) * minuteMs - quietFor
  const filter = useMemo(() => {
    const chosen = choices.filter(({ name }) => list(query.status).includes(name))
    const statuses = chosen.flatMap((one): ReadonlyArray<string> => one.statuses)
    return {
      status: statuses.length > 0 ? statuses : undefined,
      waiting: chosen.some(({ name }) => name === "retrying")
        ? ["retry"]
        : query.waiting === undefined
          ? undefined
          : list(query.waiting),
      workflow: query.workflow,
      tag: query.tag,
      q: query.q,
      changedBefore: since,
      stuck: chosen.some(({ name }) => name === "stuck") ? true : undefined,
      parent: query.parent,
      forkedFrom: query.forkedFrom,
    }
  }, [query, since])
  const { data, error, fetchNextPage, hasNextPage, isFetchingNextPage, isPending } = useInfiniteQuery({
    ...Queries.runs(filter),
    placeholderData: keepPreviousData,
    maxPages: 400,
  })
  const counts = useQuery(Queries.counts)
  const runs = useMemo(() => data?.pages.flatMap(({ runs }) => runs) ?? [], [data])
  const room = useRef<HTMLDivElement>(null)
  const height = isNarrow ? 76 : 52
  const virtual = useVirtualizer({
    count: runs.length,
    getScrollElement: () => room.current,
    estimateSize: () => height,
    overscan: 16,
  })
  const items = virtual.getVirtualItems()
  const lastSeen = items.at(-1)?.index ?? 0
  useEffect(() => {
    // Read ahead of what is seen, so that scrolling shows no blank rows.
    if (hasNextPage && !isFetchingNextPage && lastSeen >= runs.length - 60) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, lastSeen, runs.length, fetchNextPage])
  useEffect(() => {
    document.title = "Runs · Smithers"
  }, [])

  const at = runs.findIndex(({ runId }) => runId === query.at)
  const move = (by: number): void => {
    const next = Math.min(runs.length - 1, Math.max(0, at + by))
    const run = runs[next]
    if (run === undefined) return
    change({ at: run.runId }, { replace: true })
    virtual.scrollToIndex(next, { align: "auto" })
  }
  const search = useRef<HTMLInputElement>(null)
  useKeys(["list"], {
    next: () => move(1),
    previous: () => move(at < 0 ? 1 : -1),
    open: () => runs[at] !== undefined && go({ view: "run", id: runs[at].runId, query: {} }),
    search: () => search.current?.focus(),
  })
  const toggle = (name: string): void => {
    const chosen = new Set(list(query.status))
    if (!chosen.delete(name)) chosen.add(name)
    change({ status: joined(chosen), at: undefined })
  }
  const countOf = (statuses: ReadonlyArray<string>): number | undefined => {
    const byStatus = counts.data?.byStatus
    return byStatus === undefined || statuses.length === 0
      ? undefined
      : statuses.reduce((sum, status) => sum + (byStatus[status] ?? 0), 0)
  }
  const workflows = Object.keys(counts.data?.byWorkflow ?? {}).sort()
  const isFiltered = Object.values(filter).some((value) => value !== undefined)
  return (
    <>
      <div className="head">
        <div className="bar">
          <h1>Runs</h1>
          <Text
            value={query.q ?? ""}
            label="Find runs by id, workflow or tag"
            placeholder="Find  /"
            input={search}
            onChange={(q) => change({ q: q || undefined, at: undefined }, { replace: true })}
          />
          <label className="soft">
            Workflow{" "}
            <select value={query.workflow ?? ""} onChange={({ target }) => change({ workflow: target.value || undefined })}>
              <option value="">all</option>
              {(query.workflow === undefined || workflows.includes(query.workflow)
                ? workflows
                : [query.workflow, ...workflows]
              ).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <Text
            value={query.tag ?? ""}
            label="Tag"
            placeholder="Tag"
            onChange={(tag) => change({ tag: tag || undefined }, { replace: true })}
          />
          <label className="soft">
            Without progress for{" "}
            <select value={query.stuck ?? ""} onChange={({ target }) => change({ stuck: target.value || undefined })}>
              {stuckSince.map(([value, label]) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        </div>
        <fieldset className="filters" style={{ border: 0, padding: 0, margin: 0 }}>
          <legend className="hidden">Status</legend>
          {choices.map(({ name, label, statuses }) => {
            const first = statuses[0]
            const count = countOf(statuses)
            return (
              <button
                key={name}
                type="button"
                className={`chip ${first === undefined ? "retry" : toneOfRun(first)}`}
                aria-pressed={list(query.status).includes(name)}
                onClick={() => toggle(name)}
              >
                {label}
                {count === undefined || count === 0 ? "" : ` ${Times.count(count)}`}
              </button>
            )
          })}
          {(["parent", "forkedFrom"] as const).map((name) =>
            query[name] === undefined ? null : (
              <button key={name} type="button" className="chip" aria-pressed onClick={() => change({ [name]: undefined })}>
                {name === "parent" ? "started by" : "forks of"} {query[name]} ✕
              </button>
            ),
          )}
        </fieldset>
      </div>
      {error === null ? null : (
        <div className="body" style={{ flex: "none" }}>
          <Problem error={error} />
        </div>
      )}
      {runs.length === 0 && !isPending && error === null ? (
        <Empty>
          {isFiltered
            ? "No run matches."
            : "No runs yet. Start one from a workflow, or on the command line: smithers up workflow.tsx"}
        </Empty>
      ) : null}
      <div className="rows" ref={room}>
        <ul className="room" aria-label="Runs" style={{ height: virtual.getTotalSize() }}>
          {items.map(({ index, start }) => {
            const run = runs[index] as ListedRun
            return (
              <li key={run.runId}>
                <Link
                  className={`runrow ${run.runId === query.at ? "at" : ""}`}
                  href={runAddress(run.runId)}
                  style={{ transform: `translateY(${start}px)` }}
                >
                  <span className="state">
                    <RunStatus status={run.status} />
                  </span>
                  <span className="which cut">
                    <strong>{run.runId}</strong> <span className="soft">{run.workflow}</span>{" "}
                    {run.tags.slice(0, 4).map((tag) => (
                      <span key={tag} className="tag">
                        {tag}
                      </span>
                    ))}
                    {run.forkedFrom === null ? null : <span className="tag">fork</span>}
                    {run.parent === null ? null : <span className="tag">child</span>}
                  </span>
                  <span className="when">
                    {run.stuckSince === undefined ? null : (
                      <strong>
                        stuck for <Took from={run.stuckSince} to={null} /> ·{" "}
                      </strong>
                    )}
                    <Took from={run.createdAt} to={run.finishedAt} /> · <Ago at={run.createdAt} />
                  </span>
                  {run.sentence === "" ? null : <span className="sentence cut">{run.sentence}</span>}
                </Link>
              </li>
            )
          })}
        </ul>
      </div>
    </>
  )
}

/** A text that is asked for once one has stopped writing for a moment. */
const Text = ({
  value,
  label,
  placeholder,
  input,
  onChange,
}: {
  readonly value: string
  readonly label: string
  readonly placeholder: string
  readonly input?: React.RefObject<HTMLInputElement | null>
  readonly onChange: (value: string) => void
}) => {
  const [text, setText] = useState(value)
  const sent = useRef(value)
  useEffect(() => {
    if (value === sent.current) return
    sent.current = value
    setText(value)
  }, [value])
  const send = useRef(onChange)
  send.current = onChange
  useEffect(() => {
    if (text === sent.current) return
    const timer = setTimeout(() => {
      sent.current = text
      send.current(text)
    }, 120)
    return () => clearTimeout(timer)
  }, [text])
  return (
    <input
      ref={input}
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={text}
      onChange={({ target }) => setText(target.value)}
    />
  )
}
