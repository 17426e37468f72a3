/**
 * The tree of a plan while its run goes on: nodes that are at work where they stand, and counts of the rest. An event costs the depth of its node,
 * and a picture the parts that are at work with their neighbours, however large the plan is.
 */
import { type NodeId, nodeKey, scopeOfTimeout } from "@smithers/core/Ids"
import type * as PlanText from "@smithers/core/PlanText"
import type { RunEvent } from "@smithers/core/RunEvent"
import { nameOf } from "@smithers/server/views/Parts"
import type { Progress, ShownNode } from "@smithers/server/views/Progress"
import { oneLine, shorten, span } from "@smithers/server/views/Text"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type { Line, Segment, Style } from "./Styled.ts"

/** Marks by status, in the order in which nodes are preferred where there is no room for all. Steps that run have a spinner. */
const marks: { readonly [S in ShownNode["status"]]: readonly [mark: string, style: Style] } = {
  running: ["→", "active"],
  retrying: ["↻", "warning"],
  waiting: ["◦", "warning"],
  interrupted: ["■", "warning"],
  failed: ["✗", "error"],
  finished: ["✓", "success"],
  skipped: ["-", "dim"],
}

const preference = Object.keys(marks)

const spinner = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"]

/** Milliseconds for which a picture of the spinner stands. */
const spinMs = 100

/** Names of neighbours that are listed before and after nodes at work. */
const mostNeighbours = 3

/** Levels that are indented, by two columns each. */
const mostLevels = 8

/** Characters of a label. */
const longestLabel = 60

/** A plan with the progress of its run. */
export interface LiveTree {
  /** Steps and waits of the plan. */
  readonly total: number
  /** Takes note of an event that led to `progress`. */
  readonly apply: (event: RunEvent, progress: Progress) => void
  /** The name of a node: of a boundary that has no id, its kind and the steps in it. */
  readonly nameOf: (nodeId: NodeId) => string
  /** At most `room` lines: nodes at work, the parts around them, and neighbours. */
  readonly lines: (progress: Progress, now: number, room: number) => ReadonlyArray<Line>
}

const pad = (level: number): string => "  ".repeat(Math.min(level, mostLevels))

const dim = (text: string): Segment => ({ text, style: "dim" })

const labelled = (label: string | undefined): Line =>
  label === undefined ? [] : [{ text: `  ${shorten(oneLine(label), longestLabel)}`, style: "plain", isFlexible: true }]

/** A line of a node: its mark, its name, its label, and its state in words. */
export const nodeLine = (node: ShownNode, now: number, level = 0, name = nameOf(node.nodeId), label?: string): Line => {
  const [mark, style] = marks[node.status]
  const spinning = node.status === "running" ? (spinner[Math.floor(now / spinMs) % spinner.length] ?? mark) : mark
  const attempt = node.attempt > 1 ? [`attempt ${node.attempt}`] : []
  const since = span(now - node.since)
  const head: Line = [{ text: `${pad(level)}${spinning} `, style }, { text: oneLine(name), style: "plain" }, ...labelled(label)]
  const tail = (...words: ReadonlyArray<string>): Line => [...head, dim(`  ${[...attempt, ...words].join(", ")}`)]
  switch (node.status) {
    case "running":
      return tail(since)
    case "retrying":
      return [
        ...tail(`attempt ${node.attempt + 1} in ${span(Math.max(0, (node.retryAt ?? now) - now))}`),
        { text: `: ${oneLine(node.error ?? "")}`, style: "error" },
      ]
    case "waiting": {
      const left = node.deadline === undefined ? [] : [`${span(Math.max(0, node.deadline - now))} left`]
      return [
        ...head,
        { text: `  ${node.waitsFor ?? "waits"}`, style: "warning" },
        dim(`  ${[`since ${since}`, ...left].join(", ")}`),
      ]
    }
    case "failed":
      return [...tail(), { text: `${attempt.length === 0 ? "" : ": "}${oneLine(node.error ?? "failed")}`, style: "error" }]
    default:
      return tail(node.status)
  }
}

/** A node with its place in the plan. */
interface Placed {
  readonly node: ShownNode
  /** `undefined` for nodes that the plan has no line for, as those that undo steps. */
  readonly position: number | undefined
}

const isBefore = ({ node: left }: Placed, { node: right }: Placed): number =>
  preference.indexOf(left.status) - preference.indexOf(right.status) || left.since - right.since || left.order - right.order

/** The nodes at work in lines of their own, where no plan is known. */
export const list = (progress: Progress, now: number, room: number): ReadonlyArray<Line> => {
  const placed = [...HashMap.values(progress.active)].map((node) => ({ node, position: undefined })).sort(isBefore)
  const shown = placed.slice(0, room).map(({ node }) => nodeLine(node, now))
  return placed.length > room ? [...shown.slice(0, room - 1), more(placed.length - room + 1)] : shown
}

const more = (count: number): Line => [dim(`… and ${count} more`)]

/** Makes the tree of a plan, for a run with this progress. */
export const make = ({ nodes, end, positions, size }: PlanText.PlanText, initial: Progress): LiveTree => {
  const parents = new Int32Array(size).fill(-1)
  /** The innermost loop around a node; -1 without one. */
  const loops = new Int32Array(size).fill(-1)
  const children: Array<Array<number>> = Array.from({ length: size }, () => [])
  const roots: Array<number> = []
  const isLeaf = new Uint8Array(size)
  /** Steps and waits in a part, and those that are settled in the pass that the loop around them is in. */
  const [leaves, done] = [new Int32Array(size), new Int32Array(size)]
  const settled = new Uint8Array(size)
  /** The iteration of the nodes in a loop in its latest pass. */
  const iterations = new Int32Array(size)

  const add = (counts: Int32Array, position: number, by: number): void => {
    for (let up = position; up >= 0; up = parents[up] ?? -1) counts[up] = (counts[up] ?? 0) + by
  }

  const isTimer = (position: number): boolean => {
    const id = nodes[position]?.id
    return id !== undefined && scopeOfTimeout(id) !== undefined
  }

  const open: Array<number> = []
  for (const [position, { depth, _tag }] of nodes.entries()) {
    const parent = depth === 0 ? -1 : (open[depth - 1] ?? -1)
    open[depth] = position
    parents[position] = parent
    ;(parent < 0 ? roots : children[parent])?.push(position)
    if (parent >= 0) loops[position] = nodes[parent]?._tag === "Loop" ? parent : (loops[parent] ?? -1)
    // Timers of scopes are shown with their scopes.
    if ((_tag === "Step" || _tag === "Wait") && !isTimer(position)) {
      isLeaf[position] = 1
      add(leaves, position, 1)
    }
  }

  /** The iteration of a node in the latest pass of the loop around it. */
  const iterationAt = (position: number): number => iterations[loops[position] ?? -1] ?? 0

  const settle = (position: number, is: boolean): void => {
    if ((settled[position] === 1) === is) return
    settled[position] = is ? 1 : 0
    add(done, position, is ? 1 : -1)
  }

  /** Nothing in a loop is done in a pass that has just begun. */
  const advance = (loop: number, iteration: number): void => {
    if ((iterations[loop] ?? 0) >= iteration) return
    iterations[loop] = iteration
    for (let inside = loop + 1; inside < end(loop); inside++) if (isLeaf[inside] === 1) settle(inside, false)
  }

  const note = (progress: Progress, position: number): void => {
    const id = nodes[position]?.id
    if (isLeaf[position] === 1 && id !== undefined) settle(position, HashMap.has(progress.done, nodeKey(id, iterationAt(position))))
  }

  for (const { nodeId, iteration } of [...HashMap.values(initial.active), ...HashMap.values(initial.done)]) {
    const loop = loops[positions.get(nodeId) ?? -1] ?? -1
    if (loop >= 0) iterations[loop] = Math.max(iterations[loop] ?? 0, iteration)
  }
  for (let position = 0; position < size; position++) {
    const { _tag, id } = nodes[position] ?? {}
    const known = _tag === "Loop" && id !== undefined ? Option.getOrUndefined(HashMap.get(initial.passes, id)) : undefined
    if (known !== undefined) iterations[position] = Math.max(iterations[position] ?? 0, known.iteration)
  }
  for (let position = 0; position < size; position++) note(initial, position)

  const kindOf = (position: number): string => {
    const node = nodes[position]
    if (node?._tag === "Wait") return node.details.kind
    if (node?._tag === "TryCatch") return "try"
    if (node?._tag !== "Scope") return node?._tag.toLowerCase() ?? ""
    const held = nodes[children[position]?.find((child) => !isTimer(child)) ?? -1]?._tag
    return held === "Race" ? "race" : held === "ForEach" ? "list" : "scope"
  }

  const leavesIn = (position: number, most: number): ReadonlyArray<number> => {
    const found: Array<number> = []
    for (let inside = position; inside < end(position) && found.length < most; inside++)
      if (isLeaf[inside] === 1) found.push(inside)
    return found
  }

  const titleOf = (position: number): string => {
    const node = nodes[position]
    if (node === undefined) return ""
    const { id } = node
    if (isLeaf[position] === 1) return oneLine(id ?? kindOf(position))
    if (node._tag === "Scope" && node.details.part !== undefined) return oneLine(node.details.part)
    if (id !== undefined && !isUnnamed(id)) return `${kindOf(position)} ${oneLine(id)}`
    const names = leavesIn(position, 4).map((leaf) => oneLine(nodes[leaf]?.id ?? ""))
    if (names.length === 0) return kindOf(position)
    return `${kindOf(position)} of ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}`
  }

  /** Nodes without a line of their own: what is in them is shown in their place. */
  const isFlat = (position: number): boolean => {
    const node = nodes[position]
    if (node?._tag === "Scope" && node.details.part !== undefined) return leaves[position] === 1
    if (node?._tag === "Parallel") return (children[position] ?? []).filter((child) => !isTimer(child)).length < 2
    return node?._tag === "Sequence" || node?._tag === "Branch" || node?._tag === "Race" || node?._tag === "ForEach"
  }

  /** The children of a node that run one after the other; `undefined` where they do not. */
  const ordered = (position: number): ReadonlyArray<number> | undefined =>
    position < 0 ? roots : nodes[position]?._tag === "Sequence" ? children[position] : undefined

  const partLine = (progress: Progress, position: number, level: number, now: number): Line => {
    const node = nodes[position]
    const remarks: Array<string> = []
    if (node?._tag === "Loop" && node.id !== undefined) {
      const pass = Option.match(HashMap.get(progress.passes, node.id), { onNone: () => 0, onSome: (known) => known.pass })
      const { maxIterations } = node.details
      remarks.push(`pass ${pass + 1}${typeof maxIterations === "number" ? ` of ${maxIterations}` : ""}`)
    }
    if ((leaves[position] ?? 0) > 1) remarks.push(`${done[position]}/${leaves[position]} done`)
    const timer = node?._tag === "Scope" ? children[position]?.find(isTimer) : undefined
    const timerId = nodes[timer ?? -1]?.id
    const running =
      timer === undefined || timerId === undefined
        ? undefined
        : Option.getOrUndefined(HashMap.get(progress.active, nodeKey(timerId, iterationAt(timer))))
    if (running?.deadline !== undefined) remarks.push(`${span(Math.max(0, running.deadline - now))} left`)
    const label = node !== undefined && "label" in node.details ? node.details.label : undefined
    const tail = remarks.length === 0 ? [] : [dim(`  ${remarks.join(", ")}`)]
    // The steps of a parallel part that has no name stand below it.
    const title = node?._tag === "Parallel" ? kindOf(position) : titleOf(position)
    return [{ text: `${pad(level)}${title}`, style: "strong" }, ...labelled(label), ...tail]
  }

  const names = (neighbours: ReadonlyArray<number>): string => neighbours.map(titleOf).join(", ")

  const doneLine = (before: ReadonlyArray<number>, level: number): Line => {
    const left = before.length - mostNeighbours
    const text = names(before.slice(-mostNeighbours))
    return [{ text: `${pad(level)}✓ `, style: "success" }, dim(left > 0 ? `${left} more, ${text}` : text)]
  }

  const nextLine = (after: ReadonlyArray<number>, level: number): Line => {
    const left = after.length - mostNeighbours
    return [dim(`${pad(level)}· ${names(after.slice(0, mostNeighbours))}${left > 0 ? ` and ${left} more` : ""}`)]
  }

  interface Drawn {
    readonly line: Line
    readonly isNeighbour: boolean
  }

  /** Draws the nodes at these positions with the parts around them, in document order. */
  const draw = (shown: ReadonlyMap<number, ShownNode | undefined>, progress: Progress, now: number): ReadonlyArray<Drawn> => {
    const drawn: Array<Drawn> = []
    const order = [...shown.keys()].sort((left, right) => left - right)
    const levels = new Map<number, number>([[-1, 0]])
    /** Children that are shown, of nodes whose children run one after the other. */
    const shownIn = new Map<number, Array<number>>()
    for (const position of order) {
      const parent = parents[position] ?? -1
      if (ordered(parent) === undefined) continue
      const among = shownIn.get(parent)
      if (among === undefined) shownIn.set(parent, [position])
      else among.push(position)
    }
    const around: Array<number> = []
    const close = (until: number): void => {
      while (around.length > 0) {
        const parent = around.at(-1) as number
        if (parent >= 0 && end(parent) > until) return
        if (parent < 0 && until < size) return
        around.pop()
        const last = shownIn.get(parent)?.at(-1)
        const siblings = ordered(parent) ?? []
        const after = last === undefined ? [] : siblings.slice(siblings.indexOf(last) + 1)
        if (after.length > 0) drawn.push({ line: nextLine(after, levels.get(parent) ?? 0), isNeighbour: true })
      }
    }
    if (order.length > 0) around.push(-1)
    for (const position of order) {
      close(position)
      const parent = parents[position] ?? -1
      const level = levels.get(parent) ?? 0
      if (shownIn.get(parent)?.[0] === position) {
        const siblings = ordered(parent) ?? []
        const before = siblings.slice(0, siblings.indexOf(position))
        if (before.length > 0) drawn.push({ line: doneLine(before, level), isNeighbour: true })
      }
      const node = shown.get(position)
      if (node === undefined) {
        levels.set(position, isFlat(position) ? level : level + 1)
        if (!isFlat(position)) drawn.push({ line: partLine(progress, position, level, now), isNeighbour: false })
        if (ordered(position) !== undefined) around.push(position)
        continue
      }
      const details = nodes[position]?.details
      const label = details !== undefined && "label" in details ? details.label : undefined
      drawn.push({ line: nodeLine(node, now, level, titleOf(position), label), isNeighbour: false })
    }
    close(size)
    return drawn
  }

  return {
    total: roots.reduce((sum, root) => sum + (leaves[root] ?? 0), 0),
    nameOf: (nodeId) => {
      const position = positions.get(nodeId)
      return position !== undefined && isUnnamed(nodeId) ? titleOf(position) : nodeId
    },
    apply: (event, progress) => {
      const position = "nodeId" in event ? positions.get(event.nodeId) : undefined
      if (position === undefined || !("iteration" in event)) return
      if (event._tag === "LoopAdvanced") return advance(position, event.base + event.pass)
      // A loop that is over may have left out what was new in its last pass.
      if (event._tag === "LoopFinished") for (const leaf of leavesIn(position, size)) settle(leaf, true)
      else {
        const loop = loops[position] ?? -1
        if (loop >= 0) advance(loop, event.iteration)
        note(progress, position)
      }
    },
    lines: (progress, now, room) => {
      const placed: Array<Placed> = []
      for (const node of HashMap.values(progress.active)) {
        const position = positions.get(node.nodeId)
        // The timer of a scope is shown with it, and what failed in an earlier pass is over.
        if (position !== undefined && (isLeaf[position] === 0 || node.iteration !== iterationAt(position))) continue
        placed.push({ node, position })
      }
      placed.sort(isBefore)
      const shown = new Map<number, ShownNode | undefined>()
      const elsewhere: Array<ShownNode> = []
      let [count, taken] = [0, 0]
      for (const { node, position } of placed) {
        const around: Array<number> = []
        for (let up = parents[position ?? -1] ?? -1; up >= 0 && !shown.has(up); up = parents[up] ?? -1) around.push(up)
        const lines = 1 + around.filter((part) => !isFlat(part)).length
        // The last line counts the rest.
        if (count + lines > room - (taken + 1 < placed.length ? 1 : 0)) break
        count += lines
        taken++
        for (const part of around) shown.set(part, undefined)
        if (position === undefined) elsewhere.push(node)
        else shown.set(position, node)
      }
      const drawn = draw(shown, progress, now)
      const last = [
        ...elsewhere.map((node) => nodeLine(node, now)),
        ...(taken < placed.length ? [more(placed.length - taken)] : []),
      ]
      let spare = room - last.length - drawn.filter(({ isNeighbour }) => !isNeighbour).length
      const kept = drawn.filter(({ isNeighbour }) => !isNeighbour || spare-- > 0)
      return [...kept.map(({ line }) => line), ...last]
    },
  }
}

/** Ids that boundaries without an id get from their place in a drawing. */
const isUnnamed = (id: NodeId): boolean => /^(loop|saga|try):\d+(-|:|$)/.test(id)
