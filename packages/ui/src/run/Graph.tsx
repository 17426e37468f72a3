/** @jsxImportSource react */
/** The plan as a picture: lines on a canvas, boxes in view as elements, colours only from far. */
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import { Link } from "wouter"
import { useKeys } from "../app/Keyboard.ts"
import { Meter } from "../parts/Basics.tsx"
import * as Camera from "../plan/Camera.ts"
import * as Layout from "../plan/Layout.ts"
import * as Outline from "../plan/Outline.ts"
import { countText, marks, tones } from "../plan/Tone.ts"
import { runAddress } from "../state/Url.ts"
import { type Colours, coloursOf, draw, type Links } from "./draw.ts"

interface Props {
  readonly outline: Outline.Outline
  readonly selected: string | undefined
  readonly onSelect: (key: string | undefined) => void
  readonly onOpen: (key: string) => void
}

const noItems: ReadonlyArray<number> = []

export const Graph = ({ outline, selected, onSelect, onOpen }: Props) => {
  const layout = useMemo(() => Layout.make(outline), [outline])
  const frame = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const layer = useRef<HTMLDivElement>(null)
  const camera = useRef<Camera.Camera | undefined>(undefined)
  const screen = useRef<Camera.Extent>({ width: 0, height: 0 })
  const colours = useRef<Colours | undefined>(undefined)
  const shown = useRef<Layout.Area | undefined>(undefined)
  const [inView, setInView] = useState<{ readonly layout: Layout.Layout; readonly items: ReadonlyArray<number> }>({
    layout,
    items: noItems,
  })
  const selectedAt = selected === undefined ? -1 : (outline.positions.get(selected) ?? -1)
  const links = useMemo(() => linksOf(outline, selectedAt), [outline, selectedAt])
  const current = useRef({ layout, selectedAt, links })
  current.current = { layout, selectedAt, links }

  const paint = useCallback(() => {
    const context = canvas.current?.getContext("2d")
    const view = camera.current
    const { layout, selectedAt, links } = current.current
    if (context == null || view === undefined || frame.current === null || layer.current === null) return
    colours.current ??= coloursOf(frame.current)
    draw(context, layout, view, screen.current, colours.current, window.devicePixelRatio || 1, selectedAt, links)
    layer.current.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`
    layer.current.style.visibility = view.zoom < Camera.nearFrom ? "hidden" : ""
    if (view.zoom < Camera.nearFrom) {
      if (shown.current !== undefined) setInView({ layout, items: noItems })
      shown.current = undefined
    } else if (shown.current === undefined || !Camera.holds(shown.current, clipped(Camera.seen(view, screen.current), layout))) {
      shown.current = Camera.seen(view, screen.current, 0.4)
      setInView({ layout, items: Layout.within(layout, shown.current) })
    }
  }, [])

  const due = useRef(0)
  const request = useCallback(() => {
    if (due.current !== 0) return
    due.current = requestAnimationFrame(() => {
      due.current = 0
      paint()
    })
  }, [paint])

  const isMoved = useRef(false)
  const look = useCallback(
    (next: Camera.Camera) => {
      camera.current = next
      isMoved.current = true
      request()
    },
    [request],
  )
  const fitAll = useCallback(() => {
    const { layout } = current.current
    look(Camera.fit({ x: 0, y: 0, ...layout.total }, screen.current))
  }, [look])

  // The screen's size, and the first look.
  useLayoutEffect(() => {
    const [element, surface] = [frame.current, canvas.current]
    if (element === null || surface === null) return
    const measure = (): void => {
      const { clientWidth, clientHeight } = element
      screen.current = { width: clientWidth, height: clientHeight }
      const ratio = window.devicePixelRatio || 1
      surface.width = clientWidth * ratio
      surface.height = clientHeight * ratio
      // Until somebody has looked around, all of it is shown, whatever the room.
      if ((camera.current === undefined || !isMoved.current) && clientWidth > 0)
        camera.current = Camera.opening(current.current.layout.total, screen.current)
      shown.current = undefined
      paint()
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    const scheme = window.matchMedia("(prefers-color-scheme: dark)")
    const recolour = (): void => {
      colours.current = undefined
      request()
    }
    scheme.addEventListener("change", recolour)
    return () => {
      observer.disconnect()
      scheme.removeEventListener("change", recolour)
      cancelAnimationFrame(due.current)
      due.current = 0
    }
  }, [paint, request])

  // A new plan, or other states of it.
  useLayoutEffect(() => {
    if (current.current.layout !== layout) return
    shown.current = undefined
    paint()
  }, [layout, paint])

  // What is selected elsewhere comes into view.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the selection moves the view, no new state of the plan
  useEffect(() => {
    request()
    const view = camera.current
    if (selectedAt < 0 || view === undefined || !layout.isBox[selectedAt]) return
    const area = Layout.areaOf(layout, selectedAt, 8)
    const isBig = area.width * view.zoom > screen.current.width
    if (isBig || Camera.holds(Camera.seen(view, screen.current), area)) return
    look(Camera.centered(area, screen.current, Math.max(view.zoom, 0.7)))
  }, [selected])

  useGestures(frame, camera, look, (x, y) => {
    // From far a click chooses what is drawn there.
    const view = camera.current
    if (view === undefined || view.zoom >= Camera.nearFrom) return
    const at = Layout.hit(current.current.layout, (x - view.x) / view.zoom, (y - view.y) / view.zoom)
    const item = current.current.layout.outline.items[at]
    if (item === undefined) return
    look(Camera.centered(Layout.areaOf(current.current.layout, at), screen.current, 0.8))
    onSelect(item.key)
  })

  useKeys(["run"], { fit: fitAll })
  const zoomBy = (factor: number): void => {
    if (camera.current !== undefined)
      look(Camera.zoomed(camera.current, factor, { x: screen.current.width / 2, y: screen.current.height / 2 }))
  }

  const items = inView.layout === layout ? inView.items : noItems
  const choose = useCallback((key: string, opens: boolean) => (opens ? onOpen(key) : onSelect(key)), [onOpen, onSelect])
  const said = selectedAt < 0 ? "" : saidOf(outline, selectedAt, links)
  const focusable =
    selectedAt >= 0 && items.includes(selectedAt) ? selectedAt : (items.find((at) => isPressable(outline, at)) ?? -1)
  const move = (event: React.KeyboardEvent): void => {
    const at = Number((event.target as HTMLElement).closest<HTMLElement>("[data-at]")?.dataset.at ?? -1)
    if (at < 0) return
    const next = neighbour(layout, at, event.key)
    if (next === undefined) return
    event.preventDefault()
    const element = frame.current?.querySelector<HTMLElement>(`[data-at="${next}"]`)
    const key = outline.items[next]?.key
    if (element == null) onSelect(key)
    else element.focus({ preventScroll: false })
  }
  const legend = tones.filter((tone) => outline.items.some((item, at) => item.parent < 0 && (outline.counts[at]?.[tone] ?? 0) > 0))

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrow keys move among the buttons inside
    <div className="graph" ref={frame} onKeyDown={move} data-nodes={outline.items.length}>
      <canvas ref={canvas} aria-hidden />
      <section className="layer" ref={layer} aria-label="Plan as a graph">
        {items.map((at) => (
          <Box
            key={outline.items[at]?.key}
            {...{ layout, at, choose }}
            isSelected={at === selectedAt}
            isFocusable={at === focusable}
          />
        ))}
      </section>
      {said === "" ? null : (
        <p className="links" role="status" data-links>
          {said}
        </p>
      )}
      <div className="legend" aria-hidden>
        {legend.map((tone) => (
          <span key={tone} className={`toned ${tone}`}>
            {marks[tone]} {sum(outline, tone)}{" "}
            {tone === "wait"
              ? "waiting"
              : tone === "off"
                ? "left out"
                : tone === "active"
                  ? "running"
                  : tone === "idle"
                    ? "to come"
                    : tone === "retry"
                      ? "retrying"
                      : tone}
          </span>
        ))}
      </div>
      <div className="tools">
        <button type="button" aria-label="Zoom out" onClick={() => zoomBy(1 / 1.4)}>
          −
        </button>
        <button type="button" aria-label="Zoom in" onClick={() => zoomBy(1.4)}>
          +
        </button>
        <button type="button" title="Show all (f)" onClick={fitAll}>
          Fit
        </button>
      </div>
    </div>
  )
}

const sum = ({ items, counts }: Outline.Outline, tone: (typeof tones)[number]): number =>
  items.reduce((all, { parent }, at) => all + (parent < 0 ? (counts[at]?.[tone] ?? 0) : 0), 0)

const isPressable = ({ items }: Outline.Outline, at: number): boolean => items[at] !== undefined

/** The part of an area that has something of the plan in it. */
const clipped = (area: Layout.Area, { total }: Layout.Layout): Layout.Area => {
  const [x, y] = [Math.max(area.x, 0), Math.max(area.y, 0)]
  return {
    x,
    y,
    width: Math.max(0, Math.min(area.x + area.width, total.width) - x),
    height: Math.max(0, Math.min(area.y + area.height, total.height) - y),
  }
}

/** What the node needs or has read, and what needs or has read it, in the same run. */
const linksOf = ({ items, positions }: Outline.Outline, selectedAt: number): Links => {
  const selected = items[selectedAt]
  if (selected === undefined || selected.node.id === null || selected.kind === "fan") return []
  const { node, runId } = selected
  const id = selected.node.id
  const found: Array<Links[number]> = []
  for (const [kind, ids] of [
    ["needs", Outline.needsOf(node)],
    ["reads", Outline.readsOf(node)],
  ] as const) {
    for (const one of ids) {
      const from = positions.get(Outline.keyOf(one, runId))
      if (from !== undefined) found.push([from, selectedAt, kind])
    }
  }
  for (const [at, item] of items.entries()) {
    if (at === selectedAt || item.kind === "fan" || item.runId !== runId) continue
    if (Outline.needsOf(item.node).includes(id)) found.push([selectedAt, at, "needs"])
    else if (item.node.reads?.includes(id) === true) found.push([selectedAt, at, "reads"])
  }
  return found
}

/** The links of a node in words, for those who do not see the lines. */
const saidOf = ({ items }: Outline.Outline, selectedAt: number, links: Links): string => {
  const names = (which: Links, end: 0 | 1): string => {
    const all = which.map((link) => Outline.titleOf(items[link[end]] as Outline.Item))
    return all.length > 8 ? `${all.slice(0, 8).join(", ")} and ${all.length - 8} more` : all.join(", ")
  }
  const said = (["needs", "reads"] as const).flatMap((kind) => {
    const of = links.filter((link) => link[2] === kind)
    const [into, out] = [of.filter((link) => link[1] === selectedAt), of.filter((link) => link[0] === selectedAt)]
    return [
      into.length === 0 ? "" : `${kind} ${names(into, 0)}`,
      out.length === 0 ? "" : `${kind === "needs" ? "needed by" : "read by"} ${names(out, 1)}`,
    ]
  })
  return said.filter((part) => part !== "").join(" · ")
}

/** The nearest box in the direction of an arrow key. */
const neighbour = ({ x, y, width, height, isBox }: Layout.Layout, at: number, key: string): number | undefined => {
  const [dx, dy] = (
    { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] } as {
      readonly [key: string]: readonly [number, number]
    }
  )[key] ?? [0, 0]
  if (dx === 0 && dy === 0) return undefined
  const center = (one: number): readonly [number, number] => [
    (x[one] as number) + (width[one] as number) / 2,
    (y[one] as number) + (height[one] as number) / 2,
  ]
  const [fromX, fromY] = center(at)
  let [best, least]: [number | undefined, number] = [undefined, Number.POSITIVE_INFINITY]
  for (let other = 0; other < x.length; other++) {
    if (other === at || !isBox[other]) continue
    const [toX, toY] = center(other)
    const [along, across] = dx !== 0 ? [(toX - fromX) * dx, Math.abs(toY - fromY)] : [(toY - fromY) * dy, Math.abs(toX - fromX)]
    if (along <= 1) continue
    const far = along + 3 * across
    if (far < least) [best, least] = [other, far]
  }
  return best
}

interface BoxProps {
  readonly layout: Layout.Layout
  readonly at: number
  readonly isSelected: boolean
  readonly isFocusable: boolean
  readonly choose: (key: string, opens: boolean) => void
}

const Box = memo(({ layout, at, isSelected, isFocusable, choose }: BoxProps) => {
  const { outline, x, y, width, height } = layout
  const item = outline.items[at] as Outline.Item
  const tone = outline.tones[at] ?? "idle"
  const style = { transform: `translate(${x[at]}px, ${y[at]}px)`, width: width[at], height: height[at] }
  const [title, remark] = [Outline.titleOf(item), Outline.remarkOf(item)]
  const counts = outline.counts[at]
  const isFan = item.kind === "fan"
  if (item.kind === "note") {
    return (
      <p className="box note soft cut" style={style}>
        {Outline.titleOf(item)}
      </p>
    )
  }
  const hasChild = !isFan && item.node.child !== undefined
  const isFrame = !isFan && (outline.ends[at] as number) > at + 1
  const status = item.node.status ?? tone
  const shown =
    isFrame && hasChild
      ? [item.kind, remark, item.node.status ?? ""].filter((part) => part !== "").join(" · ")
      : isFrame
        ? title === item.kind
          ? remark
          : `${item.kind}${remark === "" ? "" : ` · ${remark}`}`
        : isFan && counts !== undefined
          ? countText(counts)
          : [
              item.kind === "step" ? undefined : item.kind,
              status === "running" || status === "finished" || status === "idle" ? undefined : status,
              remark === "" ? undefined : remark,
            ]
              .filter((part) => part !== undefined)
              .join(" · ")
  const stands = isFrame && !hasChild && counts !== undefined ? countText(counts) : status === "idle" ? "to come" : status
  // What is seen comes first, so that people who speak to their machine can say it.
  const said = [
    shown === "" ? title : `${title} ${shown}`,
    ...[item.kind, isFan ? "folded" : stands].filter((word) => !shown.includes(word)),
  ].join(", ")
  const press = {
    type: "button" as const,
    "data-at": at,
    "data-key": item.key,
    "aria-label": said,
    "aria-pressed": isSelected,
    tabIndex: isFocusable ? 0 : -1,
    onClick: () => choose(item.key, isFan),
  }
  const twist = hasChild ? (
    <button
      type="button"
      className="twist"
      aria-expanded={isFrame}
      aria-label={`${isFrame ? "Fold" : "Show"} the child run of ${title}`}
      title={isFrame ? "Fold the child run" : "Show the child run here"}
      onClick={() => choose(item.key, true)}
    >
      {isFrame ? "−" : "+"}
    </button>
  ) : null
  if (isFrame) {
    return (
      <div className={`box frame ${tone} ${isSelected ? "chosen" : ""}`} style={style}>
        <button {...press} className={tone}>
          <span className="toned" aria-hidden>
            {marks[tone]}
          </span>
          <b className="cut">{title}</b> <span className="cut">{shown}</span>
        </button>
        {item.later === undefined ? null : (
          <Link className="later cut" href={runAddress(item.later)}>
            goes on as {item.later}
          </Link>
        )}
        {twist}
      </div>
    )
  }
  const box = (
    <button
      {...press}
      className={`box node ${tone} ${hasChild ? "parent" : ""} ${isSelected ? "chosen" : ""}`}
      style={style}
      title={`${title}${remark === "" ? "" : ` · ${remark}`}`}
    >
      <span className="mark" aria-hidden>
        {marks[tone]}
      </span>
      <span className="cut">{title}</span> <span className="remark cut">{shown}</span>
      {isFan && counts !== undefined ? <Meter counts={counts} /> : null}
    </button>
  )
  if (twist === null) return box
  return (
    <>
      {box}
      <span className="box beside" style={{ ...style, width: 0, height: 0 }}>
        <span style={{ left: width[at] }}>{twist}</span>
      </span>
    </>
  )
})

/** Dragging, wheels and two fingers. Listeners are set by hand, since those of wheels must be able to keep the page from scrolling. */
const useGestures = (
  frame: React.RefObject<HTMLDivElement | null>,
  camera: React.RefObject<Camera.Camera | undefined>,
  look: (next: Camera.Camera) => void,
  click: (x: number, y: number) => void,
): void => {
  const onClick = useRef(click)
  onClick.current = click
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const pointers = new Map<number, { x: number; y: number }>()
    let [travelled, isDragging] = [0, false]
    const place = (event: PointerEvent | WheelEvent | MouseEvent) => {
      const { left, top } = element.getBoundingClientRect()
      return { x: event.clientX - left, y: event.clientY - top }
    }
    const down = (event: PointerEvent): void => {
      if (event.button !== 0 || (event.target instanceof Element && event.target.closest(".tools") !== null)) return
      pointers.set(event.pointerId, place(event))
      travelled = 0
    }
    const move = (event: PointerEvent): void => {
      const before = pointers.get(event.pointerId)
      const view = camera.current
      if (before === undefined || view === undefined) return
      const now = place(event)
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1]
      travelled += Math.hypot(now.x - before.x, now.y - before.y)
      pointers.set(event.pointerId, now)
      if (other !== undefined) {
        const [was, is] = [Math.hypot(before.x - other.x, before.y - other.y), Math.hypot(now.x - other.x, now.y - other.y)]
        look(Camera.zoomed(view, was < 1 ? 1 : is / was, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }))
        return
      }
      if (travelled < 4) return
      if (!isDragging) {
        isDragging = true
        element.setPointerCapture(event.pointerId)
        element.classList.add("dragging")
      }
      look(Camera.moved(view, now.x - before.x, now.y - before.y))
    }
    const up = (event: PointerEvent): void => {
      if (!pointers.delete(event.pointerId)) return
      element.classList.remove("dragging")
      if (isDragging) {
        isDragging = false
        return
      }
      if (event.type === "pointerup" && travelled < 4) onClick.current(place(event).x, place(event).y)
    }
    const wheel = (event: WheelEvent): void => {
      const view = camera.current
      if (view === undefined) return
      event.preventDefault()
      const scale = event.deltaMode === 1 ? 16 : 1
      if (event.ctrlKey || event.metaKey) look(Camera.zoomed(view, Math.exp(-event.deltaY * scale * 0.008), place(event)))
      else if (event.shiftKey) look(Camera.moved(view, -event.deltaY * scale, 0))
      else look(Camera.moved(view, -event.deltaX * scale, -event.deltaY * scale))
    }
    element.addEventListener("pointerdown", down)
    element.addEventListener("pointermove", move)
    element.addEventListener("pointerup", up)
    element.addEventListener("pointercancel", up)
    element.addEventListener("wheel", wheel, { passive: false })
    return () => {
      element.removeEventListener("pointerdown", down)
      element.removeEventListener("pointermove", move)
      element.removeEventListener("pointerup", up)
      element.removeEventListener("pointercancel", up)
      element.removeEventListener("wheel", wheel)
    }
  }, [frame, camera, look])
}
