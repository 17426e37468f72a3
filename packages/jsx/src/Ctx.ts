/**
 * What a workflow sees of its run. While rendering, reads are noted: the plan is drawn again when what was read has changed, and
 * only then. An output that is not there yet is {@link isPending pending} for `output` and `undefined` for the others. When a
 * task runs, reads answer as of then, and an `output` that is not there is the error {@link MissingOutput}.
 */
import { type Caught, caughtOf } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import { keptId, type NodeId } from "@smithers/core/Ids"
import type { StepContext } from "@smithers/core/StepProgram"
import type { attemptKey } from "@smithers/core/Transaction"
import * as Schema from "effect/Schema"
import * as Reading from "./internal/reading.ts"
import { notePending } from "./internal/scope.ts"
import { pending } from "./Pending.ts"

/** Schemas by the names of their tables. */
export interface Schemas {
  readonly [key: string]: Codec.AnySchema
}

/** What is read: the output of a schema, named by its key or itself. Of schemas that nobody has declared it is unchecked. */
export type Read<S extends Schemas, T> = T extends Codec.AnySchema
  ? Codec.Output<T>
  : T extends keyof S
    ? 0 extends 1 & S
      ? Undeclared
      : Codec.Output<S[T]>
    : never

/** Which output is meant. */
export interface ReadOptions {
  /** The task that gave it. May be left out where one task gives this schema. */
  readonly nodeId?: string
  /** Pass of the loop around the task, from 0; the current one unless told. */
  readonly iteration?: number
}

/**
 * A value whose type nobody has declared: the input of a workflow without an `input` schema. It is whatever JSON the caller gave,
 * and the compiler does not check what is made of it; declare `input` to have it checked.
 */
// The type of what `JSON.parse` returns, which is what this is.
export type Undeclared = ReturnType<typeof JSON.parse>

/** What is known of the run. */
export interface Ctx<S extends Schemas = Schemas, Input = Undeclared> {
  /** The decoded input of the run. */
  readonly input: Input
  readonly runId: string
  /**
   * Pass of the innermost loop around the component, from 0; for a component outside all loops that of the loop it draws itself, of
   * several the one that runs.
   */
  readonly iteration: number
  /** The output of a task in the pass its loop is in. Pending while it is not there. */
  readonly output: <T extends (keyof S & string) | Codec.AnySchema>(target: T, options?: ReadOptions) => Read<S, T>
  /** The same, `undefined` while it is not there. */
  readonly outputMaybe: <T extends (keyof S & string) | Codec.AnySchema>(target: T, options?: ReadOptions) => Read<S, T> | undefined
  /** The last output a task has given in the loop it is in, whichever pass that was. */
  readonly latest: <T extends (keyof S & string) | Codec.AnySchema>(
    target: T,
    node?: string | Pick<ReadOptions, "nodeId">,
  ) => Read<S, T> | undefined
  /** How many outputs a task has given in the loop it is in. */
  readonly iterationCount: <T extends (keyof S & string) | Codec.AnySchema>(
    target: T,
    node?: string | Pick<ReadOptions, "nodeId">,
  ) => number
  /** The branch that has won a race in the pass its loop is in, by its name; of several the first. `undefined` while none has. */
  readonly winner: (race: string) => string | undefined
  /** The branches that have won a race in the pass its loop is in, in order. */
  readonly winners: (race: string) => ReadonlyArray<string>
  /** What has failed in a settled list, or in a race that ignores it, and has not failed the whole: items or branches in their order. */
  readonly failures: (group: string) => ReadonlyArray<PartFailure>
}

/** An item of a list, or a branch of a race, that has failed. */
export interface PartFailure {
  /** The key of the item, or the name of the branch. */
  readonly key: string
  readonly error: Caught
}

/** What is known when a task runs: the run as of then, and what belongs to the attempt. */
export interface TaskCtx<S extends Schemas = Schemas, Input = Undeclared>
  extends Ctx<S, Input>,
    Pick<StepContext<Input>, "heartbeat" | "lastHeartbeat" | "signal" | "attempt" | "idempotencyKey" | typeof attemptKey> {
  readonly taskId: string
}

/** A task read an output with `ctx.output` that is not there. The task fails without retries: another attempt would read the same. */
export class MissingOutput extends Schema.TaggedError<MissingOutput>()("MissingOutput", {
  output: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `There is no output "${this.output}" to read: ${this.problem}. Declare it under deps to wait for it, or read it with outputMaybe.`
  }
}

/** Something was read through the ctx of a render that is over, and it is not known when: a slip, and so no reason to retry. */
const stale = (read: string): TypeError =>
  new TypeError(
    `ctx.${read} was asked for after the render that this ctx belongs to. A function is given a ctx of its own, which reads the run as of then: write (ctx) => …, or (deps, ctx) => … where the task has deps`,
  )

/** How a `ctx` finds things. */
export interface Source {
  readonly input: () => unknown
  readonly runId: string
  readonly known: () => Reading.Known
  /** The table of a target; throws where there is none. */
  readonly tableOf: (target: unknown) => string
  /** Takes note of a read, which may make the plan stale later. */
  readonly onRead?: (read: Reading.Read, found: Reading.Found) => void
  /** The pass of whoever reads, where it is not known to stand in a loop. */
  readonly pass: () => number
  readonly onIteration?: (loop: string) => void
  /** Takes note that it was looked what has won, or failed, in a race or a list. */
  readonly onGroup?: (group: NodeId, what: "winners" | "failures") => void
  /** What `output` gives where there is none. */
  readonly absent: (read: Reading.Read) => unknown
  /** What answers in its place, where the render is over that it reads for; `undefined` where nothing can, and then nothing is read. */
  readonly successor?: (loop: string | undefined) => Reader | "none" | undefined
}

/** A `ctx` to whoever knows nothing of its schemas. Methods, so that those of one with schemas are such, too. */
interface Reader {
  readonly iteration: number
  output(target: unknown, options?: ReadOptions): unknown
  outputMaybe(target: unknown, options?: ReadOptions): unknown
  latest(target: unknown, node?: string | ReadOptions): unknown
  iterationCount(target: unknown, node?: string | ReadOptions): number
  winners(race: string): ReadonlyArray<string>
  failures(group: string): ReadonlyArray<PartFailure>
}

/** The codec of the schema under a key; `undefined` where there is none. */
export const codecIn = (schemas: Schemas, key: string): Codec.Codec<unknown, unknown> | undefined => {
  const schema = Object.hasOwn(schemas, key) ? schemas[key] : undefined
  return schema === undefined ? undefined : Codec.makeUnknown(schema)
}

const nodeIdOf = (node: string | Pick<ReadOptions, "nodeId"> | undefined): string | undefined =>
  typeof node === "string" ? node : node?.nodeId

/** Makes a `ctx` as seen from inside a loop, or from outside all. */
export const make = (source: Source, loop: string | undefined): Ctx => {
  /** What answers in its place. */
  const later = (name: string): Reader | undefined => {
    const successor = source.successor?.(loop)
    if (successor === "none") throw stale(name)
    return successor
  }
  const read = (target: unknown, nodeId: string | undefined, pass: Reading.Read["pass"]) => {
    const wanted = { table: source.tableOf(target), nodeId: nodeId === undefined ? undefined : keptId(nodeId), pass }
    const found = Reading.find(source.known(), wanted)
    source.onRead?.(wanted, found)
    return { wanted, found }
  }
  const winners = (race: string): ReadonlyArray<string> => {
    const id = keptId(race)
    source.onGroup?.(id, "winners")
    return Reading.winnersOf(source.known(), id)
  }
  const ctx = {
    get input() {
      return source.input()
    },
    runId: source.runId,
    get iteration() {
      const successor = later("iteration")
      // Which loop a component draws is known of the one that is rendering.
      if (successor !== undefined && loop === undefined) throw stale("iteration")
      if (successor !== undefined) return successor.iteration
      if (loop === undefined) return source.pass()
      source.onIteration?.(loop)
      return Reading.passOf(source.known(), loop)
    },
    output: (target: unknown, options: ReadOptions = {}) => {
      const successor = later("output")
      if (successor !== undefined) return successor.output(target, options)
      const { wanted, found } = read(target, options.nodeId, options.iteration)
      return found.isThere ? found.value : source.absent(wanted)
    },
    outputMaybe: (target: unknown, options: ReadOptions = {}) => {
      const successor = later("outputMaybe")
      if (successor !== undefined) return successor.outputMaybe(target, options)
      return read(target, options.nodeId, options.iteration).found.value
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
      return found.nodeId === undefined ? 0 : Reading.countOf(source.known(), found.nodeId)
    },
    winner: (race: string) => (later("winner")?.winners(race) ?? winners(race))[0],
    winners: (race: string) => later("winners")?.winners(race) ?? winners(race),
    failures: (group: string): ReadonlyArray<PartFailure> => {
      const successor = later("failures")
      if (successor !== undefined) return successor.failures(group)
      const [id, known] = [keptId(group), source.known()]
      source.onGroup?.(id, "failures")
      return Reading.failuresOf(known, id).map(({ key, cause }) => ({ key, error: caughtOf(cause, known.state) }))
    },
  }
  // The face above is untyped inside: what is read was decoded with the schemas the types come from.
  return ctx as Ctx
}

/** What `output` gives in a render: the pending value, noted. */
export const absentInRender = ({ table, nodeId }: Reading.Read): unknown => {
  notePending({ table, nodeId })
  return pending
}
