/**
 * What a tree is lowered with: what is known of the workflow's outputs, and how what runs later reads the run.
 */
import type * as Codec from "@smithers/core/Codec"
import type { NodeId, NodeKey } from "@smithers/core/Ids"
import type { NoteRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import type { Ctx } from "../Ctx.ts"
import type { HostNode } from "../HostNode.ts"
import type { Read } from "./reading.ts"

/** What a tree is lowered with. */
export interface Lowering {
  /** The table of an output: of a schema or a key; `undefined` where it is none of the workflow's. */
  readonly tableOf: (output: unknown) => string | undefined
  readonly codecOf: (table: string) => Codec.Codec<unknown, unknown>
  readonly tables: ReadonlyArray<string>
  /** The table whose last row is the output of a run, where the workflow says so. */
  readonly output: string | undefined
  /**
   * A `ctx` for a function that is called when a task runs, or to decide something about it. `noteRead` is told what it reads. What is not
   * there is an error or, where `onPending` is given, pending, and `onPending` is told.
   */
  readonly ctxAt: (state: RunState, loop: NodeId | undefined, noteRead: NoteRead, onPending?: (read: Read) => void) => Ctx
  /** Calls an author's function, which may close over the ctx of the render: until it returns, that answers like one made by `ctxAt`. */
  readonly calling: <A>(call: () => A, state: RunState, noteRead: NoteRead, onPending?: (read: Read) => void) => A
  /** Whether a node that is not mounted has an output, and what that is. */
  readonly stored: (nodeId: NodeId, state?: RunState, noteRead?: NoteRead) => { readonly value: unknown } | undefined
  /** The rows that reads found, with an output or where none will come. */
  readonly rowsOf: (reads: ReadonlyArray<Read>, state: RunState) => Iterable<NodeKey>
  /** Whether a boundary has caught something, in the current pass of the loop it is in. */
  readonly hasCaught: (boundary: NodeId, loop: NodeId | undefined) => boolean
  /** Whether nothing more comes of what stands in a scope, a race, a list or a part of one, in the current pass of the loop it is in. */
  readonly isLeft: (region: NodeId, loop: NodeId | undefined, rest?: unknown) => boolean
  /** Whether anything that a task or a wait says, or that components around it were given, is made of a pending value. */
  readonly holdsPending: (node: HostNode) => boolean
  /** Nodes not mounted that have given this table. */
  readonly storedWriters: (table: string) => ReadonlyArray<NodeId>
}

/** The table of tasks that declare no output. */
export const untypedTable = "untyped"
