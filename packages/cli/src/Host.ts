/**
 * What a command knows of the program it is part of.
 */
import * as Context from "effect/Context"
import type { Completable } from "./Completions.ts"

export interface HostShape {
  /** How to start this program once more: the executable and what comes before the arguments. */
  readonly self: ReadonlyArray<string>
  /** All commands, for the one that completes them. */
  readonly commands: ReadonlyArray<Completable>
}

/** The program that runs the command. */
export class Host extends Context.Tag("@smithers/cli/Host")<Host, HostShape>() {}
