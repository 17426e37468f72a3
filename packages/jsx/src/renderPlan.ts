/**
 * The plan of a workflow without a run: for tests of a workflow, which need no engine and no database, and for tools that show or
 * check it.
 */
import type { Caught } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import { InvalidInput, InvalidWorkflow, unnamed } from "@smithers/core/Errors"
import { keptId, type NodeId, nodeKey } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type { PendingRead, Plan } from "@smithers/core/Plan"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import { type Values, valuesOf } from "@smithers/core/Scheduler"
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { PlacedTask } from "./internal/analysis.ts"
import { readsLater } from "./internal/condition.ts"
import { type Circumstances, under } from "./internal/elsewhen.ts"
import * as Prompt from "./internal/prompt.ts"
import * as Purity from "./internal/purity.ts"
import type { Read } from "./internal/reading.ts"
import type * as Lower from "./lower.ts"
import { pending } from "./Pending.ts"
import * as Planner from "./Planner.ts"
import { blueprintKey, type JsxWorkflow } from "./Workflow.ts"

/** What a plan is drawn with. */
export interface RenderOptions {
  readonly input?: unknown
  /** Outputs by task id, or by `<task id>/<iteration>` for the passes of a loop; as a task would give them. */
  readonly outputs?: { readonly [task: string]: unknown }
  /** Passes begun by loop id; as many as the outputs show unless told. */
  readonly loops?: { readonly [loop: string]: number }
  /** What tries have caught, by their id, or by `<id>/<iteration>` in a loop. The `nodeId` is the task that failed. */
  readonly caught?: { readonly [boundary: string]: Partial<Caught> }
  readonly runId?: string
  /** Draws it again, at other times and with other random numbers, and reports what came out differently; asks its functions of ctx too. */
  readonly checkPurity?: boolean
}

/** A task of a plan. */
export interface PlannedTask {
  readonly id: NodeId
  /** Key of its output. */
  readonly output: string
  /** Id of the loop around it. */
  readonly loop: NodeId | undefined
  /** What an agent is asked, or the text or value that is given; `undefined` where a function gives it when the task runs. */
  readonly content: unknown
  /** The element that it is: `Task`, `Approval`, `HumanTask`, `Signal`, `WaitForEvent`, `Timer` or `Subflow`. */
  readonly kind: string
  readonly isAgent: boolean
  /** It was drawn without an output that it reads, and is not started before that is there. */
  readonly isProvisional: boolean
}

/** A plan that was drawn. */
export interface RenderedPlan {
  readonly name: string
  readonly plan: Plan
  readonly tasks: ReadonlyArray<PlannedTask>
  /** Outputs that were read and are not there. */
  readonly pending: ReadonlyArray<PendingRead>
  /** Where other drawings of the same differed, one line each; empty unless `checkPurity` was set and they did. */
  readonly impurities: ReadonlyArray<string>
  /** Functions of ctx that read what cannot be there when they are asked, one line each; empty unless `checkPurity` was set. */
  readonly faults: ReadonlyArray<string>
  /** What is allowed and may be meant otherwise, a sentence each with the place and the cure. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Draws the plan of a workflow from an input and outputs. Throws `InvalidInput` where the input does not match its schema,
 * `InvalidWorkflow` where an output does not match its own or what is drawn is no plan, and `RenderFailed` where a component throws.
 */
export const renderPlan = <I>(workflow: JsxWorkflow<I, unknown>, options: RenderOptions = {}): RenderedPlan => {
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

/** A drawing, and what its functions can be asked with. */
interface Made {
  readonly drawn: Planner.Drawn
  readonly planner: Planner.Planner
  readonly state: RunState.RunState
  readonly values: Values
}

/** What a drawing says, its functions included, and which of them read what comes later. */
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
      // What it throws is for the run to say: here it may lack what it will have then.
      const answer = tryOr(() => Purity.answerTo(question, state), undefined)
      if (answer !== undefined) said.push(answer)
    })
    looked.push(...reads.map((read) => [`"${question.name}" of ${Purity.subjectOf(question.node)}`, read] as const))
    const late = reads.find((read) => read.pass !== "latest" && comesAfter(read) && !isKnown(read, values))
    if (late !== undefined) faults.push(`${Purity.subjectOf(question.node)}: ${readsLater(`"${question.name}"`, late)}`)
  }
  return { said, faults, reads: looked }
}

/** Reads of tasks that are not there, where the id of one that is is nearly the same. */
const misspelt = (
  { lowered }: Planner.Drawn,
  { nearMiss }: Planner.Planner,
  asked: ReadonlyArray<readonly [reader: string, read: Read]>,
): ReadonlyArray<string> => {
  const found = new Map<string, string>()
  const drawn = lowered.lookups().map(({ where, read }) => [`a component (at ${where})`, read] as const)
  for (const [reader, read] of [...drawn, ...asked]) {
    const meant = nearMiss(read)
    const said = `${reader} reads the output "${read.table}" of "${read.nodeId}", and no task is that: did you mean "${meant}"?`
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

const decode = (codec: Codec.Codec<unknown, unknown>, value: unknown, refuse: (issues: Codec.Issues) => Error): Codec.Kept => {
  const decoded = Either.flatMap(Codec.acceptNow(codec, value), (stored) => Codec.keepNow(codec, stored))
  return Either.getOrThrowWith(decoded, refuse)
}

const drawWith = (blueprint: Planner.Blueprint, input: Codec.Kept, options: RenderOptions): Made => {
  const { outputs = {}, caught = {}, runId = "preview" } = options
  const loops = Object.fromEntries(Object.entries(options.loops ?? {}).map(([loop, count]) => [keptId(loop), count]))
  // The table of an output and its place in loops are those of the task in the plan; so the plan is drawn until it has shown them.
  const tables = new Map<NodeId, string>()
  const whole = new Set<string>()
  const placeIn = (name: string) => (whole.has(name) ? { nodeId: keptId(name), iteration: 0 } : writtenPlace(name))
  for (;;) {
    const given = Object.entries(outputs).map(([name, value]) => ({ ...placeIn(name), value }))
    const halted = Object.entries(caught).map(([name, error]) => haltedBy(placeIn(name), error))
    const { state, values } = stateOf(blueprint, runId, input, given, tables, loops, halted)
    const planner = Planner.make(blueprint)
    const drawn = Either.getOrThrowWith(planner.draw(state, values), (error) => error)
    const added = placesOf(drawn.lowered, given, tables, loops)
    // What reads as a pass of a node is that node's, where no node has the whole of it as its id.
    const { positions } = drawn.plan
    const named = [...Object.keys(outputs), ...Object.keys(caught)].filter(
      (name) => !whole.has(name) && positions.has(keptId(name)),
    )
    for (const name of named) whole.add(name)
    if (added || named.some((name) => writtenPlace(name).nodeId !== keptId(name))) continue
    const unknown = given.find(({ nodeId }) => !tables.has(nodeId))
    if (unknown === undefined) return { drawn, planner, state, values }
    const where = "outputs of renderPlan"
    const some = [...drawn.lowered.layout.tasks.keys()].slice(0, 10).join(", ")
    throw new InvalidWorkflow({
      workflow: drawn.lowered.name,
      where,
      problem: `there is no task "${unknown.nodeId}"; there are ${some}`,
    })
  }
}

/** A node and its iteration, as they are written: `review/2`, or `review` for the first. */
const writtenPlace = (name: string): { readonly nodeId: NodeId; readonly iteration: number } => {
  const [, nodeId = name, iteration = "0"] = /^(.+)\/(\d+)$/s.exec(name) ?? []
  return { nodeId: keptId(nodeId), iteration: Number(iteration) }
}

const haltedBy = (place: ReturnType<typeof writtenPlace>, error: Partial<Caught>): RunEvent => {
  const { nodeId = place.nodeId, iteration = place.iteration, name = "Error", message = "", issues } = error
  const said = { name, message, retryable: false, ...defined({ issues }) }
  return { _tag: "BoundaryHalted", ...place, cause: { nodeId, iteration, reason: { _tag: "Error", error: said } }, isCaught: true }
}

type Given = ReadonlyArray<{ readonly nodeId: NodeId; readonly iteration: number; readonly value: unknown }>

const known = new WeakMap<object, Map<NodeId, ReadonlyArray<NodeId>>>()

/** Takes up what a drawing tells of the given outputs. Answers whether that was anything new. */
const placesOf = (
  { layout }: Lower.Lowered,
  given: Given,
  tables: Map<NodeId, string>,
  loops: { readonly [loop: string]: number },
): boolean => {
  const around = known.get(tables) ?? new Map<NodeId, ReadonlyArray<NodeId>>()
  known.set(tables, around)
  let added = false
  for (const { nodeId } of given) {
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
  input: Codec.Kept,
  given: Given,
  tables: ReadonlyMap<NodeId, string>,
  loops: { readonly [loop: string]: number },
  halted: ReadonlyArray<RunEvent>,
): { readonly state: RunState.RunState; readonly values: Values } => {
  const outputs = new Codec.Outputs()
  const events: Array<RunEvent> = [...halted]
  const passes = new Map<string, number>(Object.entries(loops))
  const parents = new Map<string, string | undefined>()
  for (const { nodeId, iteration, value } of given) {
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
      const problem = `"${nodeKey(nodeId, iteration)}" is a pass of a task that stands in no loop`
      throw new InvalidWorkflow({ workflow: unnamed, where: "outputs of renderPlan", problem })
    }
    // The outer loops have begun, and are in their first pass unless told otherwise.
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
  const given = content()
  return {
    id: task.id,
    output: task.table,
    loop: task.loop,
    content: typeof given === "function" ? undefined : Prompt.isWritten(given) ? Prompt.write(given) : given,
    kind: task.kind,
    isAgent: task.isAgent,
    isProvisional: task.isProvisional,
  }
}

const day = 86_400_000

/** Times later than now: a weekend or a working day from any other day, at any hour; other months, halves of the day, years. */
const shifts = [
  400 * day + 5_025_678,
  2 * day,
  3.5 * day,
  4 * day,
  182.25 * day + 60_001,
  5 * day + 21_600_000,
  47 * day + 10_800_000,
]

const cure =
  "What is drawn, and what functions of ctx give, must follow from ctx alone: have a task take the time or the number, and read its output; make ids of the input, of outputs and of keys"

/** What other drawings of the same say otherwise: with nothing changed, at other times, and with other random numbers. */
const compareAll = (
  first: ReadonlyArray<Purity.Saying>,
  usual: Circumstances,
  draw: () => ReadonlyArray<Purity.Saying>,
): ReadonlyArray<string> => {
  const found = new Map<string, string>()
  let isOtherwise = false
  const compare = (circumstances: Circumstances, why: string): void => {
    // What cannot be drawn then is not the same either.
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

/** What is said differently, by what it is said of; and whether it is that something is there at all. */
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
    if (isThere(saying) && !second.has(key)) found.push([key, `${saying.subject} is only there the first time`, true])
  for (const [key, saying] of second)
    if (isThere(saying) && !first.has(key)) found.push([key, `${saying.subject} is only there the second time`, true])
  for (const [key, { subject, what, value }] of first) {
    const other = second.get(key)
    if (other === undefined || other.value === value) continue
    const [was, is] = Purity.difference(value, other.value)
    found.push([key, `${subject} ${what} ${was}, and then ${is}`, false])
  }
  return found
}
