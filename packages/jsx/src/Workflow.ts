/**
 * Workflows written as JSX. `createSmithers` returns components and hooks typed for a set of schemas; `smithers` makes a workflow
 * of a render function. A workflow is a value: making one renders, opens and starts nothing.
 */

import type { AgentRunner } from "@smithers/core/AgentRunner"
import type { Written } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type { Definition } from "@smithers/core/Definition"
import * as EffectVersion from "@smithers/core/EffectVersion"
import { InvalidWorkflow, unnamed } from "@smithers/core/Errors"
import * as Names from "@smithers/core/Names"
import * as NodeOptions from "@smithers/core/NodeOptions"
import * as RunState from "@smithers/core/RunState"
import type { OutputTable } from "@smithers/core/RunStore"
import { valuesOf } from "@smithers/core/Scheduler"
import { defined } from "@smithers/core/Struct"
import * as CoreWorkflow from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as React from "react"
import * as Compatibility from "./Compatibility.ts"
import { type Ctx, codecIn, type Read, type Schemas, type Undeclared } from "./Ctx.ts"
import * as Components from "./components.ts"
import { untypedTable } from "./internal/lowering.ts"
import type { FunctionGiving, Infer, InsteadOf } from "./internal/slips.ts"
import { pending } from "./Pending.ts"
import * as Planner from "./Planner.ts"
import type * as Props from "./Props.ts"

/** Options of a workflow. */
export interface SmithersOptions<I extends Codec.AnySchema, O = string | Codec.AnySchema> {
  /** Schema of the input. Without one, any JSON is accepted, and its use is not type-checked. */
  readonly input?: I
  /** Version label of the code, stored with each run. */
  readonly version?: string
  /**
   * Schema of the run's output, or its key: the output is that of the last task with this schema. Default: the output of the last
   * child of the root that has one. Its type is then unknown, since the compiler does not see the tree.
   */
  readonly output?: O
  /** Maximum number of running tasks, and attached child runs at work, per run. Default: 4. */
  readonly maxConcurrency?: number
}

/** Key under which {@link JsxWorkflow}s hold their definition. */
export const blueprintKey: unique symbol = Symbol.for("@smithers/jsx/Blueprint")

/**
 * A workflow written as JSX, with input `I` and output `A`. The output is that of the last child of the root that has one, or of
 * the last task with the schema under `output`.
 */
export interface JsxWorkflow<in I, out A = unknown, out R = never, out W = unknown>
  extends CoreWorkflow.Runs<I, A, R | AgentRunner>,
    CoreWorkflow.Writes<W> {
  /** Name of its `<Workflow>`, found by rendering without an input. Throws `RenderFailed` if that fails. */
  readonly name: string
  readonly version: string | undefined
  /** Definition that the engine runs. */
  readonly definition: Definition<R | AgentRunner>
  readonly [blueprintKey]: Planner.Blueprint & { readonly input: Codec.Codec<unknown, unknown> }
}

type InputOf<I extends Codec.AnySchema> = [Codec.AnySchema] extends [I] ? Undeclared : Codec.Input<I>
type Decoded<I extends Codec.AnySchema> = [Codec.AnySchema] extends [I] ? Undeclared : Codec.Output<I>

/** Schemas, one of which may be that of the input. */
type InputAmong<S extends Schemas, I extends Codec.AnySchema> = string extends keyof S
  ? I
  : "input" extends keyof S
    ? S["input"]
    : I

/** Schemas without that of the input. */
type OutputsAmong<S extends Schemas> = string extends keyof S
  ? S
  : "input" extends keyof S
    ? { readonly [Key in keyof S as Exclude<Key, "input">]: S[Key] }
    : S

/** A render function. Never async, since a plan is rendered synchronously. */
type Drawing<Draw, C> = [Draw] extends [(...parameters: never) => PromiseLike<unknown>]
  ? FunctionGiving<Drawn, InsteadOf<ReturnType<Draw>>, [ctx: C]>
  : (ctx: C) => React.ReactNode

type Drawn = Awaited<React.ReactNode>

/** Output of a run; `undefined` if no task has written it. */
type OutputOf<S extends Schemas, O> = [O] extends [never] ? unknown : Read<S, O> | undefined

/** Components, hooks and schemas with shared types, as `createSmithers` returns them. */
export interface Smithers<S extends Schemas, I extends Codec.AnySchema, A = unknown> {
  readonly Workflow: typeof Components.Workflow
  readonly Task: Props.TaskComponent<S, Decoded<I>>
  readonly Sequence: typeof Components.Sequence
  readonly Budget: typeof Components.Budget
  readonly Aspects: typeof Components.Budget
  readonly Worktree: typeof Components.Worktree
  readonly Sandbox: typeof Components.Sandbox
  readonly Parallel: typeof Components.Parallel
  readonly Branch: typeof Components.Branch
  readonly Loop: Props.LoopComponent<S, Decoded<I>>
  readonly Approval: Props.ApprovalComponent<S, Decoded<I>>
  readonly ApprovalGate: Props.ApprovalGateComponent<S, Decoded<I>>
  readonly HumanTask: Props.HumanTaskComponent<S, Decoded<I>>
  readonly Signal: Props.SignalComponent<S, Decoded<I>>
  readonly WaitForEvent: Props.SignalComponent<S, Decoded<I>>
  readonly Timer: Props.TimerComponent<S, Decoded<I>>
  readonly ContinueAsNew: Props.ContinueAsNewComponent<S, Decoded<I>>
  readonly Subflow: Props.SubflowComponent<S, Decoded<I>>
  readonly Scope: Props.ScopeComponent<S, Decoded<I>>
  readonly Race: typeof Components.Race
  readonly ForEach: Props.ForEachComponent<S, Decoded<I>>
  readonly MergeQueue: Props.MergeQueueComponent<S, Decoded<I>>
  readonly Saga: typeof Components.Saga
  readonly TryCatchFinally: Props.TryCatchFinallyComponent<S, Decoded<I>>
  readonly Ralph: Props.LoopComponent<S, Decoded<I>>
  /** The schemas, by reference. */
  readonly outputs: S
  readonly useCtx: () => Ctx<S, Decoded<I>>
  /**
   * Makes a workflow. `draw` is called for each plan and must be pure: equal outputs give an equal tree. `R` is the requirement of
   * Effects that tasks return, which TypeScript cannot infer through JSX.
   */
  readonly smithers: <R = never, Draw = unknown>(
    draw: Drawing<Draw, NoInfer<Ctx<S, Decoded<I>>>> & Infer<Draw>,
  ) => JsxWorkflow<InputOf<I>, A, NoInfer<R>, WrittenTo<S>>
}

/** Outputs that tasks write, by the key of their table. */
type WrittenTo<S extends Schemas> = { readonly [Key in keyof S & string]: Written<Key, Codec.Output<S[Key]>> }[keyof S & string]

/**
 * Declares the outputs of a workflow: each schema becomes a table of its name. The schema under the key `input` is that of the
 * run's input, like the option of that name. Throws `InvalidWorkflow` for a value that is no schema.
 */
export const createSmithers = <
  S extends Schemas,
  I extends Codec.AnySchema = Codec.AnySchema,
  O extends (Exclude<keyof S, "input"> & string) | Codec.AnySchema = never,
>(
  declared: S,
  settings: SmithersOptions<I, O> = {},
): Smithers<OutputsAmong<S>, InputAmong<S, I>, OutputOf<S, O>> => {
  const { schemas, options } = parted(declared, Compatibility.options(settings))
  check(schemas, options)
  const face = {
    Workflow: Components.Workflow,
    Task: Components.Task,
    Sequence: Components.Sequence,
    Budget: Components.Budget,
    Aspects: Components.Aspects,
    Worktree: Components.Worktree,
    Sandbox: Components.Sandbox,
    Parallel: Components.Parallel,
    Branch: Components.Branch,
    Loop: Components.Loop,
    Ralph: Components.Ralph,
    Approval: Components.Approval,
    ApprovalGate: Components.ApprovalGate,
    HumanTask: Components.HumanTask,
    Signal: Components.Signal,
    WaitForEvent: Components.WaitForEvent,
    Timer: Components.Timer,
    ContinueAsNew: Components.ContinueAsNew,
    Subflow: Components.Subflow,
    Scope: Components.Scope,
    Race: Components.Race,
    ForEach: Components.ForEach,
    MergeQueue: Components.MergeQueue,
    Saga: Components.Saga,
    TryCatchFinally: Components.TryCatchFinally,
    outputs: schemas,
    useCtx: Components.useCtx,
    smithers: (draw: (ctx: Ctx) => React.ReactNode) => make(draw, schemas, options),
  }
  // One set of components serves all schemas; only the types differ.
  return face as unknown as Smithers<OutputsAmong<S>, InputAmong<S, I>, OutputOf<S, O>>
}

/** Splits schemas into those of outputs and that of the input, which becomes an option. */
const parted = (
  declared: Schemas,
  options: SmithersOptions<Codec.AnySchema>,
): { readonly schemas: Schemas; readonly options: SmithersOptions<Codec.AnySchema> } => {
  if (!Object.hasOwn(declared, "input")) return { schemas: declared, options: options }
  const { input, ...schemas } = declared
  if (options.input !== undefined)
    refuse(
      `the schema of the input is given twice: as the key "input" of the schemas, and as the option "input". Remove one of them`,
    )
  if (!Codec.isSchema(input)) return refuse(notASchema("input", input))
  return { schemas, options: { ...options, input } }
}

const refuse = (problem: string): never => {
  throw new InvalidWorkflow({ workflow: unnamed, where: "createSmithers", problem })
}

const notASchema = (key: string, value: unknown): string =>
  `"${key}" must be an Effect Schema or a Standard Schema${EffectVersion.adviceOnSchema(value)}`

/** Valid keys of schemas, since they name tables. */
const keyPattern = /^[A-Za-z0-9_.:@-]{1,200}$/

const optionKeys = new Set(["input", "output", "version", "maxConcurrency"])

const check = (schemas: Schemas, options: SmithersOptions<Codec.AnySchema>): void => {
  for (const [key, schema] of Object.entries(schemas)) {
    if (!keyPattern.test(key)) refuse(`the key ${JSON.stringify(key)} is not 1 to 200 characters of A-Z a-z 0-9 _ . : @ -`)
    if (key === untypedTable) refuse(`the key "${untypedTable}" is that of tasks without an output`)
    if (!Codec.isSchema(schema)) refuse(notASchema(key, schema))
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
  const unknown = Names.problemOf(options, optionKeys)
  if (unknown !== undefined) refuse(`it ${unknown}`)
  const { input, output, version, maxConcurrency } = options
  if (output !== undefined && Planner.tablesOf(schemas)(output) === undefined)
    refuse(`"output" is not one of the schemas (${Object.keys(schemas).join(", ")})`)
  if (input !== undefined && !Codec.isSchema(input)) refuse(notASchema("input", input))
  const unstorable = input === undefined ? undefined : Codec.make(input).unstorable
  if (unstorable !== undefined) refuse(`"input": ${unstorable}`)
  if (version !== undefined && typeof version !== "string") refuse(`"version" must be a string`)
  const problem = maxConcurrency === undefined ? undefined : NodeOptions.countProblem("maxConcurrency", maxConcurrency)
  if (problem !== undefined) refuse(problem)
}

const make = (
  draw: (ctx: Ctx) => React.ReactNode,
  schemas: Schemas,
  { input: inputSchema = Schema.Unknown, output, version, maxConcurrency }: SmithersOptions<Codec.AnySchema>,
): JsxWorkflow<unknown, unknown, unknown> => {
  if (typeof draw !== "function") {
    throw new InvalidWorkflow({
      workflow: unnamed,
      where: "smithers",
      problem: "its argument must be a function of ctx that returns a <Workflow>",
    })
  }
  const input = Codec.makeUnknown(inputSchema)
  const outputTable = output === undefined ? undefined : Planner.tablesOf(schemas)(output)
  const outputCodec = outputTable === undefined ? undefined : codecIn(schemas, outputTable)
  const blueprint = { draw, schemas, input, output: outputTable }
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
    // A workflow may contain itself as a child run.
    if (name !== undefined || isNaming) return name ?? unnamed
    isNaming = true
    try {
      const drawn = Planner.make(blueprint).draw(RunState.empty("blank"), { input: pending, outputs: new Map() })
      name = Either.getOrThrowWith(drawn, (error) => error).lowered.name
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
    codecOf: (_: string, table: string) => (table === untypedTable ? Codec.makeUnknown(Schema.Unknown) : codecIn(schemas, table)),
    tables: declared,
    ...defined({ output: outputCodec }),
    maxConcurrency,
  }

  const begin = (stored: Codec.Json | undefined, runId: string) =>
    Effect.gen(function* () {
      // It was accepted before.
      const kept = yield* Effect.orDieWith(Codec.decodeShared(input, stored), (issues) => new Error(issues.join("; ")))
      const planner = Planner.make(blueprint, name)
      const first = yield* planner.draw(RunState.empty(runId), valuesOf(kept, new Codec.Outputs()))
      name = first.lowered.name
      let unused: Planner.Planner | undefined = planner
      // The run starts with the plan that was rendered for the name.
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
