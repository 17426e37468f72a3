/**
 * Places of the items of a plan, from left to right. A plan is series-parallel, so the layout is exact: sizes from the inside out, then
 * places from the outside in, each in one walk over a flat list.
 */
import { type Item, isSideBySide, type Outline } from "./Outline.ts"

/** Sizes, in pixels at zoom 1. */
export const sizes = {
  leaf: { width: 184, height: 44 },
  fan: { width: 216, height: 60 },
  /** Between neighbours in a row, between rows of a column, and beside a column for the lines that fan out. */
  gap: 34,
  rowGap: 12,
  port: 26,
  header: 26,
  pad: 14,
} as const

/** Kinds without a frame of their own. */
const frameless: ReadonlySet<string> = new Set(["sequence", "parallel"])

export interface Layout {
  readonly outline: Outline
  readonly x: Float64Array
  readonly y: Float64Array
  readonly width: Float64Array
  readonly height: Float64Array
  /** `true` for an item that has a box: a leaf, a fan-out, or a frame around others. */
  readonly isBox: ReadonlyArray<boolean>
  /** Lines: four numbers each, `x1 y1 x2 y2`, and the items at both ends. */
  readonly lines: Float64Array
  readonly ends: Int32Array
  readonly total: { readonly width: number; readonly height: number }
}

const isLeafAt = ({ ends }: Outline, at: number): boolean => ends[at] === at + 1

const isFramed = ({ kind, node }: Item): boolean =>
  !frameless.has(kind) || [node.details.worktree, node.details.sandbox].some((place) => typeof place === "object" && place !== null)

/** Children beside one another beyond this are set in several columns. */
const mostInColumn = 24

/** Lays out a plan. Linear in its nodes. */
export const make = (outline: Outline): Layout => {
  const { items } = outline
  const size = items.length
  const [x, y, width, height] = [new Float64Array(size), new Float64Array(size), new Float64Array(size), new Float64Array(size)]
  const isBox: Array<boolean> = new Array(size).fill(true)
  // Children of each item, and of the top at the end, as lists in document order.
  const children: Array<Array<number>> = Array.from({ length: size + 1 }, () => [])
  for (let at = 0; at < size; at++) {
    const { parent } = items[at] as Item
    children[parent < 0 ? size : parent]?.push(at)
  }
  for (let at = size - 1; at >= 0; at--) {
    const item = items[at] as Item
    if (item.kind === "fan") {
      width[at] = sizes.fan.width
      height[at] = sizes.fan.height
    } else if (isLeafAt(outline, at)) {
      // An empty sequence takes no place: the line goes through it.
      isBox[at] = !frameless.has(item.kind)
      width[at] = isBox[at] ? sizes.leaf.width : 0
      height[at] = isBox[at] ? sizes.leaf.height : 0
    } else {
      const framed = isFramed(item)
      isBox[at] = framed
      const inner = isSideBySide(item.kind)
        ? columnSize(children[at] as Array<number>, width, height)
        : rowSize(children[at] as Array<number>, width, height)
      width[at] = framed ? Math.max(inner.width + 2 * sizes.pad, sizes.leaf.width) : inner.width
      height[at] = framed ? inner.height + sizes.header + 2 * sizes.pad : inner.height
    }
  }
  const top = children[size] as Array<number>
  const total = rowSize(top, width, height)
  const lines: Array<number> = []
  const ends: Array<number> = []
  const draw = (from: number, to: number, x1: number, y1: number, x2: number, y2: number): void => {
    if (Math.abs(x2 - x1) + Math.abs(y2 - y1) < 0.5) return
    lines.push(x1, y1, x2, y2)
    ends.push(from, to)
  }
  const middle = (at: number): number => (y[at] as number) + (height[at] as number) / 2
  const right = (at: number): number => (x[at] as number) + (width[at] as number)
  const row = (members: ReadonlyArray<number>, left: number, center: number): void => {
    let place = left
    for (const [index, at] of members.entries()) {
      x[at] = place
      y[at] = center - (height[at] as number) / 2
      const before = members[index - 1]
      if (before !== undefined) draw(before, at, right(before), middle(before), place, middle(at))
      place += (width[at] as number) + sizes.gap
    }
  }
  const column = (around: number, members: ReadonlyArray<number>, left: number, center: number): void => {
    const grid = gridOf(members, width, height)
    const far = left + grid.width + 2 * sizes.port
    let place = left + sizes.port
    for (const [index, { from, to, columnWidth, columnHeight }] of grid.columns.entries()) {
      let down = center - columnHeight / 2
      for (let number = from; number < to; number++) {
        const at = members[number] as number
        x[at] = place
        y[at] = down
        down += (height[at] as number) + sizes.rowGap
        // A grid is one bus: lines lead to its first column and from its last.
        if (index === 0) draw(around, at, left, center, place, middle(at))
        if (index === grid.columns.length - 1) draw(at, around, right(at), middle(at), far, center)
      }
      place += columnWidth + sizes.gap
    }
  }
  row(top, 0, total.height / 2)
  for (let at = 0; at < size; at++) {
    const item = items[at] as Item
    if (item.kind === "fan" || isLeafAt(outline, at)) continue
    const framed = isBox[at] as boolean
    const left = (x[at] as number) + (framed ? sizes.pad : 0)
    const center = framed
      ? (y[at] as number) + sizes.header + sizes.pad + ((height[at] as number) - sizes.header - 2 * sizes.pad) / 2
      : middle(at)
    if (isSideBySide(item.kind)) column(at, children[at] as Array<number>, left, center)
    else row(children[at] as Array<number>, left, center)
  }
  return { outline, x, y, width, height, isBox, lines: Float64Array.from(lines), ends: Int32Array.from(ends), total }
}

const rowSize = (members: ReadonlyArray<number>, width: Float64Array, height: Float64Array) => {
  const sum = { width: 0, height: 0 }
  for (const at of members) {
    sum.width += (width[at] as number) + sizes.gap
    sum.height = Math.max(sum.height, height[at] as number)
  }
  return { width: Math.max(0, sum.width - sizes.gap), height: sum.height }
}

interface Column {
  readonly from: number
  readonly to: number
  readonly columnWidth: number
  readonly columnHeight: number
}

const gridOf = (members: ReadonlyArray<number>, width: Float64Array, height: Float64Array) => {
  const perColumn =
    members.length <= mostInColumn ? members.length : Math.max(mostInColumn, Math.ceil(Math.sqrt(members.length * 3)))
  const columns: Array<Column> = []
  for (let from = 0; from < members.length; from += perColumn) {
    const to = Math.min(from + perColumn, members.length)
    let [columnWidth, columnHeight] = [0, -sizes.rowGap]
    for (let number = from; number < to; number++) {
      columnWidth = Math.max(columnWidth, width[members[number] as number] as number)
      columnHeight += (height[members[number] as number] as number) + sizes.rowGap
    }
    columns.push({ from, to, columnWidth, columnHeight })
  }
  return {
    columns,
    width: columns.reduce((sum, { columnWidth }) => sum + columnWidth + sizes.gap, -sizes.gap),
    height: columns.reduce((most, { columnHeight }) => Math.max(most, columnHeight), 0),
  }
}

const columnSize = (members: ReadonlyArray<number>, width: Float64Array, height: Float64Array) => {
  const grid = gridOf(members, width, height)
  return { width: grid.width + 2 * sizes.port, height: grid.height }
}

/** A rectangle of the plane. */
export interface Area {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Positions of the boxes that touch an area, frames before what is in them. Stops at `most`. */
export const within = ({ x, y, width, height, isBox }: Layout, area: Area, most = 2_000): ReadonlyArray<number> => {
  const found: Array<number> = []
  const [right, bottom] = [area.x + area.width, area.y + area.height]
  for (let at = 0; at < x.length && found.length < most; at++) {
    if (!isBox[at]) continue
    const [left, top] = [x[at] as number, y[at] as number]
    if (left > right || top > bottom || left + (width[at] as number) < area.x || top + (height[at] as number) < area.y) continue
    found.push(at)
  }
  return found
}

/** The innermost box at a point; -1 where there is none. */
export const hit = ({ x, y, width, height, isBox }: Layout, pointX: number, pointY: number): number => {
  for (let at = x.length - 1; at >= 0; at--) {
    if (!isBox[at]) continue
    const [left, top] = [x[at] as number, y[at] as number]
    if (pointX >= left && pointY >= top && pointX <= left + (width[at] as number) && pointY <= top + (height[at] as number))
      return at
  }
  return -1
}

/** The area of an item, with a margin. */
export const areaOf = ({ x, y, width, height }: Layout, at: number, margin = 0): Area => ({
  x: (x[at] as number) - margin,
  y: (y[at] as number) - margin,
  width: (width[at] as number) + 2 * margin,
  height: (height[at] as number) + 2 * margin,
})
