/**
 * Dependencies of lowering: the outputs of the workflow, and how functions that run later read the run.
 */
import type * as Codec from "@smithers/core/Codec"
import type { NodeId, NodeKey } from "@smithers/core/Ids"
import type { NoteRead, Step } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import type { Members } from "../Compatibility.ts"
import type { Ctx } from "../Ctx.ts"
import type { HostNode } from "../HostNode.ts"
import type { Read } from "./reads.ts"
import type { Undoable } from "./retained.ts"

export interface Lowering {
  /** Returns the table of a schema or a key; `undefined` if it is not the workflow's. */
  readonly tableOf: (output: unknown) => string | undefined
  readonly codecOf: (table: string) => Codec.Codec<unknown, unknown>
  readonly tables: ReadonlyArray<string>
  /** Table whose last row is the output of a run, if declared. */
  readonly output: string | undefined
  /**
   * Creates a `ctx` for a function that is called when a task runs or a decision about it is made. Reports its reads to `noteRead`.
   * A missing output is an error or, with `onPending`, pending and reported to it.
   */
  readonly ctxAt: (state: RunState, loop: NodeId | undefined, noteRead: NoteRead, onPending?: (read: Read) => void) => Ctx & Members
  /**
   * Calls an author's function, which may close over the ctx of the render. During the call, that ctx behaves like one of `ctxAt`.
   */
  readonly calling: <A>(call: () => A, state: RunState, noteRead: NoteRead, onPending?: (read: Read) => void) => A
  /** Returns the output of a node that is not mounted, if it has one. */
  readonly stored: (nodeId: NodeId, state?: RunState, noteRead?: NoteRead) => { readonly value: unknown } | undefined
  /** Returns the rows that reads have found, with an output or skipped for good. */
  readonly rowsOf: (reads: ReadonlyArray<Read>, state: RunState) => Iterable<NodeKey>
  /** Returns `true` if a boundary has caught a failure in the current iteration of its loop. */
  readonly hasCaught: (boundary: NodeId, loop: NodeId | undefined) => boolean
  /** Returns `true` if a scope, race, list or part can produce nothing more in the current iteration of its loop. */
  readonly isLeft: (region: NodeId, loop: NodeId | undefined, rest?: unknown) => boolean
  /** Returns `true` if the content of a task or a wait, or of components around it, contains a pending value. */
  readonly holdsPending: (node: HostNode) => boolean
  /** Tasks that are not drawn any more, and stay in the plan for the saga that undoes them. `tasks` are those of the render. */
  readonly retained: (tasks: { readonly has: (id: NodeId) => boolean }) => ReadonlyArray<Undoable & { readonly step: Step }>
  /** Returns the unmounted nodes that have written a table. */
  readonly storedWriters: (table: string) => ReadonlyArray<NodeId>
}

/** Table of tasks without a declared output. */
export const untypedTable = "untyped"
