/**
 * Output of a command. Results go to standard output, as text or, with `--json`, as one JSON document per line. Progress goes to
 * standard error, and is omitted with `--json`.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A live view of the terminal. */
export interface Drawing {
  /** Prints a line above the view. */
  readonly line: (text: string) => void
  /** Shows a line with the view for as long as the view lasts. */
  readonly note: (text: string) => void
  /** Removes the view. */
  readonly clear: () => void
}

export interface ScreenShape {
  readonly isJson: boolean
  /** `true` if results go to a terminal. */
  readonly isTerminal: boolean
  /** `true` if a person watches, so that lines may be redrawn. */
  readonly isLive: boolean
  /** `true` where a terminal shows colours: not with `NO_COLOR`. */
  readonly hasColors: boolean
  /** `true` if a person can be prompted. */
  readonly canAsk: boolean
  readonly columns: () => number
  readonly rows: () => number
  /** Prints a result: the value with `--json`, otherwise the text. Completes once it was accepted. */
  readonly print: (value: unknown, text: string) => Effect.Effect<void>
  /** Prints a progress message. */
  readonly log: (text: string) => Effect.Effect<void>
  /** Routes progress messages through a live view, which would otherwise overwrite them. */
  readonly redirectOutput: (drawing: Drawing | undefined) => void
  /** Stores the run to report if a signal stops the command. */
  readonly setCurrentRun: (run: { readonly runId: string; readonly next: ReadonlyArray<string> }) => void
  /** Writes to the terminal, control sequences included. */
  readonly draw: (text: string) => void
}

/** Redirects the `console` of workflows. */
export const redirectConsole = (line: (text: string) => void): void => {
  for (const name of ["log", "info", "debug", "warn", "error"] as const) {
    console[name] = (...values: ReadonlyArray<unknown>) =>
      line(values.map((value) => (typeof value === "string" ? value : Bun.inspect(value))).join(" "))
  }
}

/** Returns the width of tables, in columns: that of the terminal, if results go to one. */
export const widthOf = ({ isTerminal, columns }: ScreenShape): number | undefined => (isTerminal ? columns() : undefined)

/** The screen of the running command. */
export class Screen extends Context.Tag("@smithers/cli/Screen")<Screen, ScreenShape>() {}
