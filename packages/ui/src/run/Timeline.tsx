/** @jsxImportSource react */
/** The timeline of a run: a lane per step, idle time cut short, and a brush on the axis to zoom in. */
import type { AttemptSummary, WaitSummary } from "@smithers/core/RunReader"
import { useVirtualizer } from "@tanstack/react-virtual"
import { useMemo, useRef, useState } from "react"
import { useNow } from "../app/Now.ts"
import { Empty } from "../parts/Basics.tsx"
import * as Times from "../text/Times.ts"
import * as Spans from "../timeline/Spans.ts"

interface Props {
  readonly attempts: ReadonlyArray<AttemptSummary>
  readonly waits: ReadonlyArray<WaitSummary>
  /** The end of what is shown: the time of a frame, or of the end of the run; `undefined` for now. */
  readonly until: number | undefined
  readonly zoom: readonly [from: number, to: number] | undefined
  readonly onZoom: (zoom: readonly [from: number, to: number] | undefined) => void
  readonly selected: string | undefined
  readonly onSelect: (nodeId: string, iteration: number, attempt?: number) => void
}

const percent = (part: number): string => `${(part * 100).toFixed(3)}%`

export const Timeline = ({ attempts, waits, until, zoom, onZoom, selected, onSelect }: Props) => {
  const tick = useNow()
  const now = until ?? tick
  const lanes = useMemo(
    () =>
      Spans.lanes(
        attempts.filter(({ startedAt }) => startedAt !== null && startedAt <= now),
        waits.filter(({ since }) => since <= now),
        now,
      ),
    [attempts, waits, now],
  )
  const whole = useMemo(() => {
    const from = lanes.reduce((least, lane) => Math.min(least, lane.from), Number.POSITIVE_INFINITY)
    const to = lanes.reduce((most, lane) => Math.max(most, lane.to), 0)
    return { from: Number.isFinite(from) ? from : 0, to: Math.max(to, from + 1) }
  }, [lanes])
  const [from, to] = zoom ?? [whole.from, whole.to]
  const scale = useMemo(() => Spans.scale(from, to, Spans.idleOf(lanes, from, to)), [lanes, from, to])
  const shown = useMemo(() => lanes.filter((lane) => lane.to >= from && lane.from <= to), [lanes, from, to])
  const rows = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => rows.current,
    estimateSize: () => 26,
    overscan: 10,
  })
  const [brush, setBrush] = useState<readonly [number, number]>()
  const axis = useRef<HTMLDivElement>(null)
  const placeOf = ({ clientX }: React.PointerEvent): number => {
    const { left, width } = axis.current?.getBoundingClientRect() ?? { left: 0, width: 1 }
    return Math.min(1, Math.max(0, (clientX - left) / width))
  }
  const end = (): void => {
    if (brush === undefined) return
    const [a, b] = [Math.min(...brush), Math.max(...brush)]
    setBrush(undefined)
    if (b - a > 0.01) onZoom([Math.round(scale.time(a)), Math.round(scale.time(b))])
  }
  if (lanes.length === 0) return <Empty>Nothing has begun yet.</Empty>
  const marks = Spans.ticks(scale)
  const isShort = scale.to - scale.from - scale.cuts.reduce((sum, cut) => sum + cut.to - cut.from, 0) < 10_000
  return (
    <div className="time">
      <div className="bar" style={{ padding: "6px 16px" }}>
        <span className="soft grow">
          {Times.plural(lanes.length, "lane")} over {Times.span(whole.to - whole.from)}
          {scale.cuts.length > 0 ? `, ${Times.plural(scale.cuts.length, "idle stretch", "idle stretches")} cut short` : ""}. Drag on
          the axis to zoom in.
        </span>
        {zoom === undefined ? null : (
          <button type="button" onClick={() => onZoom(undefined)}>
            Show all
          </button>
        )}
      </div>
      <div
        className="axis"
        ref={axis}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          const place = placeOf(event)
          setBrush([place, place])
        }}
        onPointerMove={(event) => brush !== undefined && setBrush([brush[0], placeOf(event)])}
        onPointerUp={end}
        onPointerCancel={() => setBrush(undefined)}
      >
        {scale.cuts.map((cut) => (
          <div
            key={cut.from}
            className="cut"
            style={{ left: percent(cut.start), width: percent(cut.end - cut.start) }}
            title={`${Times.span(cut.to - cut.from)} without work`}
          />
        ))}
        {marks.map(({ at, place }) => (
          <span key={at} style={{ left: percent(place) }}>
            {isShort ? `+${Times.span(at - whole.from)}` : Times.clock(at, now)}
          </span>
        ))}
        {brush === undefined ? null : (
          <div className="brush" style={{ left: percent(Math.min(...brush)), width: percent(Math.abs(brush[1] - brush[0])) }} />
        )}
      </div>
      <div className="rows" ref={rows}>
        <ul aria-label="Timeline" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start, key }) => {
            const lane = shown[index] as Spans.Lane
            const name = lane.iteration === 0 ? lane.nodeId : `${lane.nodeId} #${lane.iteration}`
            return (
              <li
                key={key}
                className={`lane ${lane.nodeId === selected ? "chosen" : ""}`}
                style={{ transform: `translateY(${start}px)` }}
              >
                <button type="button" className="cut" title={name} onClick={() => onSelect(lane.nodeId, lane.iteration)}>
                  {name}
                </button>
                <div className="line">
                  {lane.spans.map((span) => (
                    <Bar
                      key={`${span.kind}${span.from}`}
                      {...{ span, scale }}
                      onSelect={() => onSelect(lane.nodeId, lane.iteration, span.kind === "attempt" ? span.attempt : undefined)}
                    />
                  ))}
                </div>
              </li>
            )
          })}
        </ul>
      </div>
    </div>
  )
}

const tones: { readonly [status: string]: string } = {
  running: "active",
  succeeded: "done",
  failed: "failed",
  interrupted: "retry",
}

const Bar = ({
  span,
  scale,
  onSelect,
}: {
  readonly span: Spans.Span
  readonly scale: Spans.Scale
  readonly onSelect: () => void
}) => {
  const [from, to] = [scale.place(Math.max(scale.from, span.from)), scale.place(Math.min(scale.to, span.to))]
  if (span.to < scale.from || span.from > scale.to) return null
  const style = { left: percent(from), width: percent(to - from) }
  const length = Times.span(span.to - span.from)
  if (span.kind === "retry") return <i className="span gap" style={style} title={`waits ${length} for the next attempt`} />
  if (span.kind === "wait")
    return (
      <i
        className="span pending wait"
        style={style}
        title={`waits for: ${span.status}, ${length}${span.isOpen ? " so far" : ""}`}
      />
    )
  const said = `attempt ${span.attempt}, ${span.status}, ${length}${span.isOpen ? " so far" : ""}`
  return (
    <>
      <button
        type="button"
        tabIndex={-1}
        className={`span ${tones[span.status] ?? "idle"}`}
        style={style}
        title={said}
        aria-label={said}
        onClick={onSelect}
      />
      {span.heartbeatAt === null ? null : (
        <i
          className="beat"
          style={{ left: percent(scale.place(span.heartbeatAt)) }}
          title={`heartbeat ${Times.span(span.heartbeatAt - span.from)} after its start`}
        />
      )}
    </>
  )
}
