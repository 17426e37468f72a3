/**
 * Where a command writes. Results go to the standard output, as text or, with `--json`, as one JSON document per line and nothing else;
 * what is said on the way goes to the standard error, and is not said with `--json`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What draws on the terminal, over and over. */
export interface Drawing {
  /** Writes a line above what is drawn. */
  readonly line: (text: string) => void
  /** Shows a line with what is drawn, for as long as that is. */
  readonly note: (text: string) => void
  /** Takes away what is drawn. */
  readonly clear: () => void
}

export interface ScreenShape {
  readonly isJson: boolean
  /** Whether results are shown on a terminal. */
  readonly isTerminal: boolean
  /** Whether a person looks at it, so that lines may be drawn over. */
  readonly isLive: boolean
  /** `true` where a terminal shows colours: not with `NO_COLOR`. */
  readonly hasColors: boolean
  /** Whether someone can be asked. */
  readonly canAsk: boolean
  readonly columns: () => number
  readonly rows: () => number
  /** Prints a result: the value with `--json`, otherwise the text. Completes when it was taken. */
  readonly print: (value: unknown, text: string) => Effect.Effect<void>
  /** Says something on the way. */
  readonly say: (text: string) => Effect.Effect<void>
  /** Has what is said go through what draws on the terminal, which would otherwise draw over it. */
  readonly sayThrough: (drawing: Drawing | undefined) => void
  /** Keeps what is to be told of a run should the command be stopped by a signal. */
  readonly remember: (run: { readonly runId: string; readonly next: ReadonlyArray<string> }) => void
  /** Draws on the terminal as it is, control sequences and all. */
  readonly draw: (text: string) => void
}

/** Has what workflows print with `console` go somewhere else. */
export const redirectConsole = (line: (text: string) => void): void => {
  for (const name of ["log", "info", "debug", "warn", "error"] as const) {
    console[name] = (...values: ReadonlyArray<unknown>) =>
      line(values.map((value) => (typeof value === "string" ? value : Bun.inspect(value))).join(" "))
  }
}

/** Columns that tables are fitted to: those of the terminal, where results are shown on one. */
export const widthOf = ({ isTerminal, columns }: ScreenShape): number | undefined => (isTerminal ? columns() : undefined)

/** The screen of the command that runs. */
export class Screen extends Context.Tag("@smithers/cli/Screen")<Screen, ScreenShape>() {}
