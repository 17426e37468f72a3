/**
 * State of a run as a workflow reads it. Reads during a render are recorded: the plan is rendered again when a value it has read
 * changes, and only then. For a missing output, `output` returns a {@link isPending pending} value and the other methods
 * `undefined`. While a task runs, reads return the current state, and `output` of a missing output throws {@link MissingOutput}.
 */

import { type Caught, caughtOf } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import { keptId, type NodeId } from "@smithers/core/Ids"
import * as Later from "@smithers/core/Later"
import type { StepContext } from "@smithers/core/StepProgram"
import type { attemptKey } from "@smithers/core/Transaction"
import * as Schema from "effect/Schema"
import * as Compatibility from "./Compatibility.ts"
import * as Reads from "./internal/reads.ts"
import { notePending } from "./internal/scope.ts"
import { pending } from "./Pending.ts"

/** Schemas by the name of their table. */
export interface Schemas {
  readonly [key: string]: Codec.AnySchema
}

/** Type of an output, given its schema or the key of the schema. Unchecked if the workflow declares no schemas. */
export type Read<S extends Schemas, T> = T extends Codec.AnySchema
  ? Codec.Output<T>
  : T extends keyof S
    ? 0 extends 1 & S
      ? Undeclared
      : Codec.Output<S[T]>
    : never

/** Selects one of several outputs. */
export interface ReadOptions {
  /** Task that wrote the output. Required if several tasks have this schema. */
  readonly nodeId?: string
  /** Iteration of the loop around the task, from 0. Default: the current one, or the last one of a task that has left the plan. */
  readonly iteration?: number
  /** The loop in which `iteration` counts, for a task that has left the plan. Default: the loop around the reader. */
  readonly loop?: string
}

/**
 * A value without a declared type: the input of a workflow without an `input` schema. It is any JSON that the caller has passed,
 * and its use is not type-checked. Declare `input` to have it checked.
 */
// Same type as the result of `JSON.parse`.
export type Undeclared = ReturnType<typeof JSON.parse>

/** The state of the run. */
export interface Ctx<S extends Schemas = Schemas, Input = Undeclared> {
  /** The decoded input of the run. */
  readonly input: Input
  readonly runId: string
  /**
   * Iteration of the innermost loop around the component, from 0. Outside of loops: that of the loop the component renders, or of
   * several the one that runs.
   */
  readonly iteration: number
  /** Returns the output of a task in the current iteration of its loop. Pending while there is none. */
  readonly output: <T extends (keyof S & string) | Codec.AnySchema>(target: T, options?: ReadOptions) => Read<S, T>
  /** Like {@link output}, but `undefined` while there is none. */
  readonly outputMaybe: <T extends (keyof S & string) | Codec.AnySchema>(target: T, options?: ReadOptions) => Read<S, T> | undefined
  /** Returns the last output of a task in its loop, from any iteration. */
  readonly latest: <T extends (keyof S & string) | Codec.AnySchema>(
    target: T,
    node?: string | Pick<ReadOptions, "nodeId">,
  ) => Read<S, T> | undefined
  /** Returns the number of outputs of a task in its loop. */
  readonly iterationCount: <T extends (keyof S & string) | Codec.AnySchema>(
    target: T,
    node?: string | Pick<ReadOptions, "nodeId">,
  ) => number
  /**
   * Returns the name of the branch that has won a race in the current iteration of its loop; of several, the first. `undefined`
   * while there is none.
   */
  readonly winner: (race: string) => string | undefined
  /** Returns the names of the branches that have won a race in the current iteration of its loop, in order. */
  readonly winners: (race: string) => ReadonlyArray<string>
  /** Returns the failed items of a settled list, or the failed branches of a race that ignores failures, in order. */
  readonly failures: (group: string) => ReadonlyArray<PartFailure>
}

/** A failed item of a list, or a failed branch of a race. */
export interface PartFailure {
  /** Key of the item, or name of the branch. */
  readonly key: string
  readonly error: Caught
}

/** The state of the run while a task runs, and of its attempt. */
export interface TaskCtx<S extends Schemas = Schemas, Input = Undeclared>
  extends Ctx<S, Input>,
    Pick<
      StepContext<Input>,
      "heartbeat" | "lastHeartbeat" | "signal" | "cwd" | "sandbox" | "attempt" | "idempotencyKey" | typeof attemptKey
    > {
  readonly taskId: string
}

/**
 * A task has read a missing output with `ctx.output`. The task fails without retries, since another attempt would read the same.
 */
export class MissingOutput extends Later.TaggedError<MissingOutput>()("MissingOutput", {
  output: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The output "${this.output}" does not exist: ${this.problem}. Declare it in deps to wait for it, or read it with outputMaybe.`
  }
}

/** Returns the error for a read through the ctx of a finished render. It is a slip in code, so it is not retried. */
const stale = (read: string): TypeError =>
  new TypeError(
    `ctx.${read} was called after the render that this ctx belongs to. Functions get their own ctx, which reads the current state: write (ctx) => …, or (deps, ctx) => … if the task has deps`,
  )

/** The lookups behind a `ctx`. */
export interface Source {
  readonly input: () => unknown
  readonly runId: string
  readonly known: () => Reads.Known
  /** Returns the table of a target. Throws if there is none. */
  readonly tableOf: (target: unknown) => string
  /** Tells whether a text is the name of a table. */
  readonly isTable: (name: string) => boolean
  /** Records a read, so that the plan is rendered again when its value changes. */
  readonly onRead?: (read: Reads.Read, found: Reads.Found) => void
  /** Returns the iteration of a reader outside of loops. */
  readonly pass: () => number
  readonly onIteration?: (loop: string) => void
  /** Records a read of all rows of a table. */
  readonly onTable?: (table: string) => void
  /** Records a lookup of the winners or failures of a race or a list. */
  readonly onGroup?: (group: NodeId, what: "winners" | "failures") => void
  /** Returns the value of `output` for a missing output. */
  readonly absent: (read: Reads.Read) => unknown
  /** Returns the ctx that answers once the render of this one is over; `undefined` if there is none, and then nothing is read. */
  readonly successor?: (loop: string | undefined) => Reader | "none" | undefined
}

/** A `ctx` without types. Methods, so that a typed `ctx` is assignable to it. */
interface Reader {
  readonly iteration: number
  output(target: unknown, options?: ReadOptions): unknown
  outputMaybe(target: unknown, options?: ReadOptions): unknown
  latest(target: unknown, node?: string | ReadOptions): unknown
  iterationCount(target: unknown, node?: string | ReadOptions): number
  winners(race: string): ReadonlyArray<string>
  failures(group: string): ReadonlyArray<PartFailure>
  [Compatibility.rowsKey](target: unknown): ReadonlyArray<Compatibility.Given>
  [Compatibility.iterationsKey](): Compatibility.Iterations
}

/** Returns the codec of the schema with a key; `undefined` if there is none. */
export const codecIn = (schemas: Schemas, key: string): Codec.Codec<unknown, unknown> | undefined => {
  const schema = Object.hasOwn(schemas, key) ? schemas[key] : undefined
  return schema === undefined ? undefined : Codec.makeUnknown(schema)
}

const nodeIdOf = (node: string | Pick<ReadOptions, "nodeId"> | undefined): string | undefined =>
  typeof node === "string" ? node : node?.nodeId

/** Creates a `ctx` for a place inside a loop, or outside of all. */
export const make = (source: Source, loop: string | undefined): Ctx & Compatibility.Members => {
  /** Returns the ctx that answers in place of this one. */
  const later = (name: string): Reader | undefined => {
    const successor = source.successor?.(loop)
    if (successor === "none") throw stale(name)
    return successor
  }
  const read = (target: unknown, nodeId: string | undefined, pass: Reads.Read["pass"], from = loop) => {
    const wanted = { table: source.tableOf(target), nodeId: nodeId === undefined ? undefined : keptId(nodeId), pass, from }
    const found = Reads.find(source.known(), wanted)
    source.onRead?.(wanted, found)
    return { wanted, found }
  }
  const winners = (race: string): ReadonlyArray<string> => {
    const id = keptId(race)
    source.onGroup?.(id, "winners")
    return Reads.winnersOf(source.known(), id)
  }
  const ctx = {
    get input() {
      return source.input()
    },
    runId: source.runId,
    get iteration() {
      const successor = later("iteration")
      // Only during the render it is known which loop a component renders.
      if (successor !== undefined && loop === undefined) throw stale("iteration")
      if (successor !== undefined) return successor.iteration
      if (loop === undefined) return source.pass()
      source.onIteration?.(loop)
      return Reads.passOf(source.known(), loop)
    },
    output: (target: unknown, options: ReadOptions = {}) => {
      const successor = later("output")
      if (successor !== undefined) return successor.output(target, options)
      const { wanted, found } = read(target, options.nodeId, options.iteration, options.loop && keptId(options.loop))
      return found.isThere ? found.value : source.absent(wanted)
    },
    outputMaybe: (target: unknown, options: ReadOptions = {}) => {
      const successor = later("outputMaybe")
      if (successor !== undefined) return successor.outputMaybe(target, options)
      return read(target, options.nodeId, options.iteration, options.loop && keptId(options.loop)).found.value
    },
    latest: (target: unknown, node?: string | ReadOptions) => {
      const successor = later("latest")
      if (successor !== undefined) return successor.latest(target, node)
      return read(target, nodeIdOf(node), "latest").found.value
    },
    iterationCount: (target: unknown, node?: string | ReadOptions) => {
      const successor = later("iterationCount")
      if (successor !== undefined) return successor.iterationCount(target, node)
      const { found } = read(target, nodeIdOf(node), "latest")
      return found.nodeId === undefined ? 0 : Reads.countOf(source.known(), found.nodeId)
    },
    winner: (race: string) => (later("winner")?.winners(race) ?? winners(race))[0],
    winners: (race: string) => later("winners")?.winners(race) ?? winners(race),
    failures: (group: string): ReadonlyArray<PartFailure> => {
      const successor = later("failures")
      if (successor !== undefined) return successor.failures(group)
      const [id, known] = [keptId(group), source.known()]
      source.onGroup?.(id, "failures")
      return Reads.failuresOf(known, id).map(({ key, cause }) => ({ key, error: caughtOf(cause, known.state) }))
    },
  }
  const rows = (target: unknown): ReadonlyArray<Compatibility.Given> => {
    const table = source.tableOf(target)
    source.onTable?.(table)
    return Reads.rowsIn(source.known(), table).map(({ nodeId, iteration, value }) => Compatibility.row(value, nodeId, iteration))
  }
  const iterations = (): Compatibility.Iterations => {
    const known = source.known()
    for (const id of known.layout.loops.keys()) source.onIteration?.(id)
    return Object.fromEntries([...known.layout.loops.keys()].map((id) => [id, Reads.passOf(known, id)]))
  }
  const whole = Compatibility.extended(ctx, {
    rows: (target) => later("outputs")?.[Compatibility.rowsKey](target) ?? rows(target),
    iterations: () => later("iterations")?.[Compatibility.iterationsKey]() ?? iterations(),
    tableOf: source.tableOf,
    isTable: source.isTable,
  })
  // Untyped inside; values were decoded with the schemas that the types come from.
  return whole as unknown as Ctx & Compatibility.Members
}

/** Returns the pending value that `output` has for a missing output in a render, and records the read. */
export const absentInRender = ({ table, nodeId }: Reads.Read): unknown => {
  notePending({ table, nodeId })
  return pending
}
