/**
 * Nodes made from authors' options, with every default and every rule. A front end names the node and adapts the author's
 * functions; it passes all other options on unchanged. Options may come from untyped code.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type AnyAgent, nameOf } from "./Agent.ts"
import { defaultCorrections } from "./AgentRunner.ts"
import * as Bounds from "./Bounds.ts"
import * as Budget from "./Budget.ts"
import * as Codec from "./Codec.ts"
import { saysNo } from "./Condition.ts"
import { Decision, type SelectOption } from "./Decision.ts"
import * as DeclaredError from "./DeclaredError.ts"
import type { ErrorInfo } from "./ErrorInfo.ts"
import { InvalidRequest } from "./Errors.ts"
import {
  keptId,
  type NodeId,
  partId,
  removalId,
  removedId,
  type SandboxPart,
  sandboxOfPart,
  sandboxPartId,
  timeoutId,
  worktreeOfRemoval,
} from "./Ids.ts"
import { parseHost, type StepRights } from "./Isolation.ts"
import { toJson } from "./internal/json.ts"
import * as Workplace from "./internal/workplace.ts"
import * as Worktrees from "./internal/worktree.ts"
import * as Limits from "./Limits.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"
import * as Plan from "./Plan.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as RunState from "./RunState.ts"
import {
  heldLimits,
  Patch,
  PatchConflict,
  providerNames,
  type SandboxLimits,
  type SandboxProvider,
  SandboxResult,
} from "./Sandboxes.ts"
import type { StepContext } from "./StepProgram.ts"
import { defined } from "./Struct.ts"
import * as Thrown from "./Thrown.ts"
import { Removal } from "./Worktrees.ts"

/** Options as passed by the author. */
export interface Options {
  readonly [name: string]: unknown
}

/** The terms of a front end, for error messages. */
export interface Words {
  /** A function of the author: `a function of ctx`. */
  readonly fn: string
  /** An option with a value, as authors write it: `failFast: false`. */
  readonly set: (option: string, value: string) => string
  /**
   * `true` if durations may also be given in milliseconds, as `<option>Ms`. Such a front end evaluates options itself and
   * accepts no functions for them.
   */
  readonly hasMillis: boolean
}

/** The parts of a node with an output that do not come from its options. */
export interface Leaf {
  readonly id: NodeId
  readonly needs: ReadonlyArray<Plan.Need>
  readonly codec: Codec.Codec<unknown, unknown>
  readonly table: string | undefined
  readonly skipIf: Plan.Step["skipIf"]
}

/** A problem with options, to report with the node's name. */
export type Problem = string

class Refused extends Error {}

const refuse = (problem: Problem): never => {
  throw new Refused(problem)
}

/** Runs rules that throw on a problem: a node has many, and plans of thousands of nodes are made with each frame. */
const checked = <A>(make: () => A): Either.Either<A, Problem> => {
  try {
    return Either.right(make())
  } catch (thrown) {
    if (thrown instanceof Refused) return Either.left(thrown.message)
    throw thrown
  }
}

/**
 * Makes a step. Options: `label`, `meta`, `error`, `retry`, `timeout`, `heartbeatTimeout`, `continueOnFail`, `cache`,
 * `limit`, `snapshots`, `sandbox`, `needsApproval` and `compensate`.
 */
export const step = (
  leaf: Leaf & {
    readonly run: Plan.Step["run"]
    /** The key of a `cache` without its own. */
    readonly cacheKey: Plan.Cache["key"]
    readonly agentSpec?: Plan.AgentSpec | undefined
  },
  options: Options,
  words: Words,
): Either.Either<Plan.Step, Problem> =>
  checked(() => {
    const { id, needs, codec, table, skipIf, run, cacheKey, agentSpec } = leaf
    const gate = gateOf(leaf, options, words)
    const error = errorOf(options.error)
    const limit = limitNamed(options.limit, words)
    return {
      _tag: "Step",
      id,
      ...titleOf(options),
      needs,
      codec,
      table,
      retry: retryOf(options.retry),
      ...timeoutOf(options, words),
      heartbeatTimeoutMs: span(options, "heartbeatTimeout", words),
      skipIf,
      continueOnFail: flag(options, "continueOnFail", words),
      cache: cacheOf(options.cache, cacheKey, words),
      run,
      compensate: options.compensate === undefined ? undefined : fn(options.compensate, "compensate"),
      ...defined({
        gate,
        error,
        agentSpec,
        limit,
        memory: memoryOf(leaf, options.memory, words),
        scorers: scorersOf(options.scorers, words),
        snapshots: options.snapshots === undefined ? undefined : flag(options, "snapshots", words),
        joins: joinedOf(options),
      }),
    }
  })

const isAgent = (one: unknown): one is AnyAgent =>
  typeof one === "object" && one !== null && [Thrown.get(one, "generate"), Thrown.get(one, "doGenerate")].some(isFunction)

const isFunction = (value: unknown): boolean => typeof value === "function"

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [value])

/** The agents among what is given as `agent`. */
export const agentsOf = (agent: unknown): ReadonlyArray<AnyAgent> => listOf(agent).filter(isAgent)

/** Options of steps with an agent. */
const agentOptions = ["corrections", "allowTools", "allowNetwork", "root", "readOnly", "budget"] as const

/**
 * Makes the part of a step that an agent does; `undefined` for a step without one. Options: `agent`, `corrections`, `allowTools`, `allowNetwork`, `root`,
 * `readOnly` and `budget`.
 */
export const agent = (options: Options, isText: boolean, words: Words): Either.Either<Plan.AgentSpec | undefined, Problem> =>
  checked(() => {
    const { agent } = options
    if (agent === undefined) {
      if (Object.hasOwn(options, "agent")) return refuse("its agent is undefined: check the name of the variable or property")
      const needless = agentOptions.find((option) => options[option] !== undefined)
      return needless === undefined ? undefined : refuse(`it has "${needless}" but no agent`)
    }
    const agents = agentsOf(agent)
    if (agents.length === 0 || agents.length < listOf(agent).length)
      refuse(`its agent is not an agent: it has no method "generate", and is no model`)
    if (!agents.every((one) => typeof nameOf(one) === "string")) refuse("the name of its agent must be text")
    const { corrections = defaultCorrections } = options
    if (!Number.isInteger(corrections) || Number(corrections) < 0) refuse("its corrections must be a whole number of at least 0")
    const rights = rightsOf(options, agents, words)
    const budget = options.budget === undefined ? {} : { budget: budgetOf(options.budget) }
    return { agents, isText, corrections: Number(corrections), ...(Object.keys(rights).length === 0 ? {} : { rights }), ...budget }
  })

const budgetOf = (value: unknown): Budget.Budget => Either.getOrElse(Budget.read(value), (problem) => refuse(`"budget" ${problem}`))

/** Reads the option `sandbox` of a node: the id of a sandbox around it, or `false`. */
const joinedOf = ({ sandbox }: Options): Plan.Joined | undefined =>
  sandbox === undefined || sandbox === false
    ? sandbox
    : typeof sandbox === "string" && sandbox !== ""
      ? keptId(sandbox)
      : refuse(`"sandbox" must be the id of a sandbox around it, or false, and is ${Thrown.show(sandbox)}`)

/** Makes a region whose nodes run one after another. Option: `sandbox`. */
export const sequence = (children: ReadonlyArray<Plan.Node>, options: Options): Either.Either<Plan.Sequence, Problem> =>
  checked(() => joining(children, options))

const joining = (children: ReadonlyArray<Plan.Node>, options: Options): Plan.Sequence => ({
  _tag: "Sequence",
  children,
  ...defined({ joins: joinedOf(options) }),
})

/** Reads the option `snapshots` of a workflow. */
export const snapshots = (options: Options, words: Words): Either.Either<boolean | undefined, Problem> =>
  checked(() => (options.snapshots === undefined ? undefined : flag(options, "snapshots", words)))

/** Makes a region with a budget. Options: those of a budget. The id is `""` for the whole run. */
export const budget = (id: string, children: ReadonlyArray<Plan.Node>, value: unknown): Either.Either<Plan.Sequence, Problem> =>
  Either.map(Budget.read(value), (budget) => ({ _tag: "Sequence", children, budget: { id, ...budget } }))

/** The names of the options of a worktree. */
export const worktreeOptions = ["path", "branch", "base", "onEnd"] as const

/**
 * Makes a region whose steps work in a worktree. Options: `path`, `branch`, `base` and `onEnd`. With `onEnd: "remove"` a step behind it, which has no table, removes
 * the worktree however the region ends.
 */
export const worktree = (
  id: NodeId,
  children: ReadonlyArray<Plan.Node>,
  options: Options,
  words: Words,
): Either.Either<Plan.Sequence | Plan.TryCatch, Problem> =>
  checked(() => {
    const worktree: Plan.Worktree = {
      _tag: "Worktree",
      id,
      path: pathOf(options.path),
      branch: refOf(options, "branch"),
      base: refOf(options, "base"),
    }
    const region: Plan.Sequence = { _tag: "Sequence", children, place: worktree }
    if (oneOf(options, "onEnd", ["keep", "remove"]) === "keep") return region
    const leaf = { id: removalId(id), needs: [], codec: removalCodec, table: undefined, skipIf: undefined }
    // In items of a list, the ids have a prefix.
    const run = ({ stepId, runId }: StepContext<unknown>) => Worktrees.remove({ ...worktree, id: worktreeOfRemoval(stepId) }, runId)
    const removing = Either.getOrElse(step({ ...leaf, run, cacheKey: () => null }, {}, words), refuse)
    return { _tag: "TryCatch", id: removedId(id), try: region, catch: undefined, finally: removing }
  })

/** It has no table, and no value any more once a run is resumed. */
const removalCodec = Codec.makeUnknown(Schema.UndefinedOr(Removal))

/** The names of the options of a sandbox. */
export const sandboxOptions = ["provider", "allowNetwork", "include", "limits", "review", "approvers", "default"] as const

/**
 * Makes a region whose steps work in a sandbox. Options: `provider`, `allowNetwork`, `include`, `limits`, `review`, `approvers` and `default`. Steps of its own open it before the
 * region, take its patch behind it, have that reviewed, apply it, and close the sandbox. Its value is a `SandboxResult`. `tableOf` names the tables of these steps, `name` is
 * the id as it is written, and `resultAs` encodes the value.
 */
export const sandbox = (
  { id, name }: Pick<Plan.Sandbox, "id" | "name">,
  children: ReadonlyArray<Plan.Node>,
  options: Options,
  words: Words,
  tableOf: (id: NodeId) => string,
  resultAs: Codec.Codec<unknown, unknown> = resultCodec,
): Either.Either<Plan.TryCatch, Problem> =>
  checked(() => {
    const { review = "approve" } = options
    if (review !== "approve" && review !== "auto" && typeof review !== "function")
      return refuse(`"review" must be "approve", "auto", or a function of the patch`)
    if (options.approvers !== undefined && review !== "approve")
      return refuse(`it has "approvers", and "review" asks nobody: leave "review" out`)
    if (resultAs !== resultCodec) checkHolds(resultAs)
    const place: Plan.Sandbox = {
      _tag: "Sandbox",
      id,
      name,
      provider: providerOf(options.provider),
      allowNetwork: hostsOf(options),
      include: includedOf(options),
      limits: sandboxLimitsOf(options.limits),
      isDefault: options.default === undefined || flag(options, "default", words),
    }
    const part = <Context>(
      of: SandboxPart,
      codec: Codec.Codec<unknown, unknown>,
      needs: ReadonlyArray<Plan.Need>,
      act: (sandbox: Workplace.Place, context: StepContext<unknown> & Context, state: RunState.RunState) => unknown,
      more: Options = {},
    ): Plan.Step => {
      const leaf = { id: sandboxPartId(id, of), needs, codec, table: tableOf(sandboxPartId(id, of)), skipIf: undefined }
      // In items of a list, the ids have a prefix.
      const run = (context: StepContext<unknown> & Context, state: RunState.RunState) =>
        act(
          { sandbox: { ...place, id: sandboxOfPart(context.stepId) }, runId: context.runId, root: Workplace.rootIn(context) },
          context,
          state,
        )
      return Either.getOrElse(step({ ...leaf, run, cacheKey: () => null }, more, words), refuse)
    }
    const opening = part<object>("open", madeCodec, [], (place) =>
      Effect.map(Workplace.openSandbox(place), ({ made, directory }) => ({ made, directory })),
    )
    const patching = part<{ readonly opened: typeof Made.Type }>(
      "patch",
      patchCodec,
      [{ name: "opened", target: opening, pass: "current" }],
      (place, { opened }) => Workplace.patch(place, opened.made),
    )
    const ofPatch: Plan.Need = { name: "patch", target: patching, pass: "current" }
    const reviewing =
      review === "approve"
        ? reviewBy(id, tableOf(sandboxPartId(id, "review")), ofPatch, approversOf(options, words), words)
        : typeof review === "function"
          ? part<{ readonly patch: Patch }>("review", acceptedCodec, [ofPatch], (_, { patch }) =>
              patch.changes.length === 0 ? false : fn<(patch: Patch) => unknown>(review, "review")(patch),
            )
          : undefined
    const applying = part<{ readonly patch: Patch; readonly review?: boolean | Decision | undefined }>(
      "apply",
      resultAs,
      [
        ofPatch,
        ...(reviewing === undefined ? [] : [{ name: "review", target: reviewing, pass: "current", isOptional: true } as const]),
      ],
      (place, { patch, review: decided }) => {
        const { changes, left, diff, log, usage } = patch
        const result = (status: SandboxResult["status"]): SandboxResult => ({
          ...{ status, left, diff, log, usage },
          files: changes.map(({ path }) => path),
        })
        if (changes.length === 0) return result("unchanged")
        const isAccepted = typeof decided === "object" ? decided.approved : decided === true
        if (reviewing !== undefined && !isAccepted) return result("rejected")
        return Effect.as(Workplace.apply(place, patch), result("applied"))
      },
      { error: PatchConflict },
    )
    // After a failure or a cancellation of the run its files are kept, so that a retry goes on with them.
    const closing = part<{ readonly result?: SandboxResult | undefined }>(
      "close",
      closedCodec,
      [{ name: "result", target: applying, pass: "current", isOptional: true }],
      (place, { result }, state) =>
        result === undefined && mayGoOn(state) ? { isClosed: false } : Effect.as(Workplace.close(place), { isClosed: true }),
    )
    const region: Plan.Sequence = { _tag: "Sequence", children, place }
    const body: Plan.Sequence = {
      _tag: "Sequence",
      children: [opening, region, patching, ...(reviewing === undefined ? [] : [reviewing]), applying],
    }
    return { _tag: "TryCatch", id: sandboxPartId(id, "sandbox"), try: body, catch: undefined, finally: closing }
  })

/** Codecs that hold every outcome of a sandbox. */
const holding = new WeakSet<object>()

/** Rejects an output that cannot hold the outcome of a sandbox, which would otherwise fail after its patch was applied. Asynchronous schemas are not checked. */
const checkHolds = (codec: Codec.Codec<unknown, unknown>): void => {
  if (holding.has(codec)) return
  for (const status of SandboxResult.fields.status.literals) {
    const usage = { commands: 1, commandMs: 1, changedBytes: 1 }
    const log = [{ command: "true", exitCode: 0, durationMs: 1, tail: "" }]
    const sample: SandboxResult = { status, files: ["a"], left: [], diff: "", log, usage }
    const taken = codec.encode(sample)
    if (!Either.isEither(taken) || Either.isRight(taken)) continue
    const issues = taken.left as ReadonlyArray<string>
    refuse(
      `its output cannot hold the outcome, which is { status: "applied" | "rejected" | "unchanged", files: string[], left, diff: string, log, usage }; it rejects ${JSON.stringify(sample)}: ${issues.join("; ")}`,
    )
  }
  holding.add(codec)
}

/** Tells whether a retry or a resume may come back to what was left without an end. */
const mayGoOn = (state: RunState.RunState): boolean =>
  state.cancel !== undefined || RunState.records(state).some(({ status }) => status === "failed")

/** The directory is for `smithers db prune`, which finds by it what a run has left below any root. */
const Made = Schema.Struct({ made: Schema.String, directory: Schema.optional(Schema.String) })
const madeCodec = Codec.makeUnknown(Made)
const patchCodec = Codec.makeUnknown(Patch)
const acceptedCodec = Codec.makeUnknown(Schema.Boolean)
const resultCodec = Codec.makeUnknown(SandboxResult)
const closedCodec = Codec.makeUnknown(Schema.Struct({ isClosed: Schema.Boolean }))
const decisionCodec = Codec.makeUnknown(Decision)

/** Asks people for their decision on a patch. Denied, or with nothing to decide, the run goes on. */
const reviewBy = (
  id: NodeId,
  table: string,
  patch: Plan.Need,
  approvers: ReadonlyArray<string> | Plan.Computation | undefined,
  words: Words,
): Plan.Wait => {
  const leaf: Leaf = {
    id: sandboxPartId(id, "review"),
    needs: [patch],
    codec: decisionCodec,
    table,
    skipIf: ({ patch }) => (patch as Patch).changes.length === 0,
  }
  const request = ({ patch }: Plan.PredicateContext) => {
    const { changes, diff } = patch as Patch
    return {
      title: `Apply the work of sandbox "${id}"? It changes ${changes.length} file${changes.length === 1 ? "" : "s"}.`,
      summary: diff,
    }
  }
  const made = Either.getOrElse(wait("approval", leaf, { request, onDeny: "continue" }, words), refuse)
  return made.target.kind === "approval" ? { ...made, target: { ...made.target, approvers } } : made
}

const providerOf = (value: unknown): Plan.Sandbox["provider"] => {
  if (value === undefined) return "local"
  const known = providerNames.find((name) => name === value)
  if (known !== undefined) return known
  const isProvider =
    isObject(value) && typeof value.name === "string" && ["open", "patch", "close"].every((part) => isFunction(value[part]))
  if (!isProvider)
    return refuse(`"provider" must be ${providerNames.map((name) => JSON.stringify(name)).join(" or ")}, or a SandboxProvider`)
  // Its functions are called as it declares them; what they give is checked where it is used.
  return value as unknown as SandboxProvider
}

const includedOf = (options: Options): ReadonlyArray<string> | undefined => {
  const include = textsOf(options, "include", "paths from the root")
  const stray = include?.find((path) => path.startsWith("/") || path.includes("\0") || leaves(path))
  return stray === undefined ? include : refuse(`"include" ${JSON.stringify(stray)} leads outside the root of the runtime`)
}

const sandboxLimitsOf = (value: unknown): SandboxLimits | undefined => {
  if (value === undefined) return undefined
  if (!isObject(value)) return refuse(`"limits" must be an object`)
  checkNames("limits", value, [...heldLimits, "cpus"])
  const { timeout, cpuTime, cpus, ...counts } = value
  for (const [name, count] of Object.entries(counts)) if (count !== undefined) countOf(`limits.${name}`, count)
  if (cpus !== undefined && !(typeof cpus === "number" && cpus > 0 && cpus < Infinity))
    return refuse(`"limits.cpus" must be a number greater than 0, and is ${Thrown.show(cpus)}`)
  const timeOf = (name: string, time: unknown) => (time === undefined ? undefined : durationOf(`"limits.${name}"`, time))
  return { ...counts, ...defined({ timeout: timeOf("timeout", timeout), cpuTime: timeOf("cpuTime", cpuTime), cpus }) }
}

const pathOf = (path: unknown): string | undefined =>
  path === undefined || (typeof path === "string" && path !== "" && !path.includes("\0"))
    ? path
    : refuse(`"path" must be the path of a directory, from the root of the runtime`)

/** The name of a branch, or of a commit. Git itself knows the rest of its rules. */
const refOf = (options: Options, option: "branch" | "base"): string | undefined => {
  const value = options[option]
  if (value === undefined) return undefined
  if (typeof value !== "string" || value === "" || value.startsWith("-") || /[\0-\x20\x7f]/.test(value))
    return refuse(
      `"${option}" must be the name of a branch${option === "base" ? ", a tag or a commit" : ""}, and is ${Thrown.show(value)}`,
    )
  return value
}

const textsOf = (options: Options, option: string, what: string): ReadonlyArray<string> | undefined => {
  const value = options[option]
  if (value === undefined) return undefined
  if (!Array.isArray(value)) return refuse(`"${option}" must be an array of ${what}`)
  const texts: Array<string> = []
  for (const one of value) {
    if (typeof one !== "string" || one === "") return refuse(`"${option}" must be an array of ${what}`)
    if (texts.includes(one)) refuse(`"${option}" lists ${JSON.stringify(one)} twice`)
    texts.push(one)
  }
  return texts
}

/** The names of the tools of an agent. `undefined` for an agent that does not show them. */
const toolNamesOf = (agent: AnyAgent): ReadonlyArray<string> | undefined => {
  const tools = Thrown.get(agent, "tools")
  return isObject(tools) ? Object.keys(tools) : undefined
}

const rightsOf = (options: Options, agents: ReadonlyArray<AnyAgent>, words: Words): StepRights => {
  const allowTools = textsOf(options, "allowTools", "names of tools")
  if (allowTools !== undefined) {
    const known = agents.map(toolNamesOf)
    const names = known.flatMap((tools) => tools ?? [])
    const stray = known.includes(undefined) ? undefined : allowTools.find((tool) => !names.includes(tool))
    if (stray !== undefined) {
      const there = names.length === 0 ? "has no tools" : `has ${[...new Set(names)].join(", ")}`
      refuse(`"allowTools" lists ${JSON.stringify(stray)}, which no agent of it has: it ${there}`)
    }
  }
  const allowNetwork = hostsOf(options)
  const { root } = options
  if (root !== undefined && (typeof root !== "string" || root === "" || root.includes("\0")))
    return refuse(`"root" must be the path of a directory, from the root of the runtime`)
  if (root !== undefined && leaves(root)) return refuse(`"root" ${JSON.stringify(root)} leads outside the root of the runtime`)
  const isReadOnly = flag(options, "readOnly", words) ? true : undefined
  return defined({ allowTools, allowNetwork, root, isReadOnly })
}

/** The hosts that commands reach. */
const hostsOf = (options: Options): ReadonlyArray<string> | undefined => {
  const allowNetwork = textsOf(options, "allowNetwork", 'hosts such as "api.github.com"')
  for (const host of allowNetwork ?? [])
    Either.getOrElse(parseHost(host), (problem) => refuse(`"allowNetwork" ${JSON.stringify(host)} ${problem}`))
  return allowNetwork
}

/** `true` for a relative path that leads above where it begins. */
const leaves = (path: string): boolean => {
  if (path.startsWith("/")) return false
  let depth = 0
  for (const name of path.split("/")) {
    if (name === "..") depth--
    else if (name !== "" && name !== ".") depth++
    if (depth < 0) return true
  }
  return false
}

/** Makes a wait. Options of all kinds: `label`, `meta`, `timeout`, `deadline` and `onTimeout`; others depend on the kind. */
export const wait = (
  kind: Plan.WaitTarget["kind"],
  leaf: Leaf,
  options: Options,
  words: Words,
): Either.Either<Plan.Wait, Problem> =>
  checked(() => {
    const { id, needs, codec, table, skipIf } = leaf
    const isTimer = kind === "timer" || kind === "continuation"
    const target = targetOf(kind, options, words, id)
    const isChild = target.kind === "subflow" && target.isAttached
    const error = isChild && target.child.errorOf ? DeclaredError.makeOfChild(target.child.errorOf) : undefined
    return {
      _tag: "Wait",
      id,
      ...titleOf(options),
      needs,
      codec: isTimer ? voidCodec : codec,
      table: isTimer ? undefined : table,
      skipIf,
      target,
      ...(isTimer ? { timeoutMs: undefined } : limitOf(options, words)),
      onTimeout: isTimer ? "continue" : oneOf(options, "onTimeout", kind === "approval" ? lateDecisions : lateWaits),
      ...defined({ error, joins: joinedOf(options) }),
    }
  })

/**
 * Makes a loop. Options: `maxIterations` and `onMaxReached`. Reaching the default limit, where there is one, fails the run, since no
 * author chose it.
 */
export const loop = (
  parts: Pick<Plan.Loop, "id" | "needs" | "body" | "until">,
  options: Options,
  hasDefault = false,
): Either.Either<Plan.Loop, Problem> =>
  checked(() => {
    const { maxIterations } = options
    const isDefaultLimit = maxIterations === undefined
    const onMaxReached = oneOf(options, "onMaxReached", ["return-last", "fail"])
    if (isDefaultLimit && !hasDefault)
      return refuse(`"maxIterations" is missing: a whole number of at least 1, or Infinity for no limit`)
    return {
      _tag: "Loop",
      ...parts,
      maxIterations: isDefaultLimit ? Bounds.limitOf("passes") : countOf("maxIterations", maxIterations),
      ...(isDefaultLimit ? { isDefaultLimit } : {}),
      onMaxReached: isDefaultLimit && options.onMaxReached === undefined ? "fail" : onMaxReached,
    }
  })

/** Makes a scope. Options: `label`, `timeout` and `onTimeout`. */
export const scope = (
  parts: Pick<Plan.Scope, "id" | "needs" | "body" | "completeWhen" | "cancelWhen">,
  options: Options,
  words: Words,
): Either.Either<Plan.Scope, Problem> => checked(() => scopeOf(parts, options, words))

/** The time of a scope, as the timer says it that it is left by. */
const timeOf = (options: Options, words: Words): Extract<Plan.WaitTarget, { readonly kind: "timer" }> | undefined => {
  const { timeoutMs, computeTimeout } = timeoutOf(options, words)
  if (computeTimeout !== undefined) return { kind: "timer", isTimeout: true, due: computeTimeout, isSpan: true }
  return timeoutMs === undefined ? undefined : { kind: "timer", isTimeout: true, due: timeoutMs }
}

/** Makes a scope. `timeNeeds` is what a function is given that says its time. */
const scopeOf = (
  parts: Pick<Plan.Scope, "id" | "needs" | "body" | "completeWhen" | "cancelWhen">,
  options: Options,
  words: Words,
  timeNeeds: ReadonlyArray<Plan.Need> = parts.needs,
): Plan.Scope => {
  const time = timeOf(options, words)
  const timeout: Plan.Wait | undefined =
    time === undefined
      ? undefined
      : {
          _tag: "Wait",
          id: timeoutId(parts.id),
          label: undefined,
          meta: undefined,
          needs: typeof time.due === "function" ? timeNeeds : [],
          codec: voidCodec,
          table: undefined,
          skipIf: undefined,
          target: time,
          timeoutMs: undefined,
          onTimeout: "continue",
        }
  const { label } = titleOf(options)
  const onTimeout = oneOf(options, "onTimeout", lateWaits)
  if (timeout === undefined && options.onTimeout !== undefined) refuse(`it has "onTimeout" and no "timeout"`)
  return { _tag: "Scope", label, ...parts, timeout, onTimeout }
}

/** The scope of a branch of a race or an item of a list. With `isCatching` failures end there. */
const part = (around: NodeId, key: string, body: Plan.Node, isCatching: boolean): Plan.Scope => ({
  _tag: "Scope",
  id: partId(around, key),
  label: undefined,
  needs: [],
  body,
  completeWhen: undefined,
  cancelWhen: undefined,
  timeout: undefined,
  onTimeout: "fail",
  part: { key, isCatching },
})

/** Branches or items by key. */
export type Parts = ReadonlyArray<readonly [key: string, body: Plan.Node]>

/**
 * Makes a race in its scope. Options: `label`, `timeout`, `onTimeout`, `count`, `rest` and `onFailure`. With `count` its value
 * is a list.
 */
export const race = (
  id: NodeId,
  branches: Parts,
  options: Options,
  words: Words,
  needs: ReadonlyArray<Plan.Need> = [],
): Either.Either<Plan.Scope, Problem> =>
  checked(() => {
    const { count = 1 } = options
    const isCatching = oneOf(options, "onFailure", ["fail", "ignore"]) === "ignore"
    const rest = oneOf(options, "rest", rests)
    if (branches.length === 0) refuse("it has no branches")
    const wanted = countOf("count", count)
    if (wanted > branches.length) refuse(`"count" is ${wanted}, and it has ${branches.length} branches`)
    const children = branches.map(([key, body]) => part(id, key, body, isCatching))
    const body: Plan.Race = { _tag: "Race", children, count: wanted, isList: options.count !== undefined, rest }
    if (needs.length > 0 && typeof options.timeout !== "function")
      refuse(`it has "needs", which only a "timeout" that is a function is given`)
    return scopeOf({ id, needs: [], body, completeWhen: undefined, cancelWhen: undefined }, options, words, needs)
  })

/** Makes a list in its scope. Options: `label`, `maxConcurrency`, `rest`, `settled`, `timeout` and `onTimeout`. */
export const forEach = (
  id: NodeId,
  items: Parts,
  list: Pick<Plan.ForEach, "needs" | "until" | "pending" | "source" | "isOpen">,
  options: Options,
  words: Words,
): Either.Either<Plan.Scope, Problem> =>
  checked(() => {
    const isSettled = flag(options, "settled", words)
    // 0, the length of an empty list, is no limit.
    const value = options.maxConcurrency
    const maxConcurrency = value === undefined || value === 0 ? undefined : countOf("maxConcurrency", value)
    const maxItems = options.maxItems === undefined ? Bounds.limitOf("items") : countOf("maxItems", options.maxItems)
    // As for a list whose items are computed: none begins, and the list fails with a reason that is stored.
    const excess = items.length > maxItems ? { excess: items.length } : {}
    const children = items.length > maxItems ? [] : items.map(([key, body]) => part(id, key, body, isSettled))
    const body: Plan.ForEach = {
      _tag: "ForEach",
      children,
      maxConcurrency,
      rest: oneOf(options, "rest", rests),
      isSettled,
      maxItems,
      ...excess,
      ...list,
    }
    const timeNeeds = list.needs.filter(({ name }) => name !== Plan.moreNeed)
    return scopeOf({ id, needs: [], body, completeWhen: undefined, cancelWhen: undefined }, options, words, timeNeeds)
  })

const rests = ["cancel", "keep"] as const

/** Makes a saga. Option: `onCompensated`. */
export const saga = (parts: Pick<Plan.Saga, "id" | "body">, options: Options): Either.Either<Plan.Saga, Problem> =>
  checked(() => ({ _tag: "Saga", ...parts, onCompensated: oneOf(options, "onCompensated", ["fail", "continue"]) }))

/**
 * Makes a try. Options: `catch` and `finally`, at least one, whose form the front end defines. `filter` names the option that
 * selects failures.
 */
export const tryCatch = (
  parts: Pick<Plan.TryCatch, "id" | "try" | "catch" | "finally">,
  options: Options,
  filter: "when" | "catchWhen",
): Either.Either<Plan.TryCatch, Problem> =>
  checked(() => {
    const problem = handlersProblem(options)
    if (problem !== undefined) return refuse(problem)
    const value = options[filter]
    if (value === undefined) return { _tag: "TryCatch", ...parts }
    if (options.catch === undefined) return refuse(`"${filter}" says what is caught, and it has no "catch"`)
    return { _tag: "TryCatch", ...parts, catchWhen: fn(value, filter) }
  })

/** The problem of a try without handlers. */
export const handlersProblem = (options: Options): Problem | undefined =>
  options.catch === undefined && options.finally === undefined ? `it has neither "catch" nor "finally"` : undefined

/** Makes parallel children. Options: `failFast`, and `maxConcurrency`, which the plan's layout validates. */
export const parallel = (
  children: ReadonlyArray<Plan.Node>,
  options: Options,
  words: Words,
): Either.Either<Plan.Parallel | Plan.Sequence, Problem> =>
  checked(() => {
    const { maxConcurrency } = options
    const most = options.maxItems === undefined ? Bounds.limitOf("branches") : countOf("maxItems", options.maxItems)
    if (children.length > most)
      refuse(`it has ${children.length} children, and may have ${most}: raise its "maxItems", or make fewer`)
    // 0, the length of an empty list, is no limit.
    const limit = maxConcurrency === 0 ? undefined : (maxConcurrency as number | undefined)
    const failFast = flag(options, "failFast", words)
    const made: Plan.Parallel = { _tag: "Parallel", children, maxConcurrency: limit, failFast }
    return options.sandbox === undefined ? made : joining([made], options)
  })

/** Reads the deadline of a workflow. */
export const deadline = (options: Options): Either.Either<Millis.Millis | undefined, Problem> =>
  checked(() => (options.deadline === undefined ? undefined : durationOf(`"deadline"`, options.deadline)))

/** The problem of a limit that is no integer of at least 1, nor `Infinity`. */
export const countProblem = (option: string, value: unknown): Problem | undefined =>
  value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && Number(value) >= 1)
    ? undefined
    : `"${option}" must be a whole number of at least 1, or Infinity, and not ${typeof value === "string" ? JSON.stringify(value) : String(value)}`

const countOf = (option: string, value: unknown): number => {
  const problem = countProblem(option, value)
  return problem === undefined ? Number(value) : refuse(problem)
}

/** Reads a boolean option. Default: false. */
export const isSet = (options: Options, option: string, words: Words): Either.Either<boolean, Problem> =>
  checked(() => flag(options, option, words))

const flag = (options: Options, option: string, words: Words): boolean => {
  const value = options[option]
  if (value === undefined || typeof value === "boolean") return value === true
  const instead = saysNo(value) ? "false" : "true"
  const hint = typeof value === "string" ? `, and not the text ${JSON.stringify(value)}: write ${words.set(option, instead)}` : ""
  return refuse(`"${option}" must be true or false${hint}`)
}

/** Reads an option of several words. Default: the first. */
const oneOf = <A extends string>(options: Options, option: string, all: readonly [A, ...ReadonlyArray<A>], within = ""): A => {
  const value = options[option]
  const chosen = value === undefined ? all[0] : all.find((word) => word === value)
  if (chosen !== undefined) return chosen
  const [last, ...others] = all.map((word) => `"${word}"`).toReversed()
  return refuse(`"${within}${option}" must be ${others.length === 0 ? last : `${others.toReversed().join(", ")} or ${last}`}`)
}

/** Reads a duration under `option` or, if the front end has it, milliseconds. `within` names the option around the two. */
const span = (options: Options, option: string, words: Words, within = ""): Millis.Millis | undefined => {
  const [named, namedMs] = [`"${within}${option}"`, `"${within}${option}Ms"`]
  const { [option]: duration, [`${option}Ms`]: ms } = words.hasMillis ? options : { [option]: options[option] }
  if (duration !== undefined && ms !== undefined) refuse(`it has ${named} and ${namedMs}, which say the same: give one of them`)
  if (duration !== undefined) return durationOf(named, duration)
  if (ms === undefined) return undefined
  return Either.getOrElse(Millis.positiveDuration(typeof ms === "number" ? ms : undefined), ({ problem }) => {
    const longest = problem === "is longer than 8.64e15 ms" ? ", and at most 8.64e15" : ""
    const instead = typeof ms === "number" || Either.isLeft(Millis.positiveDuration(ms)) ? "" : `; a duration is given as ${named}`
    return refuse(`${namedMs} must be milliseconds, more than 0${longest}${instead}`)
  })
}

/** Reads a duration under `timeout`, or a function that returns it if the front end accepts functions. */
const timeoutOf = (options: Options, words: Words, within = ""): Pick<Plan.Wait, "timeoutMs" | "computeTimeout"> =>
  typeof options.timeout === "function" && !words.hasMillis
    ? { timeoutMs: undefined, computeTimeout: fn(options.timeout, "timeout") }
    : { timeoutMs: span(options, "timeout", words, within) }

/** Reads the timeout or deadline of a wait. */
const limitOf = (options: Options, words: Words, within = ""): Pick<Plan.Wait, "timeoutMs" | "computeTimeout" | "deadline"> => {
  const timeout = timeoutOf(options, words, within)
  const { deadline } = options
  if (deadline === undefined) return timeout
  if (timeout.timeoutMs !== undefined || timeout.computeTimeout !== undefined)
    return refuse(`it has "${within}timeout" and "${within}deadline", each of which says how long it waits: give one of them`)
  if (typeof deadline === "function" && !words.hasMillis) return { ...timeout, deadline: fn(deadline, "deadline") }
  const at = Millis.instant(deadline)
  if (Either.isLeft(at)) {
    const kinds = words.hasMillis ? "a Date or epoch milliseconds" : `a Date, epoch milliseconds, or ${words.fn}`
    return refuse(`"${within}deadline" must be ${kinds}`)
  }
  return { ...timeout, deadline: at.right }
}

const durationOf = (named: string, value: unknown): Millis.Millis =>
  Either.getOrElse(Millis.positiveDuration(value), ({ received, problem }) => {
    const example = problem === "is not a duration" ? ` such as "30s" or "2 minutes"` : ""
    return refuse(`${named} ${received} ${problem}${example}`)
  })

/** Checks a function. The front end has adapted the author's. */
const fn = <F>(value: unknown, option: string): F =>
  typeof value === "function" ? (value as F) : refuse(`"${option}" must be a function`)

/** Turns a value into a function that returns it. */
const giving = (value: unknown): ((context: Plan.PredicateContext) => unknown) =>
  typeof value === "function" ? fn(value, "") : () => value

/** The codec of the errors that a step declares. */
const errorOf = (value: unknown): DeclaredError.ErrorCodec | undefined => {
  if (value === undefined) return undefined
  if (!Schema.isSchema(value)) return refuse(`"error" must be an Effect Schema`)
  // Services that the schema needs, which its type forbids, are missing at its first use.
  const schema = value as DeclaredError.ErrorSchema
  const { unstorable } = Codec.make(schema)
  return unstorable === undefined ? DeclaredError.make(schema) : refuse(`"error": ${unstorable}`)
}

const titleOf = ({ label, meta }: Options): Pick<Plan.Step, "label" | "meta"> => ({
  label: label === undefined || typeof label === "string" ? label : refuse(`"label" must be text`),
  meta: metaOf(meta),
})

/** Copies a node's `meta`. */
const metaOf = (declared: unknown): Plan.Step["meta"] => {
  if (declared === undefined) return undefined
  const copied = toJson(declared)
  if (Either.isLeft(copied)) return refuse(`"meta" must be JSON: ${copied.left.path} ${copied.left.problem}`)
  const json = copied.right
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json)
  return isObject ? (json as Plan.Step["meta"]) : refuse(`"meta" must be an object`)
}

const checkNames = (option: string, value: object, names: ReadonlyArray<string>): void => {
  const unknown = Names.problemOf(value, names)
  if (unknown !== undefined) refuse(`"${option}" ${unknown}`)
}

const isObject = (value: unknown): value is Options =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !("then" in value)

const policies = new Map<string, RetryPolicy.RetryPolicy>()

const retryOf = (declared: unknown): RetryPolicy.RetryPolicy<unknown> => {
  if (declared === undefined) return RetryPolicy.standard
  if (declared === false) return RetryPolicy.none
  if (Schedule.isSchedule(declared)) return RetryPolicy.fromSchedule(declared as Schedule.Schedule<unknown, ErrorInfo, unknown>)
  if (!isObject(declared)) return refuse(`"retry" must be an object, a Schedule or false`)
  const key = Object.entries(declared)
    .map(([name, value]) => `${name}: ${typeof value} ${String(value)}`)
    .join()
  // Two functions may have the same text and differ.
  const known = declared.while === undefined ? policies.get(key) : undefined
  if (known !== undefined) return known
  const policy = Either.getOrElse(RetryPolicy.fromOptions(declared as RetryPolicy.RetryOptions), refuse)
  if (declared.while === undefined) policies.set(key, policy)
  return policy
}

const cacheScopes: ReadonlyArray<Plan.CacheScope> = ["run", "workflow", "store"]

const cacheOf = (declared: unknown, usual: Plan.Cache["key"], words: Words): Plan.Cache | undefined => {
  if (declared === undefined || declared === false) return undefined
  if (declared === true) return { key: usual, isOwnKey: false, ttlMs: undefined, scope: "workflow", version: undefined }
  if (!isObject(declared)) return refuse(`"cache" must be true or an object`)
  checkNames("cache", declared, ["key", "ttl", "scope", "version"])
  const { key, scope = "workflow", version } = declared
  if (version !== undefined && typeof version !== "string") return refuse(`"cache.version" must be text`)
  return {
    key: key === undefined ? usual : fn(key, "cache.key"),
    isOwnKey: key !== undefined,
    ttlMs: span(declared, "ttl", { ...words, hasMillis: false }, "cache."),
    scope:
      cacheScopes.find((one) => one === scope) ??
      refuse(`"cache.scope" must be ${cacheScopes.map((one) => JSON.stringify(one)).join(", ")}`),
    version,
  }
}

/** Reads the limit that a step names. */
const limitNamed = (declared: unknown, words: Words): Plan.Step["limit"] => {
  if (declared === undefined) return undefined
  if (typeof declared === "function") return fn(declared, "limit")
  return Either.getOrElse(Limits.queueOf(declared), (problem) => refuse(`"limit" ${problem}, or ${words.fn} that returns it`))
}

/** Longest time of a scorer, if none is given. */
const defaultScoreTime = Millis.make(Bounds.limitOf("score"))

/** Makes the scorers of a step. */
const scorersOf = (declared: unknown, words: Words): Plan.Step["scorers"] => {
  if (declared === undefined || declared === null) return undefined
  if (!isObject(declared)) return refuse(`"scorers" must be an object of scorers by name`)
  const made = Object.entries(declared).map(([name, value]): readonly [string, Plan.Scorer] => {
    const of = `scorers.${name}`
    if (name.trim() === "" || name.length > 256) refuse(`the name of a scorer must be text of 1 to 256 characters`)
    if (typeof value === "function") return [name, { ...usualScorer, score: fn(value, of) }]
    if (!isObject(value)) return refuse(`"${of}" must be a function, or an object with a "score"`)
    checkNames(of, value, ["score", "instructions", "sampling", "timeout"])
    const { score, instructions, sampling = 1 } = value
    if (typeof sampling !== "number" || !(sampling >= 0 && sampling <= 1))
      return refuse(`"${of}.sampling" must be a number from 0 to 1: the share of outputs that are scored`)
    const criterion = criterionOf(instructions, `${of}.instructions`)
    const timeoutMs = span(value, "timeout", { ...words, hasMillis: false }, `${of}.`) ?? defaultScoreTime
    if (typeof score === "function")
      return [name, { score: fn(score, `${of}.score`), instructions: criterion, sampling, timeoutMs }]
    if (!isAgent(score)) return refuse(`"${of}.score" must be a function, or an agent that judges`)
    return [name, { score, instructions: criterion, sampling, timeoutMs }]
  })
  return made.length === 0 ? undefined : Object.fromEntries(made)
}

const criterionOf = (value: unknown, of: string): Plan.Scorer["instructions"] => {
  if (value === undefined || (typeof value === "string" && value.trim() !== "")) return value
  return typeof value === "function" ? fn(value, of) : refuse(`"${of}" must be text, or a function that returns it`)
}

const usualScorer = { instructions: undefined, sampling: 1, timeoutMs: defaultScoreTime }

const textOrFn = (value: unknown, option: string): Plan.GivenText | undefined => {
  if (value === undefined || (typeof value === "string" && value.trim() !== "")) return value
  return typeof value === "function" ? fn(value, option) : refuse(`"${option}" must be text, or a function that returns it`)
}

/** Makes the memory of a step. */
const memoryOf = (
  { id, agentSpec }: Leaf & { readonly agentSpec?: Plan.AgentSpec | undefined },
  declared: unknown,
  words: Words,
): Plan.StepMemory | undefined => {
  if (declared === undefined || declared === null || declared === false) return undefined
  if (!isObject(declared)) return refuse(`"memory" must be an object`)
  checkNames("memory", declared, ["namespace", "recall", "remember"])
  const recall = recallOf(declared.recall)
  const remember = rememberOf(id, declared.remember, words)
  if (recall !== undefined && agentSpec === undefined)
    return refuse(`it has "memory.recall" and no agent: facts are added to a prompt. Read them in code with Smithers.facts`)
  return { namespace: textOrFn(declared.namespace, "memory.namespace"), ...defined({ recall, remember }) }
}

/** Most facts that a step recalls. */
const defaultRecall = 10

const recallOf = (declared: unknown): Plan.StepMemory["recall"] => {
  if (declared === undefined || declared === false) return undefined
  if (declared === true) return { namespace: undefined, keys: undefined, query: undefined, limit: defaultRecall }
  if (!isObject(declared)) return refuse(`"memory.recall" must be true or an object`)
  checkNames("memory.recall", declared, ["namespace", "keys", "query", "limit"])
  const { keys, query, limit = defaultRecall } = declared
  const problem = countProblem("memory.recall.limit", limit)
  if (problem !== undefined || typeof limit !== "number" || !Number.isFinite(limit))
    return refuse(`"memory.recall.limit" must be a whole number of at least 1`)
  return {
    namespace: textOrFn(declared.namespace, "memory.recall.namespace"),
    keys:
      typeof keys === "function"
        ? fn(keys, "memory.recall.keys")
        : textsOf({ "memory.recall.keys": keys }, "memory.recall.keys", "keys"),
    query: query === true ? true : textOrFn(query, "memory.recall.query"),
    limit,
  }
}

const rememberOf = (id: NodeId, declared: unknown, words: Words): Plan.StepMemory["remember"] => {
  if (declared === undefined || declared === false) return undefined
  const whole: Plan.Computation = ({ output }) => ({ [id]: output })
  if (declared === true) return { namespace: undefined, ttlMs: undefined, facts: whole }
  if (typeof declared === "function") return { namespace: undefined, ttlMs: undefined, facts: fn(declared, "memory.remember") }
  if (!isObject(declared)) return refuse(`"memory.remember" must be true, an object, or a function that returns facts by key`)
  checkNames("memory.remember", declared, ["namespace", "key", "value", "facts", "ttl"])
  const { key, value, facts } = declared
  if (facts !== undefined && (key !== undefined || value !== undefined))
    return refuse(`it has "memory.remember.facts" beside "key" or "value": give one of them`)
  const [givenKey, givenValue] = [
    textOrFn(key, "memory.remember.key"),
    value === undefined ? undefined : fn<Plan.Computation>(value, "memory.remember.value"),
  ]
  const one: Plan.Computation = (context, state, noteRead) => {
    const named = typeof givenKey === "function" ? givenKey(context, state, noteRead) : (givenKey ?? id)
    if (typeof named !== "string") throw new TypeError(`"memory.remember.key" must give text, and gave ${Thrown.show(named)}`)
    return { [named]: givenValue === undefined ? context.output : givenValue(context, state, noteRead) }
  }
  return {
    namespace: textOrFn(declared.namespace, "memory.remember.namespace"),
    ttlMs: span(declared, "ttl", { ...words, hasMillis: false }, "memory.remember."),
    facts: facts === undefined ? one : fn(facts, "memory.remember.facts"),
  }
}

const lateDecisions = ["deny", "approve", "fail"] as const
const lateWaits = ["fail", "continue"] as const

const voidCodec = Codec.makeUnknown(Schema.Void)

/** Makes the approval before a step. */
const gateOf = ({ id, needs }: Leaf, { needsApproval, label }: Options, words: Words): Plan.Wait | undefined => {
  if (needsApproval === undefined || needsApproval === false) return undefined
  if (needsApproval !== true && !isObject(needsApproval)) return refuse(`"needsApproval" must be true or an object`)
  const asked = needsApproval === true ? {} : needsApproval
  const within = "needsApproval."
  const limits = words.hasMillis ? ["timeout", "timeoutMs", "deadline", "onTimeout"] : ["timeout", "deadline", "onTimeout"]
  checkNames("needsApproval", asked, ["request", "onDeny", "approvers", ...limits])
  const { request = { title: typeof label === "string" ? label : id } } = asked
  return {
    _tag: "Wait",
    id,
    label: undefined,
    meta: undefined,
    needs,
    codec: voidCodec,
    table: undefined,
    skipIf: undefined,
    target: {
      kind: "approval",
      request: requestOf(request, words, within),
      onDeny: oneOf(asked, "onDeny", ["fail", "skip"], within),
      approvers: approversOf(asked, words, within),
    },
    ...limitOf(asked, words, within),
    onTimeout: oneOf(asked, "onTimeout", lateDecisions, within),
  }
}

/** Reads the content of a request. */
const requestOf = (request: unknown, words: Words, within = "") => {
  const isShown = typeof request === "function" || (isObject(request) && typeof request.title === "string")
  return isShown ? giving(request) : refuse(`"${within}request" must be an object with a title, or ${words.fn}`)
}

/** Tells whether a value is a list of at least one name. */
export const areNames = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string")

const approversOf = ({ approvers }: Options, words: Words, within = ""): ReadonlyArray<string> | Plan.Computation | undefined => {
  if (approvers === undefined) return undefined
  if (typeof approvers === "function" && !words.hasMillis) return fn(approvers, "approvers")
  return areNames(approvers) ? approvers : refuse(`"${within}approvers" must be an array of at least one name`)
}

/**
 * Reads the options to select one of: keys, or objects with a `key`, a `label` and a `summary`. Returns them as objects, or what is
 * wrong with them.
 */
export const readOptions = (value: unknown): Either.Either<ReadonlyArray<SelectOption>, Problem> =>
  checked(() => {
    if (!Array.isArray(value)) return refuse(`must be an array of options, and is ${Thrown.show(value)}`)
    if (value.length === 0) return refuse(`must hold at least one option, and is empty`)
    const seen = new Set<string>()
    return value.map((one: unknown): SelectOption => {
      const option = typeof one === "string" ? { key: one } : one
      if (!isObject(option) || typeof option.key !== "string" || option.key === "")
        return refuse(`has ${Thrown.show(one)}, and an option is a text, or an object with a "key"`)
      checkNames(`options`, option, ["key", "label", "summary"])
      const { key, label, summary } = option
      for (const [name, text] of Object.entries({ label, summary }))
        if (text !== undefined && typeof text !== "string") refuse(`has an option ${JSON.stringify(key)} whose ${name} is no text`)
      if (seen.has(key)) refuse(`has two options ${JSON.stringify(key)}`)
      seen.add(key)
      return { key, ...(typeof label === "string" ? { label } : {}), ...(typeof summary === "string" ? { summary } : {}) }
    })
  })

/** Reads the options of an approval that selects one. */
const selectOf = (given: Options, words: Words): ReadonlyArray<SelectOption> | Plan.Computation | undefined => {
  const { options } = given
  const isSelect = oneOf(given, "mode", ["approve", "select"]) === "select"
  if (given.mode === "approve" && options !== undefined) refuse(`it has "options", which only ${words.set("mode", '"select"')} has`)
  if (options === undefined) return isSelect ? refuse(`it selects, and has no "options"`) : undefined
  if (given.onTimeout === "approve") refuse(`"onTimeout" cannot approve, as nobody would have selected an option`)
  if (typeof options === "function" && !words.hasMillis) return fn(options, "options")
  return Either.getOrElse(readOptions(options), (problem) => refuse(`"options" ${problem}`))
}

const targetOf = (kind: Plan.WaitTarget["kind"], options: Options, words: Words, id: NodeId): Plan.WaitTarget => {
  switch (kind) {
    case "approval": {
      const { request } = options
      if (request === undefined || request === null) refuse(`it has no "request": an object with a title, or ${words.fn}`)
      const onDeny = oneOf(options, "onDeny", ["fail", "continue", "skip"])
      const choices = selectOf(options, words)
      return {
        kind,
        request: requestOf(request, words),
        onDeny,
        approvers: approversOf(options, words),
        ...defined({ options: choices }),
      }
    }
    case "human": {
      const { prompt } = options
      if (typeof prompt !== "string" && typeof prompt !== "function") refuse(`"prompt" must be text, or ${words.fn}`)
      return { kind, prompt: giving(prompt) }
    }
    case "signal": {
      const { name, correlation } = options
      if (typeof name !== "string" || name === "") return refuse(`it has no "name" of a signal`)
      const isText = typeof correlation === "string" || typeof correlation === "number" || correlation === null
      if (correlation !== undefined && typeof correlation !== "function" && !isText)
        refuse(`"correlation" must be text, or ${words.fn}`)
      const transient = flag(options, "transient", words) ? ({ isTransient: true } as const) : {}
      return { kind, name, correlation: correlation === undefined ? undefined : giving(correlation), ...transient }
    }
    case "timer": {
      const { until } = options
      if (typeof options.duration === "function" && !words.hasMillis && until === undefined)
        return { kind, due: fn(options.duration, "duration"), isSpan: true }
      const duration = typeof options.duration === "function" && !words.hasMillis ? Millis.zero : span(options, "duration", words)
      if ((duration === undefined) === (until === undefined)) refuse(`it needs either a "duration" or "until"`)
      if (until !== undefined && typeof until !== "function" && Either.isLeft(Millis.instant(until)))
        refuse(`"until" must be a Date, epoch milliseconds, or ${words.fn}`)
      return { kind, due: duration ?? giving(until) }
    }
    case "continuation":
      return { kind, input: giving(options.input) }
    case "subflow": {
      const isAttached = options.attach === undefined || flag(options, "attach", words)
      const onFail = oneOf(options, "onFail", ["fail", "continue"])
      const maxDepth = options.maxDepth === undefined ? Bounds.limitOf("depth") : countOf("maxDepth", options.maxDepth)
      return { kind, child: childOf(options.workflow, id), input: giving(options.input), isAttached, onFail, maxDepth }
    }
  }
}

/** A workflow, as far as one that starts it needs it. */
interface Startable {
  readonly name: string
  readonly definition: Pick<Plan.Child, "input" | "version" | "errorOf"> & { readonly output?: Codec.Codec<unknown, unknown> }
  readonly plan?: NonNullable<Plan.Child["plan"]>
}

/** Tells whether a value is a workflow of either front end. */
export const isStartable = (value: unknown): value is Startable =>
  typeof value === "object" &&
  value !== null &&
  "execute" in value &&
  "name" in value &&
  "definition" in value &&
  typeof value.definition === "object" &&
  value.definition !== null &&
  "input" in value.definition

/**
 * Returns the workflow of a function, for one that is not defined yet, since it contains itself or they contain each other.
 * Called at the first use, and cached. Throws {@link InvalidRequest} if the result is no workflow.
 */
export const resolving = (id: NodeId, workflow: () => unknown): (() => Startable) => {
  let found: Startable | undefined
  return () => {
    if (found !== undefined) return found
    const refused = (problem: string) => new InvalidRequest({ nodeId: id, problem: `its "workflow" ${problem}` })
    let value: unknown
    try {
      value = workflow()
    } catch (thrown) {
      throw refused(`threw: ${Thrown.describe(thrown).message}`)
    }
    if (!isStartable(value))
      throw refused(`gave ${Thrown.show(value)}, and must give the result of smithers(…) or createWorkflow(…).build(…)`)
    found = value
    return value
  }
}

/** A child workflow that is resolved at its first use. */
const laterChild = (startable: () => Startable): Plan.Child => ({
  get name() {
    try {
      return startable().name
    } catch {
      // The run reports it when it reaches the node.
      return "?"
    }
  },
  get version() {
    return startable().definition.version
  },
  get input() {
    return startable().definition.input
  },
  get definition() {
    return startable().definition
  },
  get plan() {
    return startable().plan
  },
  errorOf: (nodeId) => startable().definition.errorOf?.(nodeId),
})

const childOf = (workflow: unknown, id: NodeId): Plan.Child => {
  if (typeof workflow === "function") return laterChild(resolving(id, fn(workflow, "workflow")))
  if (!isStartable(workflow))
    return refuse(`its "workflow" is no workflow: pass the result of smithers(…) or createWorkflow(…).build(…)`)
  const { definition, plan } = workflow
  try {
    void workflow.name
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown)
    refuse(`the name of its "workflow" cannot be learned by rendering it without an input: ${why}`)
  }
  return {
    // Read on each use: the name of a workflow that contains itself is unknown while it is rendered for that name.
    get name() {
      return workflow.name
    },
    version: definition.version,
    input: definition.input,
    definition,
    ...defined({ plan, errorOf: definition.errorOf }),
  }
}
