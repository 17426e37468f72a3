/** @jsxImportSource react */
/** The plan as a tree of rows: the twin of the graph, for readers and small screens. */
import { useVirtualizer } from "@tanstack/react-virtual"
import { useEffect, useMemo, useRef, useState } from "react"
import * as Outline from "../plan/Outline.ts"
import { countText, marks } from "../plan/Tone.ts"

interface Props {
  readonly outline: Outline.Outline
  readonly selected: string | undefined
  readonly onSelect: (key: string | undefined) => void
  readonly onOpen: (key: string) => void
}

const indent = 16

export const Tree = ({ outline, selected, onSelect, onOpen }: Props) => {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const [focused, setFocused] = useState<string | undefined>(selected)
  const rows = useMemo(() => Outline.rows(outline, closed), [outline, closed])
  const room = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => room.current, estimateSize: () => 28, overscan: 12 })
  const indexOf = (key: string | undefined): number => (key === undefined ? -1 : rows.indexOf(outline.positions.get(key) ?? -1))
  const focusedIndex = Math.max(0, indexOf(focused))

  // biome-ignore lint/correctness/useExhaustiveDependencies: only another selection scrolls
  useEffect(() => {
    const index = indexOf(selected)
    if (index >= 0) virtual.scrollToIndex(index, { align: "auto" })
  }, [selected])

  const focus = (index: number): void => {
    const item = outline.items[rows[index] ?? -1]
    if (item === undefined) return
    setFocused(item.key)
    virtual.scrollToIndex(index, { align: "auto" })
    requestAnimationFrame(() => room.current?.querySelector<HTMLElement>(`[data-row="${index}"]`)?.focus())
  }
  const toggle = (key: string, open: boolean): void => {
    const next = new Set(closed)
    if (open) next.delete(key)
    else next.add(key)
    setClosed(next)
  }
  const press = (item: Outline.Item): void => (item.kind === "fan" ? onOpen(item.key) : onSelect(item.key))
  /** A node with a child run is opened by its plan, and closed without it. */
  const isChild = (item: Outline.Item): boolean => item.kind !== "fan" && item.node.child !== undefined
  const onKey = (event: React.KeyboardEvent): void => {
    const at = rows[focusedIndex] ?? -1
    const item = outline.items[at]
    if (item === undefined) return
    const hasInside = (outline.ends[at] as number) > at + 1
    const isOpen = hasInside && !closed.has(item.key)
    switch (event.key) {
      case "ArrowDown":
        focus(Math.min(rows.length - 1, focusedIndex + 1))
        break
      case "ArrowUp":
        focus(Math.max(0, focusedIndex - 1))
        break
      case "Home":
        focus(0)
        break
      case "End":
        focus(rows.length - 1)
        break
      case "ArrowRight":
        if (isChild(item) && !hasInside) onOpen(item.key)
        else if (hasInside && !isOpen) toggle(item.key, true)
        else focus(Math.min(rows.length - 1, focusedIndex + 1))
        break
      case "ArrowLeft":
        if (isOpen && isChild(item)) onOpen(item.key)
        else if (isOpen) toggle(item.key, false)
        else if (item.parent >= 0) focus(rows.indexOf(item.parent))
        break
      case "Enter":
      case " ":
        press(item)
        break
      default:
        return
    }
    event.preventDefault()
  }
  return (
    <div className="tree" ref={room}>
      <div
        role="tree"
        aria-label="Plan as a tree"
        tabIndex={-1}
        onKeyDown={onKey}
        style={{ height: virtual.getTotalSize(), position: "relative" }}
      >
        {virtual.getVirtualItems().map(({ index, start, key }) => {
          const at = rows[index] as number
          const item = outline.items[at] as Outline.Item
          const tone = outline.tones[at] ?? "idle"
          const hasInside = (outline.ends[at] as number) > at + 1
          const counts = outline.counts[at]
          const isGroup = hasInside || item.kind === "fan"
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the tree around it has the keys
            <div
              key={key}
              role="treeitem"
              data-row={index}
              data-key={item.key}
              aria-level={item.depth + 1}
              aria-selected={item.key === selected}
              aria-expanded={hasInside ? !closed.has(item.key) : isChild(item) ? false : undefined}
              tabIndex={index === focusedIndex ? 0 : -1}
              className={tone}
              style={{ transform: `translateY(${start}px)`, paddingLeft: 12 + item.depth * indent }}
              onClick={() => press(item)}
              onFocus={() => setFocused(item.key)}
            >
              <button
                type="button"
                className="twist plain"
                tabIndex={-1}
                aria-hidden
                onClick={(event) => {
                  event.stopPropagation()
                  if (isChild(item)) onOpen(item.key)
                  else if (hasInside) toggle(item.key, closed.has(item.key))
                }}
              >
                {item.kind === "fan" ? "⋯" : hasInside ? (closed.has(item.key) ? "▸" : "▾") : isChild(item) ? "▸" : ""}
              </button>
              <span className="mark" aria-hidden>
                {marks[tone]}
              </span>
              <span className="cut">{Outline.titleOf(item)}</span>
              <span className="soft cut">
                {[
                  item.kind === "step" || item.kind === "note" || Outline.titleOf(item) === item.kind
                    ? undefined
                    : item.kind === "fan"
                      ? "folded"
                      : item.kind,
                  Outline.remarkOf(item) || undefined,
                  item.later === undefined ? undefined : `goes on as ${item.later}`,
                ]
                  .filter((part) => part !== undefined)
                  .join(" · ")}
              </span>
              <span className="grow" />
              <span className="toned cut">
                {item.kind === "note"
                  ? ""
                  : isGroup && counts !== undefined && !isChild(item)
                    ? countText(counts)
                    : (item.node.status ?? "to come")}
              </span>
            </div>
          )
        })}
      </div>
    </div>
  )
}
