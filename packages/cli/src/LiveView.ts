/**
 * What a terminal shows while a run goes on: a line per event, and below them, drawn over again and again, what every node is doing.
 */
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import type * as Scope from "effect/Scope"
import { nameOf } from "./Parts.ts"
import * as Progress from "./Progress.ts"
import type { Drawing, ScreenShape } from "./Screen.ts"
import { clock, neutralise, oneLine, span, truncate, width } from "./Text.ts"

/** Nodes that are shown at most; beyond, they are counted. */
const mostNodes = 12

/** Columns of the bar that shows how far a run is. */
const barWidth = 20

/** By status, in the order in which nodes are shown. */
const marks: { readonly [S in Progress.ShownNode["status"]]: string } = {
  running: "→",
  retrying: "↻",
  waiting: "◦",
  interrupted: "■",
  failed: "✗",
  finished: "✓",
  skipped: "-",
}

const order = Object.keys(marks)

const nodeLine = (node: Progress.ShownNode, now: number): string => {
  const mark = marks[node.status]
  const place = `(attempt ${node.attempt}, iteration ${node.iteration})`
  const name = nameOf(node.nodeId)
  const since = span(now - node.since)
  switch (node.status) {
    case "running":
      return `${mark} ${name} ${place} ${since}`
    case "retrying": {
      const left = Math.max(0, (node.retryAt ?? now) - now)
      return `${mark} ${name} ${place} again in ${span(left)}: ${oneLine(node.error ?? "")}`
    }
    case "waiting": {
      const left = node.deadline === undefined ? "" : `, ${span(Math.max(0, node.deadline - now))} left`
      return `${mark} ${name} waits for ${node.waitsFor ?? "something"} (since ${since}${left})`
    }
    case "failed":
      return `${mark} ${name} ${place} ${oneLine(node.error ?? "failed")}`
    default:
      return `${mark} ${name} ${place} ${node.status}`
  }
}

/**
 * Lines of the block below the events. `total` is how many steps the plan has, as far as it is known; `held` names those that wait only for what
 * their component reads for something else.
 */
export const frame = (
  progress: Progress.Progress,
  total: number | undefined,
  now: number,
  size: { readonly columns: number; readonly rows: number },
  held: ReadonlyArray<string> = [],
): ReadonlyArray<string> => {
  const active = [...HashMap.values(progress.active)].sort(
    (left, right) =>
      order.indexOf(left.status) - order.indexOf(right.status) || left.since - right.since || left.order - right.order,
  )
  const room = Math.max(1, Math.min(mostNodes, size.rows - 3))
  const shown = active.slice(0, room).map((node) => nodeLine(node, now))
  const more = active.length > room ? [`… and ${active.length - room} more`] : []
  const waiting = held.length === 0 ? [] : [`◦ ${held.length} held back only by a read of their component: ${held.join(", ")}`]
  const done = HashMap.size(progress.done)
  const known = Math.max(total ?? 0, Progress.size(progress))
  const filled = known === 0 ? 0 : Math.round((done / known) * barWidth)
  const bar = `${"█".repeat(filled)}${"░".repeat(barWidth - filled)}`
  const summary = `${bar} ${done}/${known} done  ${clock(now - progress.createdAt)}`
  // A line that the terminal broke in two would count as two when it is drawn over.
  return [...shown, ...more, ...waiting, summary].map((line) => truncate(oneLine(line), Math.max(20, size.columns - 1)))
}

/** A view that can be written above of. */
export interface View extends Drawing {
  readonly update: (progress: Progress.Progress, total: number | undefined, held?: ReadonlyArray<string>) => void
}

/** How often it is drawn again, in milliseconds: seconds count up smoothly enough, and it costs nothing. */
const redrawMs = 200

/**
 * Takes away lines that were drawn, from wherever in its line the cursor is: what is typed, such as Ctrl-C, is shown there. Lines that are wider
 * than the terminal has become take more than one of its rows.
 */
const erase = (lines: ReadonlyArray<string>, columns: number): string => {
  if (lines.length === 0) return ""
  const rows = lines.reduce((count, line) => count + Math.max(1, Math.ceil(width(line) / columns)), 0)
  return `\u001b[G\u001b[${rows}A\u001b[J`
}

/** Shows a run until the scope closes; then only the lines stay. */
export const make = (
  screen: ScreenShape,
  clockNow: () => number,
  initial: Progress.Progress,
): Effect.Effect<View, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let progress = initial
      let total: number | undefined
      let held: ReadonlyArray<string> = []
      let notes: ReadonlyArray<string> = []
      let drawn: ReadonlyArray<string> = []
      const draw = (above: string): void => {
        const [columns, rows] = [screen.columns(), screen.rows()]
        const said = notes.map((note) => truncate(oneLine(note), Math.max(20, columns - 1)))
        const lines = [...frame(progress, total, clockNow(), { columns, rows: rows - said.length }, held), ...said]
        screen.draw(`${erase(drawn, columns)}${above}${lines.join("\n")}\n`)
        drawn = lines
      }
      const clear = (): void => {
        screen.draw(erase(drawn, screen.columns()))
        drawn = []
      }
      const timer = setInterval(() => draw(""), redrawMs)
      return {
        line: (text: string) => draw(`${neutralise(text)}\n`),
        note: (text: string) => {
          notes = [...notes, text]
          draw("")
        },
        clear,
        update: (next: Progress.Progress, count: number | undefined, siblings: ReadonlyArray<string> = []) => {
          progress = next
          total = count
          held = siblings
        },
        close: () => {
          clearInterval(timer)
          clear()
        },
      }
    }),
    ({ close }) => Effect.sync(close),
  )
