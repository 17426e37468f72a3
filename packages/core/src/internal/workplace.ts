/**
 * The place that a step works in, where that is not the directory of the runtime: a worktree or a sandbox, which may itself be in other places. All of them are opened
 * before each attempt, so that one which is gone when a run is resumed is made again. An attached child run works in the place around its node, which is stored with the wait for it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Json } from "../Codec.ts"
import type { CommandRunnerShape } from "../CommandRunner.ts"
import type { StoreError } from "../Errors.ts"
import type * as Plan from "../Plan.ts"
import type * as Records from "../Records.ts"
import * as RunState from "../RunState.ts"
import type { RunStoreShape } from "../RunStore.ts"
import {
  heldLimits,
  type Patch,
  type PatchConflict,
  providerNames,
  Sandboxes,
  SandboxFailed,
  type SandboxProvider,
  type SandboxRequest,
} from "../Sandboxes.ts"
import { defined } from "../Struct.ts"
import { WorktreeFailed } from "../Worktrees.ts"
import * as Worktree from "./worktree.ts"

/** The parts of a plan that places are found by. */
type Tree = Pick<Plan.Plan, "node" | "parent">

/** A place, and the run whose plan has it. */
interface Placed {
  readonly place: Plan.Workplace
  readonly runId: string
}

/** Places inside one another, the outermost first. */
export type Chain = ReadonlyArray<Placed>

/** The position of the place that a node works in; -1 for none. `joins` is that of the node itself. */
const find = ({ node: at, parent }: Tree, position: number, joins: Plan.Joined | undefined): number => {
  let wanted = joins
  for (let above = parent(position); above >= 0; above = parent(above)) {
    const node = at(above)
    if (node._tag !== "Sequence") continue
    const { place } = node
    if (place !== undefined && isWanted(place, wanted)) return above
    wanted ??= node.joins
  }
  return -1
}

/** No worktree is in a sandbox: one around a node is outside of all sandboxes. */
const isWanted = (place: Plan.Workplace, wanted: Plan.Joined | undefined): boolean => {
  if (wanted === undefined) return place._tag === "Worktree" || place.isDefault
  return wanted === false ? place._tag === "Worktree" : place._tag === "Sandbox" && place.name === wanted
}

const joinsOf = (node: Plan.Node): Plan.Joined | undefined =>
  node._tag === "Step" || node._tag === "Wait" || node._tag === "Sequence" ? node.joins : undefined

const placeAt = ({ node: at }: Tree, position: number): Plan.Workplace | undefined => {
  const node = position < 0 ? undefined : at(position)
  return node?._tag === "Sequence" ? node.place : undefined
}

/** The position that a node has its place from. A compensation works where its saga is: what is inside of that has ended. */
const standingOf = (plan: Plan.Plan, position: number): number => {
  if (position < plan.size) return position
  let above = plan.undone(position)
  while (above >= 0 && plan.node(above)._tag !== "Saga") above = plan.parent(above)
  return above
}

/** The places around a node, within the places `outer` of its run. */
export const around = (plan: Plan.Plan, position: number, runId: string, outer: Chain): Chain => {
  const standing = standingOf(plan, position)
  let found = standing < 0 ? -1 : find(plan, standing, joinsOf(plan.node(standing)))
  if (found < 0) return outer
  const chain: Array<Placed> = []
  for (let place = placeAt(plan, found); place !== undefined; place = placeAt(plan, found)) {
    chain.unshift({ place, runId })
    // It is made in the root of the runtime.
    if (place._tag === "Worktree") break
    found = find(plan, found, undefined)
  }
  return [...outer, ...chain]
}

/** The places of a child run that a node starts: those around the node. A detached one outlives them, and has none. */
export const ofChild = (plan: Plan.Plan, position: number, runId: string): Chain => {
  const node = position < 0 ? undefined : plan.node(position)
  const isAttached = node?._tag === "Wait" && node.target.kind === "subflow" && node.target.isAttached
  return isAttached ? around(plan, position, runId, []) : []
}

/** Returns the problem of a node with the places around it. */
export const problemOf = (tree: Tree, position: number): string | undefined => {
  const node = tree.node(position)
  const joins = joinsOf(node)
  if (typeof joins === "string" && find(tree, position, joins) < 0) {
    const there: Array<string> = []
    for (let above = tree.parent(position); above >= 0; above = tree.parent(above)) {
      const place = placeAt(tree, above)
      if (place?._tag === "Sandbox") there.push(`"${place.name}"`)
    }
    const known = there.length === 0 ? "There is none around it" : `Around it: ${there.join(", ")}`
    return `its sandbox "${joins}" is not around it. ${known}`
  }
  const own = placeAt(tree, position)
  const isOfGit = own?._tag === "Worktree" || own?.provider === "worktree"
  const isDetached = node._tag === "Wait" && node.target.kind === "subflow" && !node.target.isAttached
  if (!isOfGit && !isDetached) return undefined
  const place = placeAt(tree, find(tree, position, isOfGit ? undefined : joins))
  if (place?._tag !== "Sandbox") return undefined
  return isDetached
    ? `its child run is detached, and would outlive sandbox "${place.id}" around it. Attach it, or let it work outside by "sandbox" false`
    : `it is a work tree of git inside sandbox "${place.id}", which has no repository. Put the sandbox into the worktree instead`
}

/** A place that is open for an attempt. */
export interface Opened {
  readonly directory: string
  /** Runs the commands of its tools. `undefined` in a worktree, whose commands are those of the runtime. */
  readonly commands: CommandRunnerShape | undefined
}

/** Opens places for an attempt, each in the one before. Returns the innermost one. */
export const open = (chain: Chain): Effect.Effect<Opened | undefined, WorktreeFailed | SandboxFailed> =>
  Effect.gen(function* () {
    let opened: Opened | undefined
    for (const { place, runId } of chain) {
      if (place._tag === "Sandbox") opened = yield* openSandbox({ sandbox: place, runId, root: opened?.directory })
      else if (opened?.commands === undefined) opened = { directory: yield* Worktree.open(place, runId), commands: undefined }
      else {
        const problem = "this run works in a sandbox, which has no repository. Make the worktree outside of it."
        return yield* new WorktreeFailed({ path: place.path ?? place.id, problem, isTransient: false })
      }
    }
    return opened
  })

/** A sandbox, and what it is made in. */
export interface Place {
  readonly sandbox: Plan.Sandbox
  readonly runId: string
  /** Default: the root of the runtime. */
  readonly root: string | undefined
}

/** The key of the directory that a step works in, in its context. */
export const directoryKey: unique symbol = Symbol.for("@smithers/core/directory")

/** The directory of the place that a step works in; `undefined` in the root of the runtime. */
export const rootIn = (context: object): string | undefined =>
  directoryKey in context && typeof context[directoryKey] === "string" ? context[directoryKey] : undefined

const using = <A, E>(
  { sandbox, runId, root: around }: Place,
  use: (provider: SandboxProvider, request: SandboxRequest, sandboxes: Sandboxes["Type"] | undefined) => Effect.Effect<A, E>,
): Effect.Effect<A, E | SandboxFailed> =>
  Effect.gen(function* () {
    const { id, provider: named, allowNetwork, include, limits } = sandbox
    const service = Option.getOrUndefined(yield* Effect.serviceOption(Sandboxes))
    const provider = typeof named === "string" ? service?.providers[named] : named
    if (provider === undefined) {
      const problem =
        service === undefined
          ? "this runtime makes no sandboxes. Provide a layer of Sandboxes, as those of smithers-orchestrator do."
          : `this runtime has no provider "${named}". It has ${Object.keys(service.providers).join(", ")}.`
      return yield* new SandboxFailed({ sandbox: id, problem, isTransient: false })
    }
    const loose = Object.entries({ ...limits }).flatMap(([name, limit]) =>
      limit === undefined || provider.limits.some((held) => held === name) ? [] : [`"${name}"`],
    )
    if (loose.length > 0) {
      const problem = `its provider "${provider.name}" holds no limit ${loose.join(", ")}. It holds ${provider.limits.join(", ") || "none"}.`
      return yield* new SandboxFailed({ sandbox: id, problem, isTransient: false })
    }
    const root = around ?? (yield* Worktree.rootFor(id))
    return yield* use(provider, { root, runId, id, allowNetwork, include, limits }, service)
  })

/** Opens a sandbox. */
export const openSandbox = (place: Place) => using(place, (provider, request) => provider.open(request))

/** Takes the patch of a sandbox. Fails if its files are not those that it was opened with: the work of finished steps would be missing. */
export const patch = (place: Place, made: string) =>
  using(place, (provider, request) =>
    Effect.flatMap(provider.patch(request), (patch) => {
      if (patch.made === made) return Effect.succeed(patch)
      const problem = "its files were lost while its steps worked, and with them what finished steps had done. Start the run again."
      return new SandboxFailed({ sandbox: place.sandbox.id, problem, isTransient: false })
    }),
  )

/** Applies a patch to what its sandbox was made in. */
export const apply = (place: Place, patch: Patch): Effect.Effect<void, PatchConflict | SandboxFailed> =>
  using(
    place,
    (_, request, sandboxes): Effect.Effect<void, PatchConflict | SandboxFailed> =>
      sandboxes === undefined
        ? new SandboxFailed({ sandbox: place.sandbox.id, problem: "this runtime applies no patches.", isTransient: false })
        : sandboxes.apply(request, patch),
  )

/** Closes a sandbox. */
export const close = (place: Place) => using(place, (provider, request) => provider.close(request))

/** A place as it is stored with the wait for a child run. */
const StoredPlace = Schema.Union(
  Schema.TaggedStruct("Worktree", {
    id: Schema.String,
    path: Schema.optional(Schema.String),
    branch: Schema.optional(Schema.String),
    base: Schema.optional(Schema.String),
  }),
  Schema.TaggedStruct("Sandbox", {
    id: Schema.String,
    provider: Schema.String,
    /** The provider is code of the workflow, which no store holds. */
    isOfCode: Schema.optional(Schema.Literal(true)),
    allowNetwork: Schema.optional(Schema.Array(Schema.String)),
    include: Schema.optional(Schema.Array(Schema.String)),
    limits: Schema.optional(
      Schema.Struct(
        { timeoutMs: Schema.optional(Schema.Number), cpuMs: Schema.optional(Schema.Number) },
        Schema.Record({ key: Schema.String, value: Schema.Number }),
      ),
    ),
  }),
)

const stored = ({ place }: Placed): Json => {
  if (place._tag === "Worktree") return { ...defined({ ...place }) }
  const { id, provider, allowNetwork, include, limits: { timeout, cpuTime, ...counts } = {} } = place
  const [timeoutMs, cpuMs] = [timeout, cpuTime].map((time) => (time === undefined ? undefined : Duration.toMillis(time)))
  const limits: { readonly [name: string]: number } = defined({ ...counts, timeoutMs, cpuMs })
  const named = typeof provider === "string" ? { provider } : { provider: provider.name, isOfCode: true }
  return {
    _tag: "Sandbox",
    id,
    ...named,
    ...defined({ allowNetwork, include }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  }
}

/** Adds the places of a child run to the request for it. */
export const withPlaces = (request: Json, plan: Plan.Plan, position: number, runId: string): Json => {
  const chain = ofChild(plan, position, runId)
  return chain.length === 0 ? request : { ...(request as { readonly [name: string]: Json }), places: chain.map(stored) }
}

const Request = Schema.Struct({ places: Schema.optional(Schema.Array(StoredPlace)) })
const isRequest = Schema.is(Request)

/**
 * The places of a run that another one has started and waits for, as that one has stored them. They are needed where a child run is driven without the run that started it.
 */
export const inherited = (store: RunStoreShape, parent: Records.Parent | undefined): Effect.Effect<Chain, StoreError> =>
  Effect.gen(function* () {
    if (parent?.isAttached !== true) return []
    const state = yield* store.load(parent.runId)
    const outer = yield* inherited(store, state.parent)
    const request = RunState.step(state, parent.nodeId, parent.iteration)?.wait?.request
    const places = isRequest(request) ? (request.places ?? []) : []
    const { runId } = parent
    return [...outer, ...places.map((place): Placed => ({ runId, place: placeOf(place, runId) }))]
  }).pipe(Effect.catchTag("RunNotFound", () => Effect.succeed([])))

const placeOf = (place: typeof StoredPlace.Type, runId: string): Plan.Workplace => {
  if (place._tag === "Worktree") return { ...place, path: place.path, branch: place.branch, base: place.base }
  const { id, provider, isOfCode, allowNetwork, include, limits } = place
  const known = isOfCode === true ? undefined : providerNames.find((name) => name === provider)
  const { timeoutMs, cpuMs, ...counts } = limits ?? {}
  return {
    _tag: "Sandbox",
    id,
    name: id,
    provider: known ?? absent(id, provider, runId),
    allowNetwork,
    include,
    limits: limits === undefined ? undefined : { ...counts, timeout: timeoutMs, cpuTime: cpuMs },
    isDefault: true,
  }
}

/** A provider whose code is not here. */
const absent = (sandbox: string, name: string, runId: string): SandboxProvider => {
  const problem = `its provider "${name}" is code of the workflow of run "${runId}". Resume that run, which resumes this one.`
  const fail = () => new SandboxFailed({ sandbox, problem, isTransient: false })
  return { name, limits: [...heldLimits, "cpus"], open: fail, patch: fail, close: fail }
}
