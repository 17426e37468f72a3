/**
 * The view of a run in a terminal: a line per outcome, and below them, drawn over again and again, the tree of what is at work.
 */

import * as Progress from "@smithers/server/views/Progress"
import { clock, neutralise, oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import type * as Scope from "effect/Scope"
import * as LiveTree from "./LiveTree.ts"
import type { Drawing, ScreenShape } from "./Screen.ts"
import { fit, type Line, paint, plain } from "./Styled.ts"
import { truncate, width } from "./Table.ts"

/** Lines of the picture: more would leave no room for what happened. */
const mostLines = 20

/** Columns of the bar that shows how far a run is. */
const barWidth = 20

/** The picture of a run. */
export interface Picture {
  readonly progress: Progress.Progress
  /** Once the plan is known. */
  readonly tree?: LiveTree.LiveTree | undefined
  /** Nodes that wait only for a read of their component, for something else. */
  readonly held?: ReadonlyArray<string>
}

/** Lines of a picture: the tree of what is at work, and how far the run is. */
export const frame = (
  { progress, tree, held = [] }: Picture,
  now: number,
  size: { readonly columns: number; readonly rows: number },
): ReadonlyArray<Line> => {
  const room = Math.max(1, Math.min(mostLines, size.rows - 3) - (held.length === 0 ? 0 : 1))
  const shown = tree === undefined ? LiveTree.list(progress, now, room) : tree.lines(progress, now, room)
  const names = held.join(", ")
  const waiting: Line = [{ text: `◦ ${held.length} held back only by a read of their component: ${oneLine(names)}`, style: "dim" }]
  const done = HashMap.size(progress.done)
  const known = Math.max(tree?.total ?? 0, Progress.size(progress))
  const filled = known === 0 ? 0 : Math.round((done / known) * barWidth)
  const summary: Line = [
    { text: "█".repeat(filled), style: "success" },
    { text: "░".repeat(barWidth - filled), style: "dim" },
    { text: ` ${done}/${known} done  ${clock(now - progress.createdAt)}`, style: "plain" },
  ]
  // A line that the terminal broke in two would count as two when it is drawn over.
  const columns = Math.max(20, size.columns - 1)
  return [...shown, ...(held.length === 0 ? [] : [waiting]), summary].map((line) => fit(line, columns))
}

/** A view that can be written above of. */
export interface View extends Drawing {
  readonly update: (picture: Picture) => void
}

/** Milliseconds between two pictures, so that the spinner turns and seconds count up. */
const redrawMs = 100

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
      let picture: Picture = { progress: initial }
      let notes: ReadonlyArray<string> = []
      let drawn: ReadonlyArray<string> = []
      const draw = (above: string): void => {
        const [columns, rows] = [screen.columns(), screen.rows()]
        const said = notes.map((note) => truncate(oneLine(note), Math.max(20, columns - 1)))
        const lines = frame(picture, clockNow(), { columns, rows: rows - said.length })
        const painted = [...lines.map((line) => paint(line, screen.hasColors)), ...said]
        screen.draw(`${erase(drawn, columns)}${above}${painted.join("\n")}\n`)
        drawn = [...lines.map(plain), ...said]
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
        update: (next: Picture) => {
          picture = next
        },
        close: () => {
          clearInterval(timer)
          clear()
        },
      }
    }),
    ({ close }) => Effect.sync(close),
  )
