/**
 * Lowers a task to a step of the plan: its needs, its work, and its retries.
 */
import * as Codec from "@smithers/core/Codec"
import type { NodeId } from "@smithers/core/Ids"
import * as Names from "@smithers/core/Names"
import * as NodeOptions from "@smithers/core/NodeOptions"
import type * as Plan from "@smithers/core/Plan"
import type { Need, NoteRead, Step } from "@smithers/core/Plan"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import type { RunState } from "@smithers/core/RunState"
import type { StepContext } from "@smithers/core/StepProgram"
import { defined } from "@smithers/core/Struct"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { MissingOutput, type TaskCtx } from "../Ctx.ts"
import type { HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { outsideRender } from "../render.ts"
import { AttemptCtx } from "./attemptCtx.ts"
import { functionOf, requestOf } from "./computed.ts"
import { type ComesAfter, skipped } from "./condition.ts"
import { checkConstant, contentOf, isTextual } from "./content.ts"
import { depNames, depTarget } from "./deps.ts"
import { idOf, orRefuse, type Props, refuse, words } from "./elements.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn, isHandedOn } from "./needs.ts"
import * as Prompt from "./prompt.ts"
import type { TaskIndex } from "./reads.ts"

const untyped = Codec.makeUnknown(Schema.Unknown)

/** Value that a task receives for a dep. */
interface Dep {
  readonly value: unknown
  /** `true` if there is an output, which may itself be `undefined`. */
  readonly isThere: boolean
}

/** Lowers a task to a step. `isFixed` is `true` if no read precedes it, so that it is equal in every render. Throws `InvalidElement`. */
export const step = (
  node: HostNode,
  loop: NodeId | undefined,
  layout: TaskIndex,
  lowering: Lowering,
  isFixed: () => boolean,
  comesAfter: ComesAfter,
): Step => {
  const { props } = node
  const { output, cache, limit, needsApproval, compensate } = props
  const table = lowering.tableOf(output) ?? untypedTable
  const taskId = idOf(node)

  const needs: Array<Need> = []
  const past = new Map<string, NodeId>()
  /** Deps that the plan does not pass directly. */
  const lookedUp = new Map<string, { readonly nodeId: NodeId; readonly table: string }>()
  const names = depNames(node)
  for (const need of Object.keys(props.needs ?? {})) {
    if (!names.includes(need)) refuse(node, `its need "${need}" is not one of its deps (${names.join(", ")})`)
  }
  for (const name of names) {
    const { nodeId, table: value } = depTarget(node, name, layout, lowering)
    if (nodeId === taskId) refuse(node, `it depends on itself by "${name}"`)
    if (nodeId === undefined) continue
    if (!layout.tasks.has(nodeId)) past.set(name, nodeId)
    else if (isHandedOn(layout, taskId, nodeId)) needs.push({ name, target: nodeId, pass: "current" })
    else {
      lookedUp.set(name, { nodeId, table: value })
      if (!dependsOn(node).includes(nodeId)) needs.push(...after(layout, taskId, nodeId, names))
    }
  }
  for (const nodeId of dependsOn(node)) {
    if (nodeId === taskId) refuse(node, "it depends on itself")
    if (layout.tasks.has(nodeId)) needs.push(...after(layout, taskId, nodeId, names))
  }

  const ask = orRefuse(node, NodeOptions.agent(props, output === undefined, words))
  const ctxOf = (context: StepContext<unknown>, state: RunState, noteRead: NoteRead): TaskCtx =>
    new AttemptCtx(context, () => lowering.ctxAt(state, loop, noteRead)) as unknown as TaskCtx
  const forwardedProps = (
    name: string,
    target: NodeId,
    context: StepContext<unknown>,
    state: RunState,
    noteRead: NoteRead,
  ): Dep => {
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
      const { value, isThere } = lookUp(name, state, noteRead) ?? forwardedProps(name, target, context, state, noteRead)
      if (!isThere) {
        throw new MissingOutput({
          output: target,
          problem: `the dep "${name}" of task "${taskId}" was skipped or has failed`,
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
  const run = (context: StepContext<unknown>, state: RunState, noteRead: NoteRead): unknown => {
    if (typeof content !== "function") return Prompt.isWritten(content) ? Prompt.write(content) : content
    const ctx = ctxOf(context, state, noteRead)
    const deps = names.length > 0 ? [depsOf(context, state, noteRead)] : []
    return lowering.calling(
      () => {
        const made = withoutHooks(() => content(...deps, ctx))
        return ask === undefined ? made : Prompt.resolve(made, ctx)
      },
      state,
      noteRead,
    )
  }
  const found = (state: RunState, noteRead: NoteRead): Props =>
    Object.fromEntries([...lookedUp.keys()].map((name) => [name, lookUp(name, state, noteRead)?.value]))
  const undo = (context: StepContext<unknown> & { readonly output: unknown }, state: RunState): unknown =>
    typeof compensate === "function"
      ? lowering.calling(() => compensate(context.output, ctxOf(context, state, unnoted)), state, unnoted)
      : undefined
  const give = (value: unknown) => functionOf(value, loop, lowering)
  /** Converts a function of the output and ctx. */
  const giveAfter = (value: unknown) =>
    typeof value !== "function"
      ? value
      : ({ output }: Props, state: RunState, noteRead: NoteRead): unknown =>
          lowering.calling(() => value(output, lowering.ctxAt(state, loop, noteRead)), state, noteRead)
  const options = {
    ...props,
    retry: retryOf(node),
    cache: isProps(cache) && "key" in cache ? { ...cache, key: give(cache.key) } : cache,
    limit: give(limit),
    memory: memoryOf(props.memory, give, giveAfter),
    needsApproval: gateOf(needsApproval, give),
    compensate: typeof compensate === "function" ? undo : compensate,
  }
  const skips = skipped(node, loop, lowering, comesAfter)
  const leaf = { id: taskId, needs, codec, table, skipIf: skips, run, cacheKey: cacheKeyOf(content, found), agentSpec: ask }
  return {
    ...orRefuse(node, NodeOptions.step(leaf, options, words)),
    ...(isConstant ? { isConstant } : {}),
  }
}

/** Returns the approval that a task waits for. A pending one requires none yet. */
const gateOf = (asked: unknown, give: (value: unknown) => unknown): unknown => {
  if (asked === null || isPending(asked)) return undefined
  return isProps(asked) && "request" in asked ? { ...asked, request: requestOf(asked.request, give) } : asked
}

type Give = (value: unknown) => unknown

/** Converts the functions in the memory of a task. */
const memoryOf = (declared: unknown, give: Give, giveAfter: Give): unknown => {
  if (!isProps(declared)) return declared
  const { namespace, recall, remember } = declared
  const each = (part: unknown, convert: Give, names: ReadonlyArray<string>): unknown =>
    isProps(part)
      ? Object.fromEntries(
          Object.entries(part).map(([name, value]) => [
            name,
            name === "namespace" ? give(value) : names.includes(name) ? convert(value) : value,
          ]),
        )
      : part
  const after = typeof remember === "function" ? giveAfter(remember) : each(remember, giveAfter, ["key", "value", "facts"])
  return {
    ...declared,
    ...defined({ namespace: give(namespace), recall: each(recall, give, ["keys", "query"]), remember: after }),
  }
}

const isProps = (value: unknown): value is Props => typeof value === "object" && value !== null && !Array.isArray(value)

/** Calls a function that is not a component. Explains errors of hooks in it. */
const withoutHooks = (call: () => unknown): unknown => {
  try {
    const value = call()
    return value instanceof Promise
      ? value.catch((thrown: unknown) => {
          throw outsideRender(thrown)
        })
      : value
  } catch (thrown) {
    throw outsideRender(thrown)
  }
}

/** Reads of a compensation are not recorded, since nothing depends on them. */
const unnoted: NoteRead = () => {}

/** Combines the retry props of a task. `retries` does not count the first attempt. */
const retryOf = (node: HostNode): unknown => {
  const { retries, retryPolicy, noRetry } = node.props
  if (noRetry !== undefined && typeof noRetry !== "boolean") refuse(node, `"noRetry" must be true or false`)
  if (retries !== undefined && retries !== 0 && NodeOptions.countProblem("retries", retries) !== undefined)
    refuse(node, `"retries" must be a whole number of at least 0, or Infinity`)
  if (noRetry === true) return false
  if (Schedule.isSchedule(retryPolicy)) {
    if (retries !== undefined)
      refuse(
        node,
        `it has both "retries" and a Schedule as "retryPolicy", which defines the number of attempts itself: remove one of them`,
      )
    return retryPolicy
  }
  if (retries === undefined && retryPolicy === undefined) return undefined
  const policy = retryPolicy === undefined ? {} : retryPolicy
  if (!isProps(policy)) return refuse(node, `"retryPolicy" must be an object or a Schedule`)
  const { initialDelayMs, maxDelayMs, ...options } = policy
  for (const [name, ms] of Object.entries({ initialDelay: initialDelayMs, maxDelay: maxDelayMs })) {
    if (ms !== undefined && options[name] !== undefined)
      refuse(node, `"retryPolicy" has both ${name} and ${name}Ms: remove one of them`)
    if (ms !== undefined && typeof ms !== "number")
      refuse(node, `"retryPolicy.${name}Ms" must be in milliseconds; use "${name}" for a duration`)
  }
  const all: Props = {
    ...options,
    ...defined({ initialDelay: initialDelayMs, maxDelay: maxDelayMs }),
    ...(retries === undefined ? {} : { maxAttempts: Number(retries) + 1 }),
  }
  const unknown = Names.problemOf(all, RetryPolicy.optionNames)
  if (unknown !== undefined) refuse(node, `"retryPolicy" ${unknown}`)
  return all
}

/** Returns the default key of a `cache` of a task without an agent: the context of the task and its content. */
const cacheKeyOf = (content: unknown, found: (state: RunState, noteRead: NoteRead) => Props): Plan.Cache["key"] => {
  const text = typeof content === "function" ? undefined : content
  // Independent of the run and the iteration.
  return ({ runId: _, iteration: __, ...context }, state, noteRead) => {
    const value = Prompt.isWritten(text) ? Prompt.write(text) : text
    return { ...context, ...found(state, noteRead), ...defined({ value }) }
  }
}
