/**
 * Workflows written as JSX. `createSmithers` gives the components and hooks typed for a set of schemas; `smithers` makes a workflow
 * of a render function. A workflow is a value: making one renders nothing, opens nothing and starts nothing.
 */
import * as Codec from "@smithers/core/Codec"
import { InvalidWorkflow, type RenderFailed, unnamed } from "@smithers/core/Errors"
import * as Plan from "@smithers/core/Plan"
import type { Definition } from "@smithers/core/RunDriver"
import * as RunState from "@smithers/core/RunState"
import { valuesOf } from "@smithers/core/Scheduler"
import type { OutputTable } from "@smithers/core/Storage"
import * as CoreWorkflow from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as React from "react"
import type { Ctx, Schemas, Undeclared } from "./Ctx.ts"
import * as Components from "./components.ts"
import { untypedTable } from "./internal/lowering.ts"
import { pending } from "./Pending.ts"
import * as Planner from "./Planner.ts"

/** What can be said of a workflow beside what it renders. */
export interface SmithersOptions<I extends Codec.AnySchema> {
  /** Schema of the input. Without one any JSON is taken, and what is read of it is not checked. */
  readonly input?: I
  /** A label of the code, kept with each run. */
  readonly version?: string
  /** Tasks of one run in flight at once; 4 unless told. */
  readonly maxConcurrency?: number
}

/** Where {@link JsxWorkflow}s keep what they are made of. */
export const blueprintKey: unique symbol = Symbol.for("@smithers/jsx/Blueprint")

/** A workflow written as JSX, which takes an `I`. Its output is that of the last child of the root that has one. */
export interface JsxWorkflow<in I, out R = never> extends CoreWorkflow.Runs<I, unknown, R> {
  /** The name its `<Workflow>` bears. Found by rendering without an input; throws `RenderFailed` where that cannot be done. */
  readonly name: string
  readonly version: string | undefined
  /** How a run of it is taken up. */
  readonly definition: Definition<R>
  readonly [blueprintKey]: Planner.Blueprint & { readonly input: Codec.Codec<unknown, unknown> }
}

type InputOf<I extends Codec.AnySchema> = [Codec.AnySchema] extends [I] ? Undeclared : Codec.Input<I>
type Decoded<I extends Codec.AnySchema> = [Codec.AnySchema] extends [I] ? Undeclared : Codec.Output<I>

/** What `createSmithers` gives: components, hooks and schemas that know each other's types. */
export interface Smithers<S extends Schemas, I extends Codec.AnySchema> {
  readonly Workflow: typeof Components.Workflow
  readonly Task: Components.TaskComponent<S, Decoded<I>>
  readonly Sequence: typeof Components.Sequence
  readonly Parallel: typeof Components.Parallel
  readonly Branch: typeof Components.Branch
  readonly Loop: (props: Components.LoopProps<S, Decoded<I>>) => React.ReactElement | null
  readonly Approval: (props: Components.ApprovalProps<keyof S | Codec.AnySchema, Decoded<I>>) => React.ReactElement | null
  readonly HumanTask: (props: Components.HumanTaskProps<keyof S | Codec.AnySchema, Decoded<I>>) => React.ReactElement | null
  readonly Signal: (props: Components.SignalProps<keyof S | Codec.AnySchema, Decoded<I>>) => React.ReactElement | null
  readonly WaitForEvent: (props: Components.SignalProps<keyof S | Codec.AnySchema, Decoded<I>>) => React.ReactElement | null
  readonly Timer: (props: Components.TimerProps<Decoded<I>>) => React.ReactElement | null
  readonly Subflow: Components.SubflowComponent<S, Decoded<I>>
  readonly Saga: typeof Components.Saga
  readonly TryCatchFinally: (props: Components.TryCatchFinallyProps<S, Decoded<I>>) => React.ReactElement | null
  readonly Ralph: (props: Components.LoopProps<S, Decoded<I>>) => React.ReactElement | null
  /** The schemas, by reference. */
  readonly outputs: S
  readonly useCtx: () => Ctx<S, Decoded<I>>
  /**
   * Makes a workflow. `draw` is called for each plan and must be pure: given the same outputs it gives the same tree. `R` is what
   * Effects returned by tasks ask for, which TypeScript cannot see through JSX.
   */
  readonly smithers: <R = never>(draw: (ctx: Ctx<S, Decoded<I>>) => React.ReactNode) => JsxWorkflow<InputOf<I>, R>
}

/** Declares the outputs of a workflow: each schema becomes a table of its name. */
export const createSmithers = <S extends Schemas, I extends Codec.AnySchema = Codec.AnySchema>(
  schemas: S,
  options: SmithersOptions<I> = {},
): Smithers<S, I> => {
  check(schemas, options)
  const face = {
    Workflow: Components.Workflow,
    Task: Components.Task,
    Sequence: Components.Sequence,
    Parallel: Components.Parallel,
    Branch: Components.Branch,
    Loop: Components.Loop,
    Ralph: Components.Ralph,
    Approval: Components.Approval,
    HumanTask: Components.HumanTask,
    Signal: Components.Signal,
    WaitForEvent: Components.WaitForEvent,
    Timer: Components.Timer,
    Subflow: Components.Subflow,
    Saga: Components.Saga,
    TryCatchFinally: Components.TryCatchFinally,
    outputs: schemas,
    useCtx: Components.useCtx,
    smithers: (draw: (ctx: Ctx) => React.ReactNode) => make(draw, schemas, options),
  }
  // One set of components serves all schemas; what differs is what the compiler is told of them.
  return face as unknown as Smithers<S, I>
}

/** What a key of a schema may be: tables are named by it. */
const keyPattern = /^[A-Za-z0-9_.:@-]{1,200}$/

const optionKeys = new Set(["input", "version", "maxConcurrency"])

const check = (schemas: Schemas, options: SmithersOptions<Codec.AnySchema>): void => {
  const refuse = (problem: string): never => {
    throw new InvalidWorkflow({ workflow: unnamed, where: "createSmithers", problem })
  }
  for (const [key, schema] of Object.entries(schemas)) {
    if (!keyPattern.test(key)) refuse(`the key ${JSON.stringify(key)} is not 1 to 200 characters of A-Z a-z 0-9 _ . : @ -`)
    if (key === untypedTable) refuse(`the key "${untypedTable}" is that of tasks without an output`)
    if (!Codec.isSchema(schema)) refuse(`"${key}" must be an Effect Schema or a Standard Schema`)
    const { unstorable } = Codec.make(schema)
    if (unstorable !== undefined) refuse(`"${key}": ${unstorable}`)
  }
  const seen = new Map<unknown, string>()
  for (const [key, schema] of Object.entries(schemas)) {
    const other = seen.get(schema)
    if (other !== undefined)
      refuse(`"${other}" and "${key}" are the same schema: a task that names it could mean either. Make a copy`)
    seen.set(schema, key)
  }
  for (const key of Object.keys(options)) {
    if (!optionKeys.has(key)) refuse(`it has no option "${key}"; there are ${[...optionKeys].join(", ")}`)
  }
  const { input, version, maxConcurrency } = options
  if (input !== undefined && !Codec.isSchema(input)) refuse(`"input" must be an Effect Schema or a Standard Schema`)
  const unstorable = input === undefined ? undefined : Codec.make(input).unstorable
  if (unstorable !== undefined) refuse(`"input": ${unstorable}`)
  if (version !== undefined && typeof version !== "string") refuse(`"version" must be a string`)
  if (maxConcurrency !== undefined && !Plan.isCount(maxConcurrency)) refuse(`"maxConcurrency" must be a whole number of at least 1`)
}

const make = (
  draw: (ctx: Ctx) => React.ReactNode,
  schemas: Schemas,
  { input: inputSchema = Schema.Unknown, version, maxConcurrency }: SmithersOptions<Codec.AnySchema>,
): JsxWorkflow<unknown, unknown> => {
  if (typeof draw !== "function") {
    throw new InvalidWorkflow({
      workflow: unnamed,
      where: "smithers",
      problem: "it takes a function of ctx that returns a <Workflow>",
    })
  }
  const input = Codec.make(inputSchema) as Codec.Codec<unknown, unknown>
  const blueprint = { draw, schemas, input }
  const declared: ReadonlyArray<OutputTable> = Object.entries(schemas).map(([key, schema]) => ({
    name: key,
    get jsonSchema() {
      return Codec.make(schema).jsonSchema
    },
    nodeId: undefined,
  }))
  let name: string | undefined
  let isNaming = false
  const nameOf = (): string => {
    // A workflow may stand in itself, as a child run.
    if (name !== undefined || isNaming) return name ?? unnamed
    isNaming = true
    try {
      name = Planner.make(blueprint).draw(RunState.empty("blank"), { input: pending, outputs: new Map() }).lowered.name
      return name
    } finally {
      isNaming = false
    }
  }
  const definition = {
    name: undefined,
    version,
    input,
    planner: () => Planner.make(blueprint, name),
    codecOf: (_: string, table: string) => {
      if (table === untypedTable) return Codec.make(Schema.Unknown) as Codec.Codec<unknown, unknown>
      return Object.hasOwn(schemas, table)
        ? (Codec.make(schemas[table] as Codec.AnySchema) as Codec.Codec<unknown, unknown>)
        : undefined
    },
    tables: declared,
    maxConcurrency,
  }

  const begin = (stored: Codec.Json | undefined, runId: string) =>
    Effect.gen(function* () {
      // It was accepted a moment ago.
      const kept = yield* Effect.orDieWith(Codec.keep(input, stored), (issues) => new Error(issues.join("; ")))
      const planner = Planner.make(blueprint, name)
      const first = yield* Effect.try({
        try: () => planner.draw(RunState.empty(runId), valuesOf(kept, new Codec.Outputs())),
        catch: (thrown) => thrown as InvalidWorkflow | RenderFailed,
      })
      name = first.lowered.name
      let unused: Planner.Planner | undefined = planner
      // What was drawn to learn the name is the plan that the run begins with.
      const takeOver = (): Planner.Planner => {
        const taken = unused ?? Planner.make(blueprint, name)
        unused = undefined
        return taken
      }
      return { ...definition, name, planner: takeOver }
    })

  const runs = CoreWorkflow.runs<unknown, unknown, unknown>({ definition, begin, label: () => tryOr(nameOf, unnamed) })
  return {
    ...runs,
    get name() {
      return nameOf()
    },
    version,
    definition,
    [blueprintKey]: blueprint,
  }
}

const tryOr = <A>(attempt: () => A, otherwise: A): A => {
  try {
    return attempt()
  } catch {
    return otherwise
  }
}
