/**
 * A task as a step of the plan: what it waits for, what it does, and how often.
 */
import { type AnyAgent, nameOf } from "@smithers/core/Agent"
import { defaultCorrections } from "@smithers/core/AgentRunner"
import * as Codec from "@smithers/core/Codec"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import { keptId, type NodeId } from "@smithers/core/Ids"
import type { Ask, Cache, Need, NoteRead, PendingRead, Step } from "@smithers/core/Plan"
import * as Plan from "@smithers/core/Plan"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import type { RunState } from "@smithers/core/RunState"
import type { StepContext } from "@smithers/core/StepProgram"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type Ctx, MissingOutput, type TaskCtx } from "../Ctx.ts"
import { type HostNode, isText } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { outsideRender } from "../render.ts"
import { isPieces } from "./children.ts"
import { gate as gateOf } from "./gate.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn, isHandedOn } from "./needs.ts"
import { durationOf, flag, isKind, Misplaced, metaOf, type Props, refuse, span } from "./place.ts"
import * as Prompt from "./prompt.ts"
import type { Layout, Read } from "./reading.ts"
import { stampOf } from "./scope.ts"

const untyped = Codec.make(Schema.Unknown) as Codec.Codec<unknown, unknown>

const none: ReadonlyArray<PendingRead> = []

/** The task that a dep means: the one named under `needs`, the one of its own name, or the only one that gives its schema. */
const depTarget = (
  node: HostNode,
  name: string,
  layout: Layout,
  lowering: Lowering,
): { readonly nodeId: NodeId | undefined; readonly table: string } => {
  const { deps, needs } = node.props as { readonly deps: Props; readonly needs?: Props }
  const table =
    lowering.tableOf(deps[name]) ??
    refuse(node, `its dep "${name}" is none of the schemas of this workflow (${lowering.tables.join(", ")})`)
  const named = needs?.[name]
  if (named !== undefined && typeof named !== "string") refuse(node, `its need "${name}" is not the id of a task`)
  const gives = (id: string): string | undefined => layout.tasks.get(id)?.table
  if (typeof named === "string") {
    const nodeId = keptId(named)
    const other = gives(nodeId)
    if (other !== undefined && other !== table)
      refuse(node, `its dep "${name}" is a "${table}", and task "${named}" gives a "${other}"`)
    return { nodeId, table }
  }
  const ofItsName = keptId(name)
  if (gives(ofItsName) === table) return { nodeId: ofItsName, table }
  const mounted = (layout.writers.get(table) ?? []).filter((id) => id !== node.props.id)
  const candidates = mounted.length > 0 ? mounted : lowering.storedWriters(table)
  if (candidates.length > 1) {
    refuse(node, `its dep "${name}" is a "${table}", which ${candidates.length} tasks give: name one with needs={{ ${name}: "…" }}`)
  }
  return { nodeId: candidates[0], table }
}

const depNames = (node: HostNode): ReadonlyArray<string> => {
  const { deps } = node.props
  if (deps === undefined) return []
  if (typeof deps !== "object" || deps === null) return refuse(node, `"deps" must be an object of schemas by name`)
  for (const name of Object.keys(deps)) {
    if (Plan.reservedNames.has(name)) refuse(node, `its dep cannot be named "${name}", which the ctx has already`)
  }
  return Object.keys(deps)
}

/** Deps whose task is not there yet, in the plan or among what is stored: the task waits for it to be mounted. */
export const missingDeps = (node: HostNode, layout: Layout, lowering: Lowering): ReadonlyArray<PendingRead> => {
  if (node.props.deps === undefined && node.props.dependsOn === undefined) return none
  const isMissing = (nodeId: NodeId | undefined): boolean =>
    nodeId === undefined || (!layout.tasks.has(nodeId) && lowering.stored(nodeId, undefined) === undefined)
  const deps = depNames(node).flatMap((name) => {
    const target = depTarget(node, name, layout, lowering)
    return isMissing(target.nodeId) ? [target] : []
  })
  const others = dependsOn(node).filter(isMissing)
  return [...deps, ...others.map((nodeId) => ({ nodeId, table: undefined }))]
}

/** Whether a task waits for another by its `deps` or its `dependsOn`. */
export const isWaitingFor = (node: HostNode, nodeId: NodeId, layout: Layout, lowering: Lowering): boolean =>
  dependsOn(node).includes(nodeId) || depNames(node).some((name) => depTarget(node, name, layout, lowering).nodeId === nodeId)

/** What a task receives for a dep. */
interface Dep {
  readonly value: unknown
  /** Whether there is an output, which may itself be undefined. */
  readonly isThere: boolean
}

/** A task as a step. `isFixed` says whether nothing was read before it was written, so that it will be the same in each drawing. Throws `Misplaced`. */
export const step = (
  node: HostNode,
  loop: NodeId | undefined,
  layout: Layout,
  lowering: Lowering,
  isFixed: () => boolean,
  comesAfter: ComesAfter,
): Step => {
  const { props } = node
  const { id, output, label, meta, skipIf, compensate } = props
  const table = output === undefined ? untypedTable : (lowering.tableOf(output) as string)
  const taskId = id as string
  if (label !== undefined && typeof label !== "string") refuse(node, `"label" must be text`)
  if (compensate !== undefined && typeof compensate !== "function") refuse(node, `"compensate" must be a function`)

  const needs: Array<Need> = []
  const past = new Map<string, NodeId>()
  /** Deps that the plan has not at hand when the task begins. */
  const lookedUp = new Map<string, { readonly nodeId: NodeId; readonly table: string }>()
  const names = depNames(node)
  for (const need of Object.keys(props.needs ?? {})) {
    if (!names.includes(need)) refuse(node, `its need "${need}" is none of its deps (${names.join(", ")})`)
  }
  for (const name of names) {
    const { nodeId, table: given } = depTarget(node, name, layout, lowering)
    if (nodeId === taskId) refuse(node, `it depends on itself under "${name}"`)
    if (nodeId === undefined) continue
    if (!layout.tasks.has(nodeId)) past.set(name, nodeId)
    else if (isHandedOn(layout, taskId, nodeId)) needs.push({ name, target: nodeId, pass: "current" })
    else {
      lookedUp.set(name, { nodeId, table: given })
      if (!dependsOn(node).includes(nodeId)) needs.push(...after(layout, taskId, nodeId, names))
    }
  }
  for (const nodeId of dependsOn(node)) {
    if (nodeId === taskId) refuse(node, "it depends on itself")
    if (layout.tasks.has(nodeId)) needs.push(...after(layout, taskId, nodeId, names))
  }

  const ask = askOf(node, output === undefined)
  const ctxOf = (context: StepContext<unknown>, state: RunState, noteRead: NoteRead): TaskCtx =>
    new AttemptCtx(context, () => lowering.ctxAt(state, loop, noteRead)) as unknown as TaskCtx
  const handedOn = (name: string, target: NodeId, context: StepContext<unknown>, state: RunState, noteRead: NoteRead): Dep => {
    const gone = past.get(name)
    const value = gone === undefined ? (context as unknown as Props)[name] : lowering.stored(gone, state, noteRead)?.value
    return { value, isThere: value !== undefined || lowering.stored(target, state) !== undefined }
  }
  const lookUp = (name: string, state: RunState, noteRead: NoteRead): Dep | undefined => {
    const wanted = lookedUp.get(name)
    if (wanted === undefined) return undefined
    let isThere = true
    const ctx = lowering.ctxAt(state, loop, noteRead, () => {
      isThere = false
    })
    const value: unknown = ctx.output(wanted.table, { nodeId: wanted.nodeId })
    return { value: isThere ? value : undefined, isThere }
  }
  const depsOf = (context: StepContext<unknown>, state: RunState, noteRead: NoteRead): Props => {
    const values: Record<string, unknown> = {}
    for (const name of names) {
      const target = depTarget(node, name, layout, lowering).nodeId ?? name
      const { value, isThere } = lookUp(name, state, noteRead) ?? handedOn(name, target, context, state, noteRead)
      if (!isThere) {
        throw new MissingOutput({
          output: target,
          problem: `it is the dep "${name}" of task "${taskId}", and was skipped or has failed`,
        })
      }
      values[name] = value
    }
    return values
  }
  const codec = output === undefined ? untyped : lowering.codecOf(table)
  const content = contentOf(node, isTextual(table, lowering))
  const isConstant = ask === undefined && typeof content !== "function"
  if (isConstant && !isPending(props.children)) checkConstant(node, content, codec, table, isFixed)
  const compute = content as (...given: ReadonlyArray<unknown>) => unknown
  const run = (context: StepContext<unknown>, state: RunState, noteRead: NoteRead): unknown => {
    if (typeof content !== "function") return Prompt.isWritten(content) ? Prompt.write(content) : content
    const ctx = ctxOf(context, state, noteRead)
    const deps = names.length > 0 ? [depsOf(context, state, noteRead)] : []
    return lowering.calling(
      () => {
        const given = withoutHooks(() => compute(...deps, ctx))
        return ask === undefined ? given : Prompt.resolve(given, ctx)
      },
      state,
      noteRead,
    )
  }
  const gate = gateOf(node, needs, loop, lowering)
  const found = (state: RunState, noteRead: NoteRead): Props =>
    Object.fromEntries([...lookedUp.keys()].map((name) => [name, lookUp(name, state, noteRead)?.value]))
  const undo = compensate as ((output: unknown, ctx: TaskCtx) => unknown) | undefined
  return {
    _tag: "Step",
    id: taskId,
    label: label as string | undefined,
    meta: metaOf(node, meta),
    needs,
    codec,
    table,
    ...(isConstant ? { isConstant } : {}),
    retry: retryOf(node),
    timeoutMs: span(node, "timeout"),
    heartbeatTimeoutMs: span(node, "heartbeatTimeout"),
    skipIf:
      skipIf === undefined || skipIf === null || skipIf === false
        ? undefined
        : condition(node, "skipIf", skipIf, loop, lowering, comesAfter),
    continueOnFail: flag(node, "continueOnFail"),
    cache: cacheOf(node, loop, content, lowering, found),
    ...(gate === undefined ? {} : { gate }),
    ...(ask === undefined ? {} : { ask }),
    run: run as Step["run"],
    compensate:
      undo === undefined
        ? undefined
        : (((context: StepContext<unknown> & { readonly output: unknown }, state: RunState) =>
            lowering.calling(() => undo(context.output, ctxOf(context, state, unnoted)), state, unnoted)) as Step["compensate"]),
  }
}

/** Calls a function that is no component. What a hook throws then is put into words. */
const withoutHooks = (call: () => unknown): unknown => {
  try {
    const given = call()
    return given instanceof Promise
      ? given.catch((thrown: unknown) => {
          throw outsideRender(thrown)
        })
      : given
  } catch (thrown) {
    throw outsideRender(thrown)
  }
}

/** Nothing is made of what undoing a task reads. */
const unnoted: NoteRead = () => {}

/** The ctx of an attempt. Most functions use little of it, so what reads the run is made when it is first asked for. */
class AttemptCtx {
  readonly #context: StepContext<unknown>
  readonly #make: () => Ctx
  #ctx: Ctx | undefined
  constructor(context: StepContext<unknown>, make: () => Ctx) {
    this.#context = context
    this.#make = make
  }
  get #reads(): Ctx {
    this.#ctx ??= this.#make()
    return this.#ctx
  }
  get input() {
    return this.#context.input
  }
  get runId() {
    return this.#context.runId
  }
  get iteration() {
    return this.#context.iteration
  }
  get output() {
    return this.#reads.output
  }
  get outputMaybe() {
    return this.#reads.outputMaybe
  }
  get latest() {
    return this.#reads.latest
  }
  get iterationCount() {
    return this.#reads.iterationCount
  }
  get taskId() {
    return this.#context.stepId
  }
  get attempt() {
    return this.#context.attempt
  }
  get idempotencyKey() {
    return this.#context.idempotencyKey
  }
  get heartbeat() {
    return this.#context.heartbeat
  }
  get lastHeartbeat() {
    return this.#context.lastHeartbeat
  }
  get signal() {
    return this.#context.signal
  }
}

/** Whether what is read begins only when the node that reads is over. */
export type ComesAfter = (read: Pick<PendingRead, "nodeId" | "table">) => boolean

/**
 * A value or a function of the ctx, asked as a condition. It does not hold where it is pending or was made of anything that is. Throws
 * `Misplaced` for a value that would count as true whatever comes of it; what a function gives is judged by the scheduler. The function
 * throws where it reads what cannot be there when it is asked.
 */
export const condition = (
  node: HostNode,
  name: string,
  given: unknown,
  loop: NodeId | undefined,
  lowering: Lowering,
  comesAfter: ComesAfter,
) => {
  if (typeof given !== "function") checkCondition(node, name, given)
  return (_: unknown, state: RunState, noteRead: NoteRead): boolean => {
    if (typeof given !== "function" || isPending(given)) return !isPending(given) && Boolean(given)
    let isUnsaid = false
    const onPending = (read: Read): void => {
      isUnsaid = true
      if (comesAfter(read)) refuse(node, readsLater(`"${name}"`, read))
    }
    const ctx = lowering.ctxAt(state, loop, noteRead, onPending)
    const value: unknown = lowering.calling(() => given(ctx), state, noteRead, onPending)
    return !isUnsaid && !isPending(value) && (value as boolean)
  }
}

/** Said of what reads an output that cannot be there when it is wanted. */
export const readsLater = (what: string, { nodeId, table }: Pick<PendingRead, "nodeId" | "table">): string => {
  const named = nodeId === undefined ? `the output "${table}"` : `the output of "${nodeId}"`
  return `${what} is made of ${named}, which comes after it or is its own: put it after what it reads, or read the last pass with ctx.latest, or what may be absent with ctx.outputMaybe`
}

/** Refuses a value as a condition that is always true. What is pending is a function too. */
export const checkCondition = (node: HostNode, name: string, given: unknown): void => {
  const untrue = isPending(given) ? undefined : Plan.untrue(given)
  if (untrue !== undefined)
    refuse(
      node,
      `"${name}" is ${untrue}, which always counts as true: ${Plan.saysNo(given) ? `write ${name}={false}, or compare the text` : "have a task find it out, and read its output"}`,
    )
}

/** What a task does: its function, what there is to write of a prompt, or its value. */
export const contentOf = (node: HostNode, isTextual: boolean): unknown => {
  const { children, agent } = node.props
  if (children === undefined)
    return refuse(
      node,
      agent === undefined ? "it has nothing to do: give it a function, a value or an agent" : "it has an agent and no prompt",
    )
  if (isPending(children)) return ""
  if (typeof children === "function") return children
  const isRendered = node.children.length > 0
  if (isRendered) checkPrompt(node, "A task holds a prompt, a function or a value")
  const isElement = typeof children === "object" && children !== null && "$$typeof" in children
  if (isRendered || isElement) return Prompt.written(node.children)
  if (typeof children === "object" && children !== null && "then" in children) {
    return refuse(node, "its child is a promise: pass a function, which is called when the task runs")
  }
  const isWritten = agent !== undefined || isPieces(children) || (isTextual && Array.isArray(children))
  if (!isWritten) return children
  try {
    const prompt = Prompt.pieces(children, isPieces(children) || isCalled(node, children))
    if (agent !== undefined && Prompt.write(prompt) === "" && !isMadeOfPending(children)) refuse(node, "its prompt is empty")
    return prompt
  } catch (thrown) {
    if (thrown instanceof TypeError && !(thrown instanceof Misplaced)) refuse(node, thrown.message)
    throw thrown
  }
}

/** Whether an element was made by `createElement` or a clone, which take pieces as arguments and keep them as a list. */
const isCalled = (node: HostNode, children: unknown): boolean => Array.isArray(children) && stampOf(node.props) === undefined

/** Whether what is written in pieces holds anything that is not there yet. */
const isMadeOfPending = (children: unknown): boolean =>
  isPending(children) || (Array.isArray(children) && children.some((child) => isMadeOfPending(child)))

/**
 * Refuses a value, or text, that the task's output does not take. What was written after something was read may be another by the time that
 * the task begins; it fails then.
 */
const checkConstant = (node: HostNode, content: unknown, codec: Step["codec"], table: string, isFixed: () => boolean): void => {
  const isText = Prompt.isWritten(content) || typeof content === "string"
  const issues = Codec.issuesAtOnce(codec, Prompt.isWritten(content) ? Prompt.write(content) : content)
  if (issues === undefined || !isFixed()) return
  if (isText && !Codec.takesText(codec))
    refuse(
      node,
      `it has text and no agent, and its output "${table}" takes no text: give it an agent, or a function or a value of its kind`,
    )
  const said = table === untypedTable ? "cannot be stored" : `does not match its output "${table}"`
  refuse(node, `its ${isText ? "text" : "value"} ${said}: ${issues.join("; ")}`)
}

/** Whether an output is text, so that what is written in pieces is meant as one. */
export const isTextual = (table: string, lowering: Lowering): boolean =>
  table !== untypedTable && lowering.codecOf(table).inputSchema?.type === "string"

/** Refuses nodes of a plan that stand in a prompt. `rule` says what may. */
export const checkPrompt = (asking: HostNode, rule: string, node = asking): void => {
  for (const child of node.children) {
    if (isText(child)) continue
    if (isKind(child.type)) refuse(asking, `a ${child.type} stands in it. ${rule}; put other nodes beside it`)
    checkPrompt(asking, rule, child)
  }
}

const askOf = (node: HostNode, isText: boolean): Ask | undefined => {
  const { agent } = node.props
  if (agent === undefined) {
    if (Object.hasOwn(node.props, "agent")) refuse(node, `its agent is undefined: look for a slip in its name`)
    if (node.props.corrections !== undefined) refuse(node, `it has "corrections" and no agent to correct`)
    return undefined
  }
  const agents = (Array.isArray(agent) ? agent : [agent]) as ReadonlyArray<AnyAgent>
  const isAgent = (one: unknown): boolean =>
    typeof one === "object" && one !== null && typeof (one as { readonly generate?: unknown }).generate === "function"
  if (agents.length === 0 || !agents.every(isAgent)) refuse(node, `its agent is not an agent: it has no method "generate"`)
  if (!agents.every((one) => typeof nameOf(one) === "string")) refuse(node, "the name of its agent must be text")
  const { corrections = defaultCorrections } = node.props
  if (!Number.isInteger(corrections) || Number(corrections) < 0)
    refuse(node, "its corrections must be a whole number of at least 0")
  return { agents, isText, corrections: Number(corrections) }
}

const policies = new Map<string, RetryPolicy.RetryPolicy<unknown>>()

const retryOf = (node: HostNode): RetryPolicy.RetryPolicy<unknown> => {
  const { retries, retryPolicy, noRetry } = node.props
  if (noRetry !== undefined && typeof noRetry !== "boolean") refuse(node, `"noRetry" must be true or false`)
  if (retries !== undefined && !(retries === 0 || Plan.isCount(retries)))
    refuse(node, `"retries" must be a whole number of at least 0, or Infinity`)
  if (noRetry === true) return RetryPolicy.none
  if (Schedule.isSchedule(retryPolicy)) {
    if (retries !== undefined)
      refuse(node, `"retries" and a Schedule as "retryPolicy" contradict each other: a Schedule says how often by itself`)
    return RetryPolicy.fromSchedule(retryPolicy as Schedule.Schedule<unknown, ErrorInfo, unknown>)
  }
  if (retries === undefined && retryPolicy === undefined) return RetryPolicy.standard
  if (retryPolicy !== undefined && (typeof retryPolicy !== "object" || retryPolicy === null || Array.isArray(retryPolicy)))
    refuse(node, `"retryPolicy" must be an object or a Schedule`)
  const { initialDelayMs, maxDelayMs, ...options } = (retryPolicy ?? {}) as Props
  for (const [name, ms] of Object.entries({ initialDelay: initialDelayMs, maxDelay: maxDelayMs })) {
    if (ms !== undefined && options[name] !== undefined)
      refuse(node, `"retryPolicy" has ${name} and ${name}Ms, which say the same: give one of them`)
    if (ms !== undefined && typeof ms !== "number")
      refuse(node, `"retryPolicy.${name}Ms" must be milliseconds; a duration is given as "${name}"`)
  }
  const all: Props = {
    ...options,
    ...(initialDelayMs === undefined ? {} : { initialDelay: initialDelayMs }),
    ...(maxDelayMs === undefined ? {} : { maxDelay: maxDelayMs }),
    ...(retries === undefined ? {} : { maxAttempts: (retries as number) + 1 }),
  }
  for (const key of Object.keys(all))
    if (!Object.hasOwn(RetryPolicy.defaults, key)) refuse(node, `"retryPolicy" has no option "${key}"`)
  const key = Object.entries(all)
    .map(([name, value]) => `${name}: ${typeof value} ${String(value)}`)
    .join()
  const kept = policies.get(key)
  if (kept !== undefined) return kept
  const policy = RetryPolicy.fromOptions(all as RetryPolicy.RetryOptions)
  if ("problem" in policy) return refuse(node, policy.problem)
  policies.set(key, policy as RetryPolicy.RetryPolicy<unknown>)
  return policy as RetryPolicy.RetryPolicy<unknown>
}

const cacheOf = (
  node: HostNode,
  loop: NodeId | undefined,
  content: unknown,
  lowering: Lowering,
  found: (state: RunState, noteRead: NoteRead) => Props,
): Cache | undefined => {
  const { cache } = node.props
  if (cache === undefined || cache === false) return undefined
  if (cache !== true && (typeof cache !== "object" || cache === null)) return refuse(node, `"cache" must be true or an object`)
  const { key, ttl, ...others } = (cache === true ? {} : cache) as Props
  for (const other of Object.keys(others)) refuse(node, `"cache" has no option "${other}"; there are key, ttl`)
  if (key !== undefined && typeof key !== "function") refuse(node, `"cache.key" must be a function`)
  const ttlMs = ttl === undefined ? undefined : durationOf(node, `"cache.ttl"`, ttl)
  const text = typeof content === "function" ? undefined : content
  const { agent } = node.props
  const agents = agent === undefined ? undefined : ((Array.isArray(agent) ? agent : [agent]) as ReadonlyArray<AnyAgent>).map(nameOf)
  return {
    key: (context, state, noteRead) => {
      if (typeof key === "function") {
        const ctx = lowering.ctxAt(state, loop, noteRead)
        return lowering.calling(() => key(ctx), state, noteRead)
      }
      const value = Prompt.isWritten(text) ? Prompt.write(text) : text
      return {
        ...context,
        ...found(state, noteRead),
        ...(value === undefined ? {} : { value }),
        ...(agents === undefined ? {} : { agents }),
      }
    },
    ttlMs,
  }
}
