/** @jsxImportSource react */
/** The events of a run, all of them, from the first: rows that are made when they are seen. */
import { useInfiniteQuery } from "@tanstack/react-query"
import { useVirtualizer } from "@tanstack/react-virtual"
import { useEffect, useRef } from "react"
import * as Queries from "../api/Queries.ts"
import { Empty, Problem } from "../parts/Basics.tsx"
import * as Times from "../text/Times.ts"

interface Props {
  readonly runId: string
  /** Only events up to this frame. */
  readonly frame: number | undefined
  readonly onNode: (nodeId: string, iteration: number) => void
  readonly onFrame: (frame: number) => void
}

export const Log = ({ runId, frame, onNode, onFrame }: Props) => {
  const { data, error, fetchNextPage, hasNextPage, isFetching } = useInfiniteQuery(Queries.events(runId))
  const all = data?.pages.flatMap(({ events }) => events) ?? []
  const events = frame === undefined ? all : all.filter((event) => event.frame <= frame)
  const room = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => room.current,
    estimateSize: () => 26,
    overscan: 20,
  })
  const items = virtual.getVirtualItems()
  const lastSeen = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasNextPage && !isFetching && lastSeen >= events.length - 100) void fetchNextPage()
  }, [hasNextPage, isFetching, lastSeen, events.length, fetchNextPage])
  if (error !== null && all.length === 0) return <Problem error={error} />
  if (events.length === 0) return <Empty>{isFetching ? "…" : "No events."}</Empty>
  const now = Date.now()
  return (
    <div className="rows log" ref={room}>
      <ol aria-label="Events" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map(({ index, start, key }) => {
          const { event, at, frame, text } = events[index] as (typeof events)[number]
          const node =
            "nodeId" in event && typeof event.nodeId === "string"
              ? { nodeId: event.nodeId, iteration: "iteration" in event ? event.iteration : 0 }
              : undefined
          return (
            <li key={key} style={{ transform: `translateY(${start}px)` }} title={Times.exact(at)}>
              <span className="soft cut">{Times.clock(at, now)}</span>
              <button type="button" aria-label={`Go to frame ${frame}`} onClick={() => onFrame(frame)}>
                {frame}
              </button>
              {node === undefined ? (
                <span className="cut">{text}</span>
              ) : (
                <button type="button" className="cut said" onClick={() => onNode(node.nodeId, node.iteration)}>
                  {text}
                </button>
              )}
            </li>
          )
        })}
      </ol>
    </div>
  )
}
