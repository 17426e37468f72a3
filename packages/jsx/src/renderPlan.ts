/**
 * Renders the plan of a workflow without a run: for tests, which need neither an engine nor a database, and for tools that show or
 * check it.
 */
import type { Caught } from "@smithers/core/Builder"
import { type Circumstances, under } from "@smithers/core/Circumstances"
import * as Codec from "@smithers/core/Codec"
import { InvalidInput, InvalidWorkflow, unnamed } from "@smithers/core/Errors"
import { keptId, type NodeId, nodeKey } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type { PendingRead, Plan } from "@smithers/core/Plan"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import { type Values, valuesOf } from "@smithers/core/Scheduler"
import * as Settings from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { PlacedTask } from "./internal/analysis.ts"
import { readsLater } from "./internal/condition.ts"
import * as Prompt from "./internal/prompt.ts"
import * as Purity from "./internal/purity.ts"
import type { Read } from "./internal/reads.ts"
import type * as Lower from "./lower.ts"
import { pending } from "./Pending.ts"
import * as Planner from "./Planner.ts"
import { blueprintKey, type JsxWorkflow } from "./Workflow.ts"

/** Options of {@link renderPlan}. */
export interface RenderOptions {
  readonly input?: unknown
  /** Outputs by task id, or by `<task id>/<iteration>` in a loop, as a task would return them. */
  readonly outputs?: { readonly [task: string]: unknown }
  /** Number of started iterations by loop id. Default: as many as the outputs show. */
  readonly loops?: { readonly [loop: string]: number }
  /** Failures that tries have caught, by id, or by `<id>/<iteration>` in a loop. `nodeId` is the failed task. */
  readonly caught?: { readonly [boundary: string]: Partial<Caught> }
  readonly runId?: string
  /** Renders again at other times and with other random numbers, calls functions of ctx, and reports differences. */
  readonly checkPurity?: boolean
}

const optionNames: Settings.Names<RenderOptions> = {
  input: true,
  outputs: true,
  loops: true,
  caught: true,
  runId: true,
  checkPurity: true,
}

/** A task of a plan. */
export interface PlannedTask {
  readonly id: NodeId
  /** Key of its output. */
  readonly output: string
  /** Id of the loop around it. */
  readonly loop: NodeId | undefined
  /** Prompt of an agent, or the static text or value; `undefined` if a function returns it when the task runs. */
  readonly content: unknown
  /** Element of the task: `Task`, `Approval`, `HumanTask`, `Signal`, `WaitForEvent`, `Timer`, `Subflow` or `ContinueAsNew`. */
  readonly kind: string
  readonly isAgent: boolean
  /** `true` if it was rendered without an output that it reads. It does not start before that exists. */
  readonly isProvisional: boolean
}

/** A rendered plan. */
export interface RenderedPlan {
  readonly name: string
  readonly plan: Plan
  readonly tasks: ReadonlyArray<PlannedTask>
  /** Reads of outputs that do not exist yet. */
  readonly pending: ReadonlyArray<PendingRead>
  /** Differences between renders of the same state, one line each. Empty without `checkPurity`. */
  readonly impurities: ReadonlyArray<string>
  /** Functions of ctx that read outputs which cannot exist when they are called, one line each. Empty without `checkPurity`. */
  readonly faults: ReadonlyArray<string>
  /** Warnings: constructs that are allowed but may not be intended, one sentence each with place and cure. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Renders the plan of a workflow from an input and outputs. Throws `InvalidInput` if the input does not match its schema, and
 * `RenderFailed` if a component throws. Throws `InvalidWorkflow` if an output does not match its schema or the tree is not a valid
 * plan, and `InvalidSetting` for an unknown option.
 */
export const renderPlan = <I>(workflow: JsxWorkflow<I, unknown, unknown>, options: RenderOptions = {}): RenderedPlan => {
  Settings.onlyOrThrow("renderPlan", options, optionNames)
  const blueprint = workflow[blueprintKey]
  const input = decode(blueprint.input, options.input, (issues) => new InvalidInput({ workflow: unnamed, issues }))
  const draw = () => drawWith(blueprint, input, options)
  const usual = { now: Date.now(), seed: 7 }
  const isChecked = options.checkPurity === true
  const made = isChecked ? under(usual, draw) : draw()
  const { plan, lowered } = made.drawn
  const first = isChecked ? under(usual, () => look(made)) : undefined
  const impurities = first === undefined ? [] : compareAll(first.said, usual, () => look(draw()).said)
  return {
    name: lowered.name,
    plan,
    tasks: lowered.tasks().map(show),
    pending: plan.pending,
    impurities,
    faults: first?.faults ?? [],
    warnings: [...lowered.concerns(), ...misspelt(made.drawn, made.planner, first?.reads ?? [])],
  }
}

/** A render, and the state to call its functions with. */
interface Made {
  readonly drawn: Planner.Drawn
  readonly planner: Planner.Planner
  readonly state: RunState.RunState
  readonly values: Values
}

/** Returns the content of a render with the results of its functions, and the functions that read a later output. */
const look = ({ drawn, planner, state, values }: Made) => {
  const { plan, lowered } = drawn
  const said = [...Purity.saidIn(lowered)]
  const faults: Array<string> = []
  const looked: Array<readonly [reader: string, read: Read]> = []
  const contextOf = (position: number): { readonly [name: string]: unknown } => {
    const needs = plan.needs(position).map(({ name, target }) => {
      const node = plan.nodes[target]
      const key = node !== undefined && "id" in node ? nodeKey(node.id, 0) : undefined
      return [name, key !== undefined && values.outputs.has(key) ? values.outputs.get(key) : pending] as const
    })
    const own = { input: values.input, runId: state.runId, iteration: 0, attempt: 1, signal: new AbortController().signal }
    return { ...Object.fromEntries(needs), ...own, heartbeat: () => {}, lastHeartbeat: undefined, idempotencyKey: "preview" }
  }
  for (const question of Purity.questionsOf(plan, lowered, contextOf)) {
    const comesAfter = lowered.comesAfter(question.node)
    const reads = planner.asking(() => {
      // Errors are ignored: the run will have state that is missing here.
      const answer = tryOr(() => Purity.answerTo(question, state), undefined)
      if (answer !== undefined) said.push(answer)
    })
    looked.push(...reads.map((read) => [`"${question.name}" of ${Purity.subjectOf(question.node)}`, read] as const))
    const late = reads.find((read) => read.pass !== "latest" && comesAfter(read) && !isKnown(read, values))
    if (late !== undefined) faults.push(`${Purity.subjectOf(question.node)}: ${readsLater(`"${question.name}"`, late)}`)
  }
  return { said, faults, reads: looked }
}

/** Returns the reads of unknown tasks whose ids are nearly those of known ones. */
const misspelt = (
  { lowered }: Planner.Drawn,
  { nearMiss }: Planner.Planner,
  asked: ReadonlyArray<readonly [reader: string, read: Read]>,
): ReadonlyArray<string> => {
  const found = new Map<string, string>()
  const drawn = lowered.lookups().map(({ where, read }) => [`a component (at ${where})`, read] as const)
  for (const [reader, read] of [...drawn, ...asked]) {
    const meant = nearMiss(read)
    const said = `${reader} reads the output "${read.table}" of "${read.nodeId}", which is not a task. Did you mean "${meant}"?`
    if (meant !== undefined) found.set(said, said)
  }
  return [...found.values()]
}

const isKnown = ({ nodeId, pass }: Read, { outputs }: Values): boolean =>
  nodeId !== undefined && outputs.has(nodeKey(nodeId, typeof pass === "number" ? pass : 0))

const tryOr = <A, B>(attempt: () => A, otherwise: B): A | B => {
  try {
    return attempt()
  } catch {
    return otherwise
  }
}

const decode = (
  codec: Codec.Codec<unknown, unknown>,
  value: unknown,
  refuse: (issues: Codec.Issues) => Error,
): Codec.SharedValue => {
  const decoded = Either.flatMap(Codec.encodeNow(codec, value), (stored) => Codec.decodeSharedNow(codec, stored))
  return Either.getOrThrowWith(decoded, refuse)
}

const drawWith = (blueprint: Planner.Blueprint, input: Codec.SharedValue, options: RenderOptions): Made => {
  const { outputs = {}, caught = {}, runId = "preview" } = options
  const loops = Object.fromEntries(Object.entries(options.loops ?? {}).map(([loop, count]) => [keptId(loop), count]))
  // The table of an output and its loops are those of its task, so the plan is rendered until all outputs are placed.
  const tables = new Map<NodeId, string>()
  const whole = new Set<string>()
  const keyIn = (name: string) => (whole.has(name) ? { nodeId: keptId(name), iteration: 0 } : writtenKey(name))
  for (;;) {
    const placed = Object.entries(outputs).map(([name, value]) => ({ ...keyIn(name), value }))
    const halted = Object.entries(caught).map(([name, error]) => haltedBy(keyIn(name), error))
    const { state, values } = stateOf(blueprint, runId, input, placed, tables, loops, halted)
    const planner = Planner.make(blueprint)
    const drawn = Either.getOrThrowWith(planner.draw(state, values), (error) => error)
    const added = recordTables(drawn.lowered, placed, tables, loops)
    // A name with an iteration means that iteration, unless it is the id of a node.
    const { positions } = drawn.plan
    const named = [...Object.keys(outputs), ...Object.keys(caught)].filter(
      (name) => !whole.has(name) && positions.has(keptId(name)),
    )
    for (const name of named) whole.add(name)
    if (added || named.some((name) => writtenKey(name).nodeId !== keptId(name))) continue
    const unknown = placed.find(({ nodeId }) => !tables.has(nodeId))
    if (unknown === undefined) return { drawn, planner, state, values }
    const where = "outputs of renderPlan"
    const some = [...drawn.lowered.layout.tasks.keys()].slice(0, 10).join(", ")
    throw new InvalidWorkflow({
      workflow: drawn.lowered.name,
      where,
      problem: `there is no task "${unknown.nodeId}". Tasks: ${some}`,
    })
  }
}

/** Parses a node and its iteration: `review/2`, or `review` for the first. */
const writtenKey = (name: string): { readonly nodeId: NodeId; readonly iteration: number } => {
  const [, nodeId = name, iteration = "0"] = /^(.+)\/(\d+)$/s.exec(name) ?? []
  return { nodeId: keptId(nodeId), iteration: Number(iteration) }
}

const haltedBy = (key: ReturnType<typeof writtenKey>, error: Partial<Caught>): RunEvent => {
  const { nodeId = key.nodeId, iteration = key.iteration, name = "Error", message = "", issues } = error
  const said = { name, message, retryable: false, ...defined({ issues }) }
  return { _tag: "BoundaryHalted", ...key, cause: { nodeId, iteration, reason: { _tag: "Error", error: said } }, isCaught: true }
}

type Given = ReadonlyArray<{ readonly nodeId: NodeId; readonly iteration: number; readonly value: unknown }>

const known = new WeakMap<object, Map<NodeId, ReadonlyArray<NodeId>>>()

/** Records the tables of the given outputs in a render. Returns `true` if any was new. */
const recordTables = (
  { layout }: Lower.Lowered,
  outputs: Given,
  tables: Map<NodeId, string>,
  loops: { readonly [loop: string]: number },
): boolean => {
  const around = known.get(tables) ?? new Map<NodeId, ReadonlyArray<NodeId>>()
  known.set(tables, around)
  let added = false
  for (const { nodeId } of outputs) {
    const task = layout.tasks.get(nodeId)
    if (task === undefined || tables.has(nodeId)) continue
    tables.set(nodeId, task.table)
    const loopsAround: Array<NodeId> = []
    for (let here = task.loop; here !== undefined; here = layout.loops.get(here)) loopsAround.push(here)
    around.set(nodeId, loopsAround)
    added = true
  }
  for (const loop of Object.keys(loops)) {
    // No task has the id of a loop.
    if (!layout.loops.has(loop) || around.has(loop)) continue
    around.set(loop, [loop])
    added = true
  }
  return added
}

const stateOf = (
  { schemas }: Planner.Blueprint,
  runId: string,
  input: Codec.SharedValue,
  placed: Given,
  tables: ReadonlyMap<NodeId, string>,
  loops: { readonly [loop: string]: number },
  halted: ReadonlyArray<RunEvent>,
): { readonly state: RunState.RunState; readonly values: Values } => {
  const outputs = new Codec.Outputs()
  const events: Array<RunEvent> = [...halted]
  const passes = new Map<string, number>(Object.entries(loops))
  const parents = new Map<string, string | undefined>()
  for (const { nodeId, iteration, value } of placed) {
    const table = tables.get(nodeId)
    if (table === undefined) continue
    const schema = schemas[table]
    const refuse = (issues: Codec.Issues) =>
      new InvalidWorkflow({
        workflow: unnamed,
        where: `outputs of renderPlan`,
        problem: `"${nodeId}" does not match "${table}": ${issues.join("; ")}`,
      })
    const codec = Codec.makeUnknown(schema ?? Schema.Unknown)
    outputs.set(nodeKey(nodeId, iteration), decode(codec, value, refuse))
    events.push({ _tag: "AttemptSucceeded", nodeId, iteration, attempt: 1, table })
    const [innermost, ...outer] = known.get(tables)?.get(nodeId) ?? []
    if (innermost === undefined && iteration > 0) {
      const problem = `"${nodeKey(nodeId, iteration)}" is an iteration of a task that is in no loop`
      throw new InvalidWorkflow({ workflow: unnamed, where: "outputs of renderPlan", problem })
    }
    // Default of the outer loops: their first iteration.
    for (const loop of outer.toReversed()) if (!passes.has(loop)) passes.set(loop, 1)
    if (innermost !== undefined && loops[innermost] === undefined) {
      passes.set(innermost, Math.max(passes.get(innermost) ?? 0, iteration + 1))
    }
    for (const loop of [innermost, ...outer]) if (loop !== undefined) parents.set(loop, outer[[innermost, ...outer].indexOf(loop)])
  }
  for (const [loop, count] of passes) {
    const parent = parents.get(loop)
    const iteration = parent === undefined ? 0 : Math.max(0, (passes.get(parent) ?? 1) - 1)
    for (let pass = 0; pass < count; pass++) events.push({ _tag: "LoopAdvanced", nodeId: loop, iteration, base: 0, pass })
  }
  const state = events.reduce((folded, event) => RunState.apply(folded, event, Millis.zero), RunState.empty(runId))
  return { state, values: valuesOf(input, outputs) }
}

const show = ({ content, node: _, ...task }: PlacedTask): PlannedTask => {
  const value = content()
  return {
    id: task.id,
    output: task.table,
    loop: task.loop,
    content: typeof value === "function" ? undefined : Prompt.isWritten(value) ? Prompt.write(value) : value,
    kind: task.kind,
    isAgent: task.isAgent,
    isProvisional: task.isProvisional,
  }
}

const day = 86_400_000
const hour = 3_600_000

/** Offsets to later times: a weekend or working day from any day, each third hour of a day; other months, half-years and years. */
const shifts = [
  400 * day + 5_025_678,
  2 * day,
  3.5 * day,
  4 * day,
  182.25 * day + 60_001,
  5 * day + 21_600_000,
  47 * day + 10_800_000,
  6 * day + 18 * hour,
  9 * day + 9 * hour,
  16 * day + 15 * hour,
  23 * day + 21 * hour,
]

const cure =
  "Renders and functions of ctx must depend on ctx alone: get the time or a random number in a task and read its output; derive ids from the input, outputs and keys"

/**
 * Returns the differences between renders of the same state: with nothing changed, at other times, and with other random numbers.
 */
const compareAll = (
  first: ReadonlyArray<Purity.Saying>,
  usual: Circumstances,
  draw: () => ReadonlyArray<Purity.Saying>,
): ReadonlyArray<string> => {
  const found = new Map<string, string>()
  let isOtherwise = false
  const compare = (circumstances: Circumstances, why: string): void => {
    // A render that fails is a difference, too.
    const second = tryOr<ReadonlyArray<Purity.Saying>, ReadonlyArray<Purity.Saying>>(() => under(circumstances, draw), [])
    const missing = differences(first, second)
    for (const [key, said, isPresence] of missing) {
      if (isPresence && isOtherwise && !found.has(key)) continue
      if (!found.has(key)) found.set(key, `${said}, ${why}. ${cure}`)
    }
    isOtherwise ||= missing.some(([, , isPresence]) => isPresence)
  }
  compare(usual, "with nothing changed")
  for (const shift of shifts) compare({ ...usual, now: usual.now + shift }, "at another time")
  for (const seed of [0, 1]) compare({ ...usual, seed }, "with other random numbers")
  return [...found.values()]
}

/** Returns the differences by subject, and `true` if the subject exists in only one of them. */
const differences = (
  before: ReadonlyArray<Purity.Saying>,
  after: ReadonlyArray<Purity.Saying>,
): ReadonlyArray<readonly [key: string, said: string, isPresence: boolean]> => {
  const byKey = (sayings: ReadonlyArray<Purity.Saying>) =>
    new Map(sayings.map((saying) => [`${saying.subject} ${saying.what}`, saying] as const))
  const [first, second] = [byKey(before), byKey(after)]
  const found: Array<readonly [string, string, boolean]> = []
  const isThere = ({ what }: Purity.Saying): boolean => what === "is there"
  for (const [key, saying] of first)
    if (isThere(saying) && !second.has(key)) found.push([key, `${saying.subject} exists only in the first render`, true])
  for (const [key, saying] of second)
    if (isThere(saying) && !first.has(key)) found.push([key, `${saying.subject} exists only in the second render`, true])
  for (const [key, { subject, what, value }] of first) {
    const other = second.get(key)
    if (other === undefined || other.value === value) continue
    const [was, is] = Purity.difference(value, other.value)
    found.push([key, `${subject} ${what} ${was}, then ${is}`, false])
  }
  return found
}
