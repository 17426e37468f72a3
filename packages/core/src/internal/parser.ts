/**
 * Makes nodes from the arguments of `$`, which may come from untyped code. Every mistake is rejected with
 * {@link InvalidWorkflow}, naming the kind and id of the node.
 */

import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Codec from "../Codec.ts"
import { Decision, selectionOf } from "../Decision.ts"
import * as EffectVersion from "../EffectVersion.ts"
import { InvalidWorkflow } from "../Errors.ts"
import { idRule, isNodeId, keptId, type NodeId, shownId } from "../Ids.ts"
import * as Names from "../Names.ts"
import * as NodeOptions from "../NodeOptions.ts"
import * as Plan from "../Plan.ts"
import * as ComposedCodec from "./composedCodec.ts"

const sagaKeys = new Set(["id", "onCompensated"])
const tryKeys = new Set(["id", "try", "catch", "when", "finally"])
const waitKeys = ["needs", "skipIf", "label", "meta"]
const waits = {
  approval: new Set([...waitKeys, "request", "mode", "options", "onDeny", "approvers", "timeout", "deadline", "onTimeout"]),
  human: new Set([...waitKeys, "prompt", "output", "timeout", "deadline", "onTimeout"]),
  signal: new Set([...waitKeys, "name", "payload", "correlation", "transient", "timeout", "deadline", "onTimeout"]),
  subflow: new Set([
    ...[...waitKeys, "workflow", "input", "attach", "onFail", "maxDepth", "sandbox", "timeout", "deadline", "onTimeout"],
  ]),
  timer: new Set([...waitKeys, "duration", "until"]),
  continuation: new Set([...waitKeys, "input"]),
}
const stepKeys = new Set([
  ...[
    "output",
    "error",
    "needs",
    "run",
    "retry",
    "timeout",
    "heartbeatTimeout",
    "skipIf",
    "continueOnFail",
    "cache",
    "memory",
    "scorers",
    "snapshots",
    "sandbox",
  ],
  ...["agent", "prompt", "corrections", "allowTools", "allowNetwork", "root", "readOnly", "budget", "compensate"],
  ...["needsApproval", "limit", "label", "meta"],
])
const branchKeys = new Set(["needs", "when", "then", "else"])
const switchKeys = new Set(["needs", "on", "cases", "otherwise"])
const loopKeys = new Set(["id", "needs", "body", "until", "maxIterations", "onMaxReached"])
const limitKeys = ["timeout", "onTimeout", "label"]
const scopeKeys = new Set(["id", "needs", "body", "completeWhen", "cancelWhen", ...limitKeys])
const raceKeys = new Set(["id", "needs", "count", "rest", "onFailure", ...limitKeys])
const mapKeys = new Set([
  ...["id", "needs", "items", "key", "body", "maxConcurrency", "maxItems", "until", "rest", "settled", "more"],
  ...limitKeys,
])
const sequenceKeys = new Set(["sandbox"])
const parallelKeys = new Set(["maxConcurrency", "maxItems", "failFast", "sandbox"])
const sandboxKeys = new Set(["id", "body", ...NodeOptions.sandboxOptions])
const worktreeKeys = new Set(["id", "body", ...NodeOptions.worktreeOptions])

const words: NodeOptions.Words = {
  fn: "a function",
  set: (option, value) => `${option}: ${value}`,
  hasMillis: false,
}

type Loose = NodeOptions.Options

/** A node made by `$`. */
interface Made {
  readonly plan: Plan.Node
}

/** A need beyond a plain node, made by `$`. */
interface Reference {
  readonly need: Omit<Plan.Need, "name">
}

/** Tells whether a value is a node made by `$`. */
export const isNode = (value: unknown): value is Made =>
  typeof value === "object" && value !== null && "plan" in value && typeof value.plan === "object" && value.plan !== null

const isReference = (value: unknown): value is Reference => typeof value === "object" && value !== null && "need" in value

/** The id of the first node in a part that has one. */
const firstId = (part: Plan.Node): NodeId | undefined => {
  const ahead = [part]
  for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
    if ("id" in node) return node.id
    ahead.push(...Plan.children(node).toReversed())
  }
  return undefined
}

/** The default cache key of code: everything that it is given, without its run and pass. */
const usualKey = ({ runId: _, iteration: __, ...needs }: Plan.PredicateContext) => needs
/** The key of the item in a list's template. */
const anyKey = "*"

const anything = Codec.makeUnknown(Schema.Unknown)
const decision = Codec.makeUnknown(Decision)
const detached = Codec.makeUnknown(Schema.Struct({ runId: Schema.String }))

/** Makes the functions of `$`. All ids get the prefix. */
export const make = (workflow: string, prefix = "") => {
  const refuse = (where: string, problem: string): never => {
    throw new InvalidWorkflow({ workflow, where, problem })
  }
  const orRefuse = <A>(where: string, made: Either.Either<A, NodeOptions.Problem>): A =>
    Either.getOrElse(made, (problem) => refuse(where, problem))
  const checkKeys = (where: string, options: Loose, known: ReadonlySet<string>): void => {
    if (typeof options !== "object" || options === null) refuse(where, "its options are missing")
    const unknown = Names.problemOf(options, known)
    if (unknown !== undefined) refuse(where, `it ${unknown}`)
  }
  const node = (where: string, value: unknown, what: string): Plan.Node =>
    isNode(value) ? value.plan : refuse(where, `${what} is not a step or another node made by $`)
  const nodes = (where: string, values: ReadonlyArray<unknown>): ReadonlyArray<Plan.Node> =>
    values.map((value, index) => node(where, value, `child ${index}`))
  const fn = <F>(where: string, options: Loose, key: string): F =>
    typeof options[key] === "function" ? (options[key] as F) : refuse(where, `"${key}" must be a function`)
  const needs = (where: string, { needs: declared }: Loose): ReadonlyArray<Plan.Need> => {
    if (declared === undefined || declared === null) return []
    if (typeof declared !== "object") return refuse(where, `"needs" must be an object of nodes by name`)
    return Object.entries(declared).map(([name, value]: readonly [string, unknown]): Plan.Need => {
      if (isNode(value)) return { name, target: value.plan, pass: "current" }
      if (isReference(value)) return { name, ...value.need }
      return refuse(where, `need "${name}" is not a step or another node made by $`)
    })
  }
  const identify = (kind: string, id: unknown): NodeId => {
    const full = `${prefix}${String(id)}`
    const kept = keptId(full)
    if (typeof id !== "string" || id === "" || !isNodeId(kept)) refuse(`${kind} ${shownId(full)}`, `its id must be ${idRule}`)
    return kept
  }
  const schema = (where: string, options: Loose, key: string): Codec.Codec<unknown, unknown> => {
    const value = options[key]
    if (!Codec.isSchema(value))
      return refuse(where, `"${key}" must be an Effect Schema or a Standard Schema${EffectVersion.adviceOnSchema(value)}`)
    const codec = Codec.makeUnknown(value)
    return codec.unstorable === undefined ? codec : refuse(where, `"${key}": ${codec.unstorable}`)
  }
  const leaf = (where: string, id: NodeId, options: Loose, codec: Codec.Codec<unknown, unknown>): NodeOptions.Leaf => ({
    id,
    needs: needs(where, options),
    codec,
    table: `${workflow}_${id}`,
    skipIf: options.skipIf === undefined ? undefined : fn(where, options, "skipIf"),
  })

  const step = (name: string, options: Loose) => {
    const id = identify("step", name)
    const where = `step "${id}"`
    checkKeys(where, options, stepKeys)
    const made = leaf(where, id, options, schema(where, options, "output"))
    const agentSpec = orRefuse(where, NodeOptions.agent(options, false, words))
    const work = agentSpec === undefined ? codeOf(where, options) : promptOf(where, options)
    return { id, plan: orRefuse(where, NodeOptions.step({ ...made, ...work, agentSpec }, options, words)) }
  }
  const codeOf = (where: string, options: Loose) => {
    if (options.prompt !== undefined) refuse(where, `it has "prompt" but no agent`)
    return { run: fn<Plan.Step["run"]>(where, options, "run"), cacheKey: usualKey }
  }
  const promptOf = (where: string, options: Loose) => {
    const { prompt } = options
    if (options.run !== undefined) refuse(where, `it has "run" and "agent", each of which does its work: give one of them`)
    if (typeof prompt !== "string" && typeof prompt !== "function") refuse(where, `"prompt" must be text, or ${words.fn}`)
    const run = typeof prompt === "string" ? () => prompt : fn<Plan.Step["run"]>(where, options, "prompt")
    return { run, cacheKey: usualKey }
  }

  const wait =
    (kind: Plan.WaitTarget["kind"], codecIn: (where: string, options: Loose, id: NodeId) => Codec.Codec<unknown, unknown>) =>
    (name: string, options: Loose) => {
      const id = identify(kind, name)
      const where = `${kind} "${id}"`
      checkKeys(where, options, waits[kind])
      const made = leaf(where, id, options, codecIn(where, options, id))
      return { id, plan: orRefuse(where, NodeOptions.wait(kind, made, options, words)) }
    }
  const signal = wait("signal", (where, options) => schema(where, options, "payload"))

  /** The codec of a child run's output. */
  const childCodec = (id: NodeId, { workflow, attach }: Loose): Codec.Codec<unknown, unknown> =>
    attach === false
      ? detached
      : typeof workflow === "function"
        ? ComposedCodec.later(NodeOptions.resolving(id, () => workflow()))
        : NodeOptions.isStartable(workflow)
          ? ComposedCodec.of(workflow.plan, workflow.definition.output)
          : anything

  /** The id of a boundary without one of its own. */
  const boundaryId = (kind: "saga" | "try" | "race", id: unknown, inside: Plan.Node): NodeId => {
    if (id !== undefined) return identify(kind, id)
    const first = firstId(inside)
    const full = `${kind}:${first}`
    return first === undefined || !isNodeId(full) ? refuse(kind, `nothing in it has a short id of its own: give it an "id"`) : full
  }

  /** Splits children from the options that may follow them. */
  const childrenAnd = (kind: string, args: ReadonlyArray<unknown>, keys: ReadonlySet<string>) => {
    const last = args.at(-1)
    const hasOptions = typeof last === "object" && last !== null && !Array.isArray(last) && !isNode(last)
    const options: Loose = hasOptions ? { ...last } : {}
    checkKeys(kind, options, keys)
    return { children: nodes(kind, hasOptions ? args.slice(0, -1) : args), options }
  }

  const saga = (...args: ReadonlyArray<unknown>) => {
    const { children, options } = childrenAnd("saga", args, sagaKeys)
    const [only, ...others] = children
    const body: Plan.Node = only !== undefined && others.length === 0 ? only : { _tag: "Sequence", children }
    const id = boundaryId("saga", options.id, body)
    return { plan: orRefuse(`saga "${id}"`, NodeOptions.saga({ id, body }, options)) }
  }

  const tryCatch = (options: Loose) => {
    checkKeys("tryCatch", options, tryKeys)
    const body = node("tryCatch", options.try, `"try"`)
    const id = boundaryId("try", options.id, body)
    const where = `tryCatch "${id}"`
    const caught =
      options.catch === undefined
        ? undefined
        : typeof options.catch === "function"
          ? catching(where, id, options)
          : node(where, options.catch, `"catch" is neither a function nor a node; it`)
    const last = options.finally === undefined ? undefined : node(where, options.finally, `"finally"`)
    const parts = { id, try: body, catch: caught, finally: last }
    return { plan: orRefuse(where, NodeOptions.tryCatch(parts, options, "when")) }
  }
  /** Turns a function that handles a failure into a step; its result is stored as JSON. */
  const catching = (where: string, tryId: NodeId, options: Loose): Plan.Step => {
    const id = `${tryId}:catch`
    const need: Plan.Need = { name: "error", target: tryId, pass: "caught" }
    const run = fn<Plan.Step["run"]>(where, options, "catch")
    const made = { ...leaf(where, id, {}, anything), needs: [need], run, cacheKey: usualKey }
    return orRefuse(where, NodeOptions.step(made, {}, words))
  }

  const sequence = (...args: ReadonlyArray<unknown>) => {
    const { children, options } = childrenAnd("sequence", args, sequenceKeys)
    return { plan: orRefuse("sequence", NodeOptions.sequence(children, options)) }
  }

  const parallel = (...args: ReadonlyArray<unknown>) => {
    const { children, options } = childrenAnd("parallel", args, parallelKeys)
    return { plan: orRefuse("parallel", NodeOptions.parallel(children, options, words)) }
  }

  const branch = (options: Loose): { readonly plan: Plan.Branch } => {
    checkKeys("branch", options, branchKeys)
    const arms = [node("branch", options.then, `"then"`)]
    if (options.else !== undefined) arms.push(node("branch", options.else, `"else"`))
    const choice: Plan.Choice = { kind: "when", when: fn("branch", options, "when") }
    return { plan: { _tag: "Branch", needs: needs("branch", options), arms, choice } }
  }

  const switchOn = (options: Loose): { readonly plan: Plan.Branch } => {
    checkKeys("switch", options, switchKeys)
    const { cases: declared, otherwise } = options
    if (typeof declared !== "object" || declared === null || isNode(declared))
      return refuse("switch", `"cases" must be an object of nodes by name`)
    const cases: ReadonlyArray<readonly [string, unknown]> = Object.entries(declared)
    if (cases.length === 0) refuse("switch", `"cases" has none`)
    const arms = cases.map(([name, arm]) => node("switch", arm, `case "${name}"`))
    if (otherwise !== undefined) arms.push(node("switch", otherwise, `"otherwise"`))
    const choice: Plan.Choice = { kind: "switch", on: fn("switch", options, "on"), cases: cases.map(([name]) => name) }
    return { plan: { _tag: "Branch", needs: needs("switch", options), arms, choice } }
  }

  const loop = (options: Loose) => {
    const id = identify("loop", options?.id)
    const where = `loop "${id}"`
    checkKeys(where, options, loopKeys)
    const body = node(where, options.body, `"body"`)
    const until = fn<Plan.Loop["until"]>(where, options, "until")
    return { plan: orRefuse(where, NodeOptions.loop({ id, needs: needs(where, options), body, until }, options)) }
  }

  /** Live needs, which nothing waits for. */
  const looks = (where: string, options: Loose): ReadonlyArray<Plan.Need> =>
    needs(where, options).map((need) => ({ ...need, isLive: true }))
  const optionalFn = <F>(where: string, options: Loose, key: string): F | undefined =>
    options[key] === undefined ? undefined : fn<F>(where, options, key)

  const scope = (options: Loose) => {
    const id = identify("scope", options?.id)
    const where = `scope "${id}"`
    checkKeys(where, options, scopeKeys)
    const parts = {
      id,
      needs: looks(where, options),
      body: node(where, options.body, `"body"`),
      completeWhen: optionalFn<Plan.LiveCondition>(where, options, "completeWhen"),
      cancelWhen: optionalFn<Plan.LiveCondition>(where, options, "cancelWhen"),
    }
    return { plan: orRefuse(where, NodeOptions.scope(parts, options, words)) }
  }

  const budget = (options: Loose) => {
    const id = identify("budget", options?.id)
    const where = `budget "${id}"`
    const { id: _, body, ...limits } = options
    return { plan: orRefuse(where, NodeOptions.budget(id, [node(where, body, `"body"`)], limits)) }
  }

  const worktree = (options: Loose) => {
    const id = identify("worktree", options?.id)
    const where = `worktree "${id}"`
    checkKeys(where, options, worktreeKeys)
    return { plan: orRefuse(where, NodeOptions.worktree(id, [node(where, options.body, `"body"`)], options, words)) }
  }

  const sandbox = (options: Loose) => {
    const id = identify("sandbox", options?.id)
    const where = `sandbox "${id}"`
    checkKeys(where, options, sandboxKeys)
    return {
      plan: orRefuse(
        where,
        NodeOptions.sandbox(
          { id, name: keptId(String(options.id)) },
          [node(where, options.body, `"body"`)],
          options,
          words,
          (part) => `${workflow}_${part}`,
        ),
      ),
    }
  }

  const race = (branches: Loose, options: Loose = {}) => {
    checkKeys("race", options, raceKeys)
    if (typeof branches !== "object" || branches === null) refuse("race", "its branches must be an object of nodes by name")
    const parts = Object.entries(branches).map(([name, value]) => [name, node("race", value, `branch "${name}"`)] as const)
    const [first] = parts
    const id = boundaryId("race", options.id, first === undefined ? { _tag: "Sequence", children: [] } : first[1])
    return { plan: orRefuse(`race "${id}"`, NodeOptions.race(id, parts, options, words, needs("race", options))) }
  }

  const map = (options: Loose) => {
    const id = identify("map", options?.id)
    const where = `map "${id}"`
    checkKeys(where, options, mapKeys)
    const item: Reference = { need: { target: id, pass: "item" } }
    const body = fn<(item: Reference) => unknown>(where, options, "body")(item)
    const template = node(where, body, `what "body" gives`)
    const more: ReadonlyArray<Plan.Need> =
      options.more === undefined
        ? []
        : [{ name: Plan.moreNeed, target: node(where, options.more, `"more"`), pass: "current", isOptional: true, isLive: true }]
    const list = {
      // Needs that may be absent are live.
      needs: [...needs(where, options).map((need) => (need.isOptional === true ? { ...need, isLive: true } : need)), ...more],
      until: optionalFn<NonNullable<Plan.ForEach["until"]>>(where, options, "until"),
      source: {
        items: fn<Plan.Source["items"]>(where, options, "items"),
        key: optionalFn<NonNullable<Plan.Source["key"]>>(where, options, "key"),
        template,
        asked: { isAsked: false },
      },
    }
    return { plan: orRefuse(where, NodeOptions.forEach(id, [[anyKey, template]], list, options, words)) }
  }

  return {
    step,
    scope,
    budget,
    worktree,
    sandbox,
    race,
    map,
    approval: wait("approval", (_, { options }) => {
      if (options === undefined) return decision
      const keys = Either.getOrElse(NodeOptions.readOptions(options), () => [])
      return Codec.makeUnknown(selectionOf(keys.map(({ key }) => key)))
    }),
    human: wait("human", (where, options) => schema(where, options, "output")),
    signal,
    waitForEvent: signal,
    timer: wait("timer", () => anything),
    continueAsNew: wait("continuation", () => anything),
    subflow: wait("subflow", (_, options, id) => childCodec(id, options)),
    saga,
    tryCatch,
    maybe: (value: unknown): Reference => ({
      need: { target: node("maybe", value, "its argument"), pass: "current", isOptional: true },
    }),
    caught: (id: string): Reference => ({ need: { target: keptId(`${prefix}${id}`), pass: "caught" } }),
    sequence,
    parallel,
    branch,
    switch: switchOn,
    loop,
    previous: (id: string, output: Codec.AnySchema): Reference => ({
      need: { target: keptId(`${prefix}${id}`), pass: "previous", codec: Codec.make(output) as Codec.Codec },
    }),
    fragment: (
      name: string,
      part: ($: object, ...parameters: ReadonlyArray<unknown>) => unknown,
      ...parameters: ReadonlyArray<unknown>
    ): unknown => {
      identify("fragment", name)
      // Ids inside are escaped as a whole, so the prefix is unescaped here.
      return part(make(workflow, `${prefix}${name}.`), ...parameters)
    },
  }
}
