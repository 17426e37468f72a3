/**
 * The program that a command runs in.
 */
import * as Context from "effect/Context"
import type { Completable } from "./Completions.ts"

export interface HostShape {
  /** Command line that starts this program: the executable and the arguments before the command. */
  readonly self: ReadonlyArray<string>
  /** All commands, for shell completion. */
  readonly commands: ReadonlyArray<Completable>
}

export class Host extends Context.Tag("@smithers/cli/Host")<Host, HostShape>() {}
