/**
 * A random plan as plain data, with what its steps and predicates will do and when its processes will die. Everything follows
 * from the seed, and it can be cut smaller without changing how the rest behaves.
 */
import { partId } from "@smithers/core/Ids"
import type * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Random from "@smithers/testing/Random"

const { hash } = Random

/**
 * A need, by the label of the node it is of. What a `maybe` or a `caught` one gives depends on the order of completions: nothing
 * else follows from it, and it is compared with what happened. A `live` one is looked at by the condition of a scope.
 */
export interface NeedSpec {
  readonly name: string
  readonly target: string
  readonly pass: "current" | "previous" | "maybe" | "caught" | "live"
}

export interface StepSpec {
  readonly kind: "step"
  readonly label: string
  readonly needs: ReadonlyArray<NeedSpec>
  /** `flaky` fails and then succeeds; `failing` uses up its attempts, and `fatal` fails without a retry, in some of its rows. */
  readonly flaw: "none" | "flaky" | "failing" | "fatal"
  readonly maxAttempts: number
  readonly delayMs: number
  readonly isSoft: boolean
  readonly skip: "never" | "sometimes" | "throws"
  readonly isVoid: boolean
  /** Whether and how it is undone in a saga: a `flaky` undo fails and then succeeds, a `failing` one fails for good in some rows. */
  readonly undo: "none" | "works" | "flaky" | "failing"
  readonly gate: Verdict | undefined
}

/**
 * What the world says to what waits: `yes`, `no` (approvals only), or nothing, which is when the wait's time is over. It says what it
 * says whenever it likes, so that only what is never answered has a time.
 */
export interface Verdict {
  readonly verdict: "yes" | "no" | "silent"
  readonly onDeny: "fail" | "continue" | "skip"
  /** `deny` and `approve` are for approvals. */
  readonly onTimeout: "fail" | "continue" | "deny" | "approve"
  readonly delayMs: number
}

export interface WaitSpec extends Verdict {
  readonly kind: "wait"
  readonly label: string
  readonly needs: ReadonlyArray<NeedSpec>
  readonly on: "timer" | "signal" | "approval" | "human"
  /** Of a signal: only what is sent once it is waited for counts. */
  readonly isTransient: boolean
  /** Of a signal: the label of what it is named by, where several waits take one name. */
  readonly channel: string | undefined
}

interface SequenceSpec {
  readonly kind: "sequence"
  readonly label: string
  readonly children: ReadonlyArray<Spec>
}

interface ParallelSpec {
  readonly kind: "parallel"
  readonly label: string
  readonly children: ReadonlyArray<Spec>
  readonly maxConcurrency: number | undefined
  readonly failFast: boolean
}

export interface BranchSpec {
  readonly kind: "branch"
  readonly label: string
  readonly needs: ReadonlyArray<NeedSpec>
  readonly throws: boolean
  readonly arms: readonly [then: Spec] | readonly [then: Spec, otherwise: Spec]
}

export interface LoopSpec {
  readonly kind: "loop"
  readonly label: string
  readonly needs: ReadonlyArray<NeedSpec>
  readonly throws: boolean
  readonly mayBeEmpty: boolean
  readonly maxIterations: number
  readonly onMaxReached: "return-last" | "fail"
  readonly body: Spec
  /** Drawn, after the body, in each pass once the body is done. */
  readonly late: Spec | undefined
}

export interface SagaSpec {
  readonly kind: "saga"
  readonly label: string
  readonly onCompensated: "fail" | "continue"
  readonly body: Spec
}

export interface TrySpec {
  readonly kind: "try"
  readonly label: string
  readonly body: Spec
  readonly caught: Spec | undefined
  /** Whether its catch is for all failures, or for those of some nodes. */
  readonly filter: "all" | "some"
  readonly last: Spec | undefined
}

/** What can be left before it is over: by its time, or because someone outside asks for it. */
interface Region {
  readonly label: string
  readonly timeoutMs: number | undefined
  readonly onTimeout: "fail" | "continue"
  readonly isOpenToAll: boolean
}

export interface ScopeSpec extends Region {
  readonly kind: "scope"
  /** What its condition looks at. */
  readonly needs: ReadonlyArray<NeedSpec>
  readonly leaves: "completed" | "cancelled" | "never"
  readonly body: Spec
}

export interface RaceSpec extends Region {
  readonly kind: "race"
  readonly branches: ReadonlyArray<Spec>
  readonly count: number
  readonly isList: boolean
  readonly rest: "cancel" | "keep"
  readonly onFailure: "fail" | "ignore"
}

export interface ListSpec extends Region {
  readonly kind: "list"
  readonly needs: ReadonlyArray<NeedSpec>
  /** What is done for each item, as it is written: nodes in it have their ids in the plan from {@link parts}. */
  readonly template: Spec
  readonly keys: ReadonlyArray<string>
  readonly concurrency: number | undefined
  /** It is over once so many items are. */
  readonly enough: number | undefined
  readonly rest: "cancel" | "keep"
  readonly isSettled: boolean
  /** A step that brings the last `grows` of the items, if it gives anything. */
  readonly feed: { readonly target: string; readonly grows: number } | undefined
}

/** A branch of a race, or an item of a list, as the plan has it. */
export interface PartSpec {
  readonly kind: "part"
  readonly label: string
  readonly key: string
  readonly body: Spec
  /** A failure in it ends there. */
  readonly isCatching: boolean
}

/** What can be left early by itself. */
export type RegionSpec = ScopeSpec | RaceSpec | ListSpec

export type BoundarySpec = SagaSpec | TrySpec | RegionSpec | PartSpec

export type Spec = StepSpec | WaitSpec | SequenceSpec | ParallelSpec | BranchSpec | LoopSpec | BoundarySpec

/**
 * How a process ends: it dies just `before` or just `after` its `commit`-th commit reaches the store, it is `paused` before it
 * for longer than its lease, or it is asked to stop after it. Commit 0 is the moment at which it has claimed the run and knows
 * nothing of it. Each process of a run has one fault; the process after the last fault runs to the end.
 */
export interface Fault extends MortalStorage.Fault {
  readonly commit: number
}

export interface Scenario {
  readonly seed: number
  readonly root: Spec
  readonly maxConcurrency: number
  readonly faults: ReadonlyArray<Fault>
}

/** The direct parts of a node as it is written, in document order: of a list what is done for each item. */
export const written = (spec: Spec): ReadonlyArray<Spec> => {
  switch (spec.kind) {
    case "step":
    case "wait":
      return []
    case "sequence":
    case "parallel":
      return spec.children
    case "branch":
      return spec.arms
    case "loop":
      return spec.late === undefined ? [spec.body] : [spec.body, spec.late]
    case "saga":
    case "scope":
    case "part":
      return [spec.body]
    case "race":
      return spec.branches
    case "list":
      return [spec.template]
    case "try":
      return [spec.body, spec.caught, spec.last].filter((part) => part !== undefined)
  }
}

const partsOf = new WeakMap<Spec, ReadonlyArray<PartSpec>>()

/** The direct parts of a node as the plan has them. */
export const parts = (spec: Spec): ReadonlyArray<Spec> =>
  spec.kind === "race" || spec.kind === "list" ? branchesOf(spec) : written(spec)

/** The branches of a race, or the items of a list. */
export const branchesOf = (spec: RaceSpec | ListSpec): ReadonlyArray<PartSpec> => {
  const known = partsOf.get(spec)
  if (known !== undefined) return known
  const { label } = spec
  const made =
    spec.kind === "race"
      ? spec.branches.map((body, index): PartSpec => {
          const key = keyAt(index)
          return { kind: "part", label: partId(label, key), key, body, isCatching: spec.onFailure === "ignore" }
        })
      : spec.keys.map((key): PartSpec => {
          const id = partId(label, key)
          return { kind: "part", label: id, key, body: copied(spec.template, `${id}.`), isCatching: spec.isSettled }
        })
  partsOf.set(spec, made)
  return made
}

/** The name of a branch of a race. */
export const keyAt = (index: number): string => String.fromCharCode(97 + index)

/** What stands before the written label of a node in a list: the items that it is of. */
export const pathOf = (label: string): string => {
  const end = label.lastIndexOf("].")
  return end < 0 ? "" : label.slice(0, end + 2)
}
export const writtenOf = (label: string): string => label.slice(pathOf(label).length)

/** The label of what the name and the correlation of a signal are of. */
export const channelOf = ({ label, channel }: WaitSpec): string => channel ?? label

const labelsIn = (spec: Spec): ReadonlyArray<string> => [
  spec.label,
  ...(spec.kind === "list" ? [] : written(spec).flatMap(labelsIn)),
]

/** A template with its labels and what it needs of itself as an item has them. */
const copied = (template: Spec, prefix: string): Spec => {
  const own = new Set(labelsIn(template))
  const renamed = (label: string): string => (own.has(label) ? prefix + label : label)
  const visit = (spec: Spec, isNamed: boolean): Spec => {
    const isNamedInside = isNamed && spec.kind !== "list"
    const inside = withParts(
      spec,
      written(spec).map((part) => visit(part, isNamedInside)),
    )
    const label = isNamed ? prefix + spec.label : spec.label
    const needs = "needs" in inside ? { needs: inside.needs.map((need) => ({ ...need, target: renamed(need.target) })) } : {}
    const channel = inside.kind === "wait" && inside.channel !== undefined ? { channel: renamed(inside.channel) } : {}
    return { ...inside, label, ...needs, ...channel } as Spec
  }
  return visit(template, true)
}

/** What a boundary does, and what it does on the way out. */
export type Part = "body" | "catch" | "finally"

export const isRegion = (spec: Spec): spec is RegionSpec => spec.kind === "scope" || spec.kind === "race" || spec.kind === "list"

export const isBoundary = (spec: Spec): spec is BoundarySpec =>
  spec.kind === "saga" || spec.kind === "try" || spec.kind === "part" || isRegion(spec)

/** Whether failures of its body end at a boundary, or some of them do. */
export const isCatching = (spec: BoundarySpec): boolean => {
  if (spec.kind === "try") return spec.caught !== undefined
  return spec.kind === "saga" ? spec.onCompensated === "continue" : spec.kind === "part" && spec.isCatching
}

/** Whether a failure of a node ends at a boundary. */
export const meets = (seed: number, spec: BoundarySpec, failed: string): boolean =>
  isCatching(spec) && (spec.kind !== "try" || spec.filter === "all" || hash(seed, spec.label, "catches", failed) % 2 === 0)

const withParts = (spec: Spec, replaced: ReadonlyArray<Spec>): Spec => {
  switch (spec.kind) {
    case "step":
    case "wait":
      return spec
    case "sequence":
    case "parallel":
      return { ...spec, children: replaced }
    case "branch":
      return { ...spec, arms: replaced as unknown as BranchSpec["arms"] }
    case "loop":
      return { ...spec, body: replaced[0] as Spec, late: spec.late === undefined ? undefined : replaced[1] }
    case "saga":
    case "scope":
    case "part":
      return { ...spec, body: replaced[0] as Spec }
    case "race":
      return { ...spec, branches: replaced }
    case "list":
      return { ...spec, template: replaced[0] as Spec }
    case "try": {
      const [body, ...rest] = replaced as [Spec, ...Array<Spec>]
      const caught = spec.caught === undefined ? undefined : rest.shift()
      return { ...spec, body, caught, last: rest.shift() }
    }
  }
}

/** Where each node stands. */
export interface Index {
  /** In document order. */
  readonly nodes: ReadonlyArray<Spec>
  readonly position: ReadonlyMap<string, number>
  readonly find: (label: string) => Spec
  readonly parent: (label: string) => Spec | undefined
  readonly contains: (outer: string, inner: string) => boolean
  /** The innermost loop around a node. */
  readonly loopOf: (label: string) => LoopSpec | undefined
  /** The part of a boundary that a node is in. */
  readonly partOf: (boundary: BoundarySpec, label: string) => Part
  /** Labels by the position that the plan has. */
  readonly layout: ReadonlyArray<string>
}

/** The nodes of a plan. */
export const index = (root: Spec): Index => indexed(root, parts)

/** The nodes of a plan as it is written: those in lists once. */
const outline = (root: Spec): Index => indexed(root, written)

const indexed = (root: Spec, inside: (spec: Spec) => ReadonlyArray<Spec>): Index => {
  const nodes: Array<Spec> = []
  const layout: Array<string> = []
  const position = new Map<string, number>()
  const parents = new Map<string, Spec>()
  const visit = (spec: Spec): void => {
    position.set(spec.label, nodes.push(spec) - 1)
    layout.push(spec.label)
    // A race and a list stand in a scope, whose timer comes last.
    if (spec.kind === "race" || spec.kind === "list") layout.push(spec.label)
    for (const part of inside(spec)) {
      parents.set(part.label, spec)
      visit(part)
    }
    if (isRegion(spec) && spec.timeoutMs !== undefined) layout.push(spec.label)
  }
  visit(root)
  const parent = (label: string): Spec | undefined => parents.get(label)
  const contains = (outer: string, inner: string): boolean => {
    for (let here: string | undefined = inner; here !== undefined; here = parent(here)?.label) if (here === outer) return true
    return false
  }
  return {
    nodes,
    layout,
    position,
    find: (label) => nodes[position.get(label) as number] as Spec,
    parent,
    contains,
    partOf: (boundary, label) => {
      if (boundary.kind !== "try" || contains(boundary.body.label, label)) return "body"
      return boundary.caught !== undefined && contains(boundary.caught.label, label) ? "catch" : "finally"
    },
    loopOf: (label) => {
      for (let up = parent(label); up !== undefined; up = parent(up.label)) if (up.kind === "loop") return up
      return undefined
    },
  }
}

/** Whether a node may need the value that another one has in the same pass, for certain or only `maybe`. */
const mayNeed = (plan: Index, reader: string, target: string): "current" | "maybe" | undefined => {
  // What it gives depends on when it is looked at.
  if (isKeeping(plan.find(target))) return undefined
  // A list fails where what it is made of has no value.
  if (plan.find(reader).kind === "list" && !isCertain(plan.find(target))) return undefined
  const isOwnBody = reader !== target && plan.contains(reader, target)
  if (isOwnBody && plan.find(reader).kind !== "loop") return undefined
  if (!isOwnBody && (plan.contains(target, reader) || at(plan, target) > at(plan, reader))) return undefined
  for (let up = plan.parent(target); up !== undefined && up.label !== reader; up = plan.parent(up.label)) {
    if (plan.contains(up.label, reader)) {
      if (up.kind === "branch" && armOf(plan, up, reader) !== armOf(plan, up, target)) return undefined
      if (up.kind === "race") return undefined
      if (isBoundary(up) && plan.partOf(up, reader) !== plan.partOf(up, target)) return "maybe"
      return up.kind === "parallel" && isInFinally(plan, up, reader) ? "maybe" : "current"
    }
    const isLeftWithout = up.kind === "try" || isRegion(up) || (up.kind === "saga" && up.onCompensated === "continue")
    if (up.kind === "branch" || isLeftWithout) return undefined
  }
  return "current"
}

const isCertain = (spec: Spec): boolean =>
  spec.kind === "step" && !spec.isVoid && !spec.isSoft && spec.skip === "never" && spec.gate === undefined

const isKeeping = (spec: Spec): boolean => spec.kind === "list" && spec.rest === "keep"

/** The list whose items a node stands in, as it is written. */
const listOf = (plan: Index, label: string): Spec | undefined => {
  for (const up of outwards(plan, label)) if (up.kind === "list") return up
  return undefined
}

/**
 * Whether the condition of a scope may look at a step: at one of the same pass, or at one of a loop in the scope, whose last one counts. Nobody looks into a
 * list.
 */
const mayLookAt = (plan: Index, reader: Spec, target: Spec): boolean => {
  if (reader.kind !== "scope" || target.kind !== "step" || target.isVoid) return false
  const isMade = plan.contains(reader.label, target.label) || at(plan, target.label) < at(plan, reader.label)
  if (!isMade || listOf(plan, target.label) !== listOf(plan, reader.label)) return false
  const [here, there] = [plan.loopOf(reader.label), plan.loopOf(target.label)]
  return here === there || (there !== undefined && plan.contains(reader.label, there.label) && plan.loopOf(there.label) === here)
}

/** Whether a step may bring items of a list: nothing may leave the list before. */
const mayFeed = (plan: Index, reader: Spec, label: string): boolean => {
  const target = plan.find(label)
  if (reader.kind !== "list" || target.kind !== "step" || target.isVoid || target.isSoft) return false
  if (mayNeed(plan, reader.label, label) !== "current" || plan.loopOf(label) !== plan.loopOf(reader.label)) return false
  if (isInFinally(plan, plan.nodes[0] as Spec, reader.label)) return false
  return ![...outwards(plan, reader.label)].some(isRegion)
}

/** Whether a node is in the `finally` of a try that is inside another one. */
const isInFinally = (plan: Index, outer: Spec, label: string): boolean => {
  for (const up of outwards(plan, label)) {
    if (up === outer) return false
    if (up.kind === "try" && plan.partOf(up, label) === "finally") return true
  }
  return false
}

/** Whether a step may need what another one in the same pass gave, if it did. */
const mayNeedMaybe = (plan: Index, reader: Spec, target: Spec): boolean => {
  if (reader.kind !== "step" || target.kind !== "step" || mayNeed(plan, reader.label, target.label) !== "maybe") return false
  const loop = plan.loopOf(target.label)
  return loop === undefined || (plan.contains(loop.label, reader.label) && plan.loopOf(reader.label) === loop)
}

/** Whether a step may need what a try around it has caught. */
const mayNeedCaught = (plan: Index, reader: Spec, target: Spec): boolean =>
  reader.kind === "step" &&
  target.kind === "try" &&
  plan.contains(target.label, reader.label) &&
  plan.partOf(target, reader.label) === "catch"

const at = (plan: Index, label: string): number => plan.position.get(label) as number

const armOf = (plan: Index, branch: BranchSpec, label: string): number =>
  branch.arms.findIndex((arm) => plan.contains(arm.label, label))

/** Whether a node may need the value that a step had in the pass before, and had for certain if it is to have one. */
const mayNeedPrevious = (plan: Index, reader: string, target: Spec): boolean => {
  const around = plan.loopOf(target.label)
  if (target.kind !== "step" || around === undefined || !plan.contains(around.label, reader)) return false
  for (let up = plan.parent(target.label); up !== undefined && up !== around; up = plan.parent(up.label)) {
    if (isBoundary(up)) return false
  }
  return true
}

const structure = (random: Random.Random, size: number): Spec => {
  let left = size
  let labels = 0
  const label = (kind: string): string => `${kind}${labels++}`
  /** How many boundaries around what is being made would meet a failure: there are more of them there, or little would be met. */
  let guards = 0
  const guarded = <A>(make: () => A): A => {
    guards++
    const made = make()
    guards--
    return made
  }
  const step = (): StepSpec => {
    const isRisky = guards > 0 && random.chance(0.25)
    const flaw = isRisky || random.chance(0.2) ? random.pick(["flaky", "flaky", "failing", "fatal"] as const) : "none"
    return {
      kind: "step",
      label: label("s"),
      needs: [],
      flaw,
      maxAttempts: 1 + random.int(3),
      delayMs: random.pick([0, 1, 20, 20, 300]),
      isSoft: random.chance(flaw === "failing" || flaw === "fatal" ? (isRisky ? 0.2 : 0.75) : 0.1),
      skip: random.chance(0.1) ? (random.chance(0.05) ? "throws" : "sometimes") : "never",
      isVoid: random.chance(0.08),
      undo: random.chance(0.4) ? "none" : random.pick(["works", "works", "works", "works", "flaky", "failing"] as const),
      gate: random.chance(0.05) ? verdict("approval") : undefined,
    }
  }
  const verdict = (on: WaitSpec["on"]): Verdict => {
    const isApproval = on === "approval"
    // Whatever fails a run is rare outside what meets it.
    const isRisky = random.chance(guards > 0 ? 0.3 : 0.03)
    const mild = isApproval ? (["approve", "approve", "deny"] as const) : (["continue"] as const)
    return {
      verdict:
        on === "timer"
          ? "silent"
          : random.pick(isApproval ? (["yes", "yes", "no", "silent"] as const) : (["yes", "yes", "silent"] as const)),
      onDeny: isRisky ? "fail" : random.pick(["continue", "skip"] as const),
      onTimeout: isRisky ? "fail" : random.pick(mild),
      delayMs: random.pick([1, 20, 300, 5000]),
    }
  }
  const wait = (): WaitSpec => {
    const on = random.pick(["timer", "signal", "approval", "human"] as const)
    return { kind: "wait", label: label("w"), needs: [], on, isTransient: random.chance(0.2), channel: undefined, ...verdict(on) }
  }
  const region = (kind: string, isLimited = random.chance(0.3)) => {
    const isRisky = random.chance(guards > 0 ? 0.4 : 0.1)
    return {
      label: label(kind),
      timeoutMs: isLimited ? random.pick([1, 20, 20, 300, 5000]) : undefined,
      onTimeout: isLimited && isRisky ? "fail" : "continue",
      isOpenToAll: random.chance(0.4),
    } as const
  }
  /** Makes something of at most so many nodes. */
  const small = (most: number, make: () => Spec): Spec => {
    const before = left
    left = Math.min(left, most)
    const from = left
    const made = make()
    left = before - (from - left)
    return made
  }
  const race = (depth: number): RaceSpec => {
    const { label: name, ...rest } = region("race")
    const count = 2 + random.int(3)
    const isShared = random.chance(0.4)
    const branches = Array.from({ length: count }, (): Spec => {
      if (!random.chance(0.45)) return small(5, () => node(depth + 1))
      const one = wait()
      return isShared && one.on === "signal" && one.verdict === "yes" ? { ...one, channel: name } : one
    })
    return {
      kind: "race",
      label: name,
      ...rest,
      branches,
      count: random.chance(0.3) ? 1 + random.int(count) : 1,
      isList: random.chance(0.3),
      rest: random.chance(0.25) ? "keep" : "cancel",
      onFailure: random.chance(0.4) ? "ignore" : "fail",
    }
  }
  const list = (depth: number): Spec => {
    const isSettled = random.chance(0.4)
    const count = random.chance(0.06) ? 0 : 1 + random.int(4)
    const before = left
    const template = small(4, () => (isSettled ? guarded(() => node(depth + 2)) : node(depth + 2)))
    left -= (before - left) * Math.max(0, count - 1)
    const made: ListSpec = {
      kind: "list",
      ...region("list"),
      needs: [],
      template,
      keys: Array.from({ length: count }, (_, key) => `k${key}`),
      concurrency: random.chance(0.5) ? 1 + random.int(2) : undefined,
      enough: random.chance(0.3) ? 1 + random.int(Math.max(1, count)) : undefined,
      rest: random.chance(0.2) ? "keep" : "cancel",
      isSettled,
      feed: random.chance(0.5) ? { target: "", grows: 1 + random.int(2) } : undefined,
    }
    // What it gives is not to be taken where it depends on when that is looked at.
    return isKeeping(made) ? { kind: "sequence", label: label("seq"), children: [made, step()] } : made
  }
  const some = (depth: number, least: number): ReadonlyArray<Spec> => {
    const children: Array<Spec> = []
    const count = least + random.int(4)
    for (let child = 0; child < count && (left > 0 || child < least); child++) children.push(node(depth + 1))
    return children
  }
  const node = (depth: number): Spec => {
    left--
    const kind = depth > 5 || left <= 0 ? 0 : random.int(20)
    if (kind < 4) return random.chance(0.2) ? wait() : step()
    if (kind < 6) return { kind: "sequence", label: label("seq"), children: some(depth, random.chance(0.03) ? 0 : 1) }
    if (kind < 8) {
      return {
        kind: "parallel",
        label: label("par"),
        children: some(depth, random.chance(0.03) ? 0 : 2),
        maxConcurrency: random.chance(0.5) ? 1 + random.int(3) : undefined,
        failFast: random.chance(0.3),
      }
    }
    if (kind === 8) {
      const first = node(depth + 1)
      const arms = random.chance(0.6) ? ([first, node(depth + 1)] as const) : ([first] as const)
      return { kind: "branch", label: label("branch"), needs: [], throws: random.chance(0.02), arms }
    }
    if (kind === 9 || kind === 10) {
      const onCompensated = random.pick(["fail", "continue"] as const)
      return { kind: "saga", label: label("saga"), onCompensated, body: guarded(() => node(depth + 1)) }
    }
    if (kind === 11 || kind === 12) {
      const [hasCatch, hasFinally] = random.pick([
        [true, true],
        [true, false],
        [false, true],
      ] as const)
      const body = guarded(() => node(depth + 1))
      const caught = hasCatch ? node(depth + 1) : undefined
      const last = hasFinally ? node(depth + 1) : undefined
      return { kind: "try", label: label("try"), body, caught, filter: random.chance(0.25) ? "some" : "all", last }
    }
    if (kind === 13 || kind === 14) {
      const leaves = random.pick(["completed", "completed", "cancelled", "never"] as const)
      const made = region("scope", random.chance(0.5))
      return { kind: "scope", ...made, needs: [], leaves, body: node(depth + 1) }
    }
    if (kind === 15 || kind === 16) return race(depth)
    if (kind === 17 || kind === 18) return list(depth)
    return {
      kind: "loop",
      label: label("loop"),
      needs: [],
      throws: random.chance(0.015),
      mayBeEmpty: random.chance(0.15),
      maxIterations: random.chance(0.15) ? Number.POSITIVE_INFINITY : 1 + random.int(3),
      onMaxReached: random.chance(0.06) ? "fail" : "return-last",
      body: node(depth + 1),
      late: undefined,
    }
  }
  // The root takes what is left, so that the size is what was asked for.
  const children: Array<Spec> = []
  while (left > 0) children.push(node(1))
  const root = { label: label("root"), children }
  if (random.chance(0.6)) return { kind: "sequence", ...root }
  return { kind: "parallel", ...root, maxConcurrency: undefined, failFast: random.chance(0.2) }
}

const withNeeds = (random: Random.Random, root: Spec): Spec => {
  const plan = outline(root)
  const choose = (reader: Spec): ReadonlyArray<NeedSpec> => {
    const chosen: Array<NeedSpec> = []
    if (reader.kind === "scope") {
      const seen = plan.nodes.filter((target) => mayLookAt(plan, reader, target))
      const some = random.shuffle(seen).slice(0, 1 + random.int(2))
      return some.map(({ label }, need) => ({ name: `n${need}`, target: label, pass: "live" }))
    }
    const current = plan.nodes.filter(({ label }) => mayNeed(plan, reader.label, label) === "current")
    const maybe = plan.nodes.filter((target) => mayNeedMaybe(plan, reader, target))
    const caught = plan.nodes.filter((target) => mayNeedCaught(plan, reader, target))
    const previous = plan.nodes.filter((target) => mayNeedPrevious(plan, reader.label, target))
    const count = random.pick([0, 1, 1, 2, 3])
    for (let need = 0; need < count; need++) {
      const isPrevious = previous.length > 0 && random.chance(0.35)
      const candidates = isPrevious ? previous : current
      if (candidates.length === 0) continue
      // Near ones are likelier: needs across the whole plan would make a chain of it.
      const far = Math.min(random.int(candidates.length), random.int(candidates.length))
      const { label } = candidates[candidates.length - 1 - far] as Spec
      chosen.push({ name: `n${need}`, target: label, pass: isPrevious ? "previous" : "current" })
    }
    if (maybe.length > 0) chosen.push({ name: "maybe", target: random.pick(maybe).label, pass: "maybe" })
    if (caught.length > 0) chosen.push({ name: "caught", target: random.pick(caught).label, pass: "caught" })
    return chosen
  }
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, written(spec).map(visit))
    const needing = "needs" in replaced ? { ...replaced, needs: choose(spec) } : replaced
    if (needing.kind !== "list" || needing.feed === undefined) return needing
    const feeds = plan.nodes.filter(({ label }) => mayFeed(plan, spec, label))
    return { ...needing, feed: feeds.length === 0 ? undefined : { ...needing.feed, target: random.pick(feeds).label } }
  }
  return visit(root)
}

/** Whether it can be told from the records of its leaves that something is done. */
const isPlain = (spec: Spec): boolean =>
  spec.kind === "step" || spec.kind === "wait"
    ? spec.kind === "wait" || spec.skip !== "throws"
    : (spec.kind === "sequence" || spec.kind === "parallel") && spec.children.every(isPlain)

/**
 * Has some loops draw more once their body is done. Nobody else needs what is drawn late, since it may be left out. What has no id is known
 * by where it stands, which a drawing changes: so there is no such loop where a branch may throw.
 */
const withLate = (random: Random.Random, root: Spec): Spec => {
  const plan = outline(root)
  if (plan.nodes.some((spec) => (spec.kind === "branch" && spec.throws) || spec.kind === "list")) return root
  const step = (label: string, body: Spec): StepSpec => {
    const before = plan.nodes.filter((spec) => spec.kind === "step" && (spec === body || plan.contains(body.label, spec.label)))
    const needs =
      before.length > 0 && random.chance(0.5) ? [{ name: "n0", target: random.pick(before).label, pass: "current" as const }] : []
    return {
      kind: "step",
      label,
      needs,
      flaw: random.pick(["none", "none", "none", "flaky"] as const),
      maxAttempts: 2,
      delayMs: random.pick([0, 20]),
      isSoft: false,
      skip: random.chance(0.1) ? "sometimes" : "never",
      isVoid: false,
      // What a later drawing does not have is not undone.
      undo: "none",
      gate: undefined,
    }
  }
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, written(spec).map(visit))
    if (spec.kind !== "loop" || !isPlain(spec.body) || !random.chance(0.4)) return replaced
    const [one, other] = [step(`${spec.label}x`, spec.body), step(`${spec.label}y`, spec.body)]
    const both = {
      kind: "parallel",
      label: `${spec.label}z`,
      children: [one, other],
      maxConcurrency: undefined,
      failFast: false,
    } as const
    return { ...(replaced as LoopSpec), late: random.chance(0.5) ? one : both }
  }
  return visit(root)
}

/** Whether something in a part is done on the way out, which needs no place, and is begun all the same for a schedule made anew. */
const hasLast = (spec: Spec): boolean => (spec.kind === "try" && spec.last !== undefined) || written(spec).some(hasLast)

const hasRegion = (spec: Spec): boolean => isRegion(spec) || written(spec).some(hasRegion)

const hasLeaf = (spec: Spec): boolean => spec.kind === "step" || spec.kind === "wait" || written(spec).some(hasLeaf)

/** Whether a scenario draws its plan as it goes on. */
export const isDrawn = ({ root }: Scenario): boolean =>
  index(root).nodes.some((spec) => spec.kind === "loop" && spec.late !== undefined)

/** The same without what is drawn late: for whoever has only one plan. */
export const undrawn = (scenario: Scenario): Scenario => {
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, written(spec).map(visit))
    if (replaced.kind === "list") return { ...replaced, needs: [], feed: undefined }
    return replaced.kind === "loop" ? { ...replaced, late: undefined } : replaced
  }
  return { ...scenario, root: visit(scenario.root) }
}

/**
 * The same with failures that end nowhere but where all of them do: of a run that is mended it is known then what failed and was caught before. Whoever
 * lost a race is not, either.
 */
export const strict = (scenario: Scenario): Scenario => {
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, written(spec).map(visit))
    if (replaced.kind === "race") return { ...replaced, onFailure: "fail" }
    // A denial stands, also where it was caught.
    if (replaced.kind === "wait" && replaced.onDeny === "fail") return { ...replaced, onDeny: "skip" }
    if (replaced.kind === "step" && replaced.gate?.onDeny === "fail")
      return { ...replaced, gate: { ...replaced.gate, onDeny: "skip" } }
    return replaced.kind === "try" ? { ...replaced, filter: "all" } : replaced
  }
  return { ...scenario, root: visit(scenario.root) }
}

/** Whether what becomes of a scenario depends on the order of things, or on their time: something in it may be left early. */
export const isOpenEnded = ({ root }: Scenario): boolean => {
  const isSo = (spec: Spec): boolean => {
    const isEarly = isRegion(spec) && (spec.isOpenToAll || spec.timeoutMs !== undefined)
    const isOne = spec.kind === "race" || (spec.kind === "scope" && spec.leaves !== "never") || isSettledOrFiltered(spec)
    return isEarly || isOne || written(spec).some(isSo)
  }
  return isSo(root)
}
const isSettledOrFiltered = (spec: Spec): boolean =>
  (spec.kind === "list" && (spec.isSettled || spec.enough !== undefined)) || (spec.kind === "try" && spec.filter === "some")

/** How many nodes a scenario has in its plan. */
export const size = ({ root }: Scenario): number => index(root).nodes.length

/** How many nodes of each kind there are in scenarios as they are written. */
export const census = (scenarios: Iterable<Scenario>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1)
  for (const { root } of scenarios)
    for (const spec of outline(root).nodes) {
      count(spec.kind)
      if (isRegion(spec) && spec.timeoutMs !== undefined) count("timeout")
      if (isRegion(spec) && spec.isOpenToAll) count("left from outside")
      if ((spec.kind === "race" || spec.kind === "list") && spec.rest === "keep") count(`${spec.kind} that keeps the rest`)
      if (spec.kind === "race" && spec.count > 1) count("race of several")
      if (spec.kind === "race") count(`race that ${spec.onFailure === "fail" ? "fails" : "ignores"}`)
      if (spec.kind === "list" && spec.concurrency !== undefined) count("list with a limit")
      if (spec.kind === "list" && spec.enough !== undefined) count("list until enough")
      if (spec.kind === "list" && spec.isSettled) count("settled list")
      if (spec.kind === "list" && spec.feed !== undefined) count("list that grows")
      if (spec.kind === "scope" && spec.leaves !== "never" && spec.needs.length > 0) count("scope with a condition")
      if (spec.kind === "try" && spec.filter === "some") count("filter")
      if (spec.kind === "wait" && spec.on === "signal" && spec.isTransient) count("transient signal")
    }
  return counts
}

/** The scenario of a seed. */
export const make = (seed: number): Scenario => {
  const random = Random.make(seed)
  const constant = repair(withNeeds(random, structure(random, 1 + random.int(45))))
  const root = repair(withLate(Random.make(Random.hash(seed, "late")), constant))
  const faults = Array.from({ length: random.pick([1, 1, 1, 2, 3, 4]) }, () => ({
    edge: random.pick(["before", "before", "after", "after", "paused", "shutdown"] as const),
    commit: Math.min(random.int(30), random.int(30)),
  }))
  return { seed, root, maxConcurrency: random.pick([1, 2, 4, 4, 16]), faults }
}

/**
 * Drops the needs of nodes that are no longer there or no longer where they may be needed, and undoing where nothing undoes. What cannot
 * be undone fails a saga that would go on, so it must not depend on the order whether it was done.
 */
const repair = (root: Spec): Spec => {
  const plan = outline(root)
  const holds = (reader: string, { target, pass }: NeedSpec): boolean => {
    if (!plan.position.has(target)) return false
    if (pass === "previous") return mayNeedPrevious(plan, reader, plan.find(target))
    if (pass === "caught") return mayNeedCaught(plan, plan.find(reader), plan.find(target))
    if (pass === "live") return mayLookAt(plan, plan.find(reader), plan.find(target))
    if (pass === "maybe") return mayNeedMaybe(plan, plan.find(reader), plan.find(target))
    return mayNeed(plan, reader, target) === "current"
  }
  const undoOf = ({ label, undo }: StepSpec): StepSpec["undo"] => {
    const around = [...outwards(plan, label)]
    if (!around.some(({ kind }) => kind === "saga")) return "none"
    if (undo !== "failing") return undo
    const last = around.findLastIndex((up) => up.kind === "saga" && up.onCompensated === "continue")
    return around.slice(0, last + 1).some((up) => up.kind === "parallel" || up.kind === "race" || up.kind === "list")
      ? "flaky"
      : undo
  }
  const hasMadeItems = plan.nodes.some((spec) => spec.kind === "list" && (spec.needs.length > 0 || spec.feed !== undefined))
  const repaired = (list: ListSpec): Spec => {
    const up = plan.parent(list.label)
    const isFollowed = up?.kind === "sequence" && up.children.at(-1)?.label !== list.label
    const { feed, label } = list
    const isFed = feed !== undefined && plan.position.has(feed.target) && mayFeed(plan, list, feed.target)
    const fed = isFed
      ? ({ feed, timeoutMs: undefined, isOpenToAll: false, enough: undefined, rest: "cancel" } as const)
      : { feed: undefined }
    const rest = isFollowed && !isInRegion(label) ? list.rest : "cancel"
    const enough = rest === "keep" ? (list.enough ?? 1) : list.enough
    // What is left before it has its items gives none, and whether it has depends on the order.
    const needs = isInRegion(label) ? [] : list.needs
    return { ...list, needs, rest, enough, ...fed }
  }
  const isInRegion = (label: string): boolean => [...outwards(plan, label)].some(isRegion)
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, written(spec).map(visit))
    // With nothing in the body there is nothing to come before what is drawn late.
    if (replaced.kind === "loop" && replaced.late !== undefined && !hasLeaf(replaced.body))
      return visit({ ...replaced, late: undefined })
    const needed = "needs" in replaced ? { ...replaced, needs: replaced.needs.filter((need) => holds(spec.label, need)) } : replaced
    // It has no id, and is known by where it stands: that changes as items come.
    if (needed.kind === "branch" && hasMadeItems) return { ...needed, throws: false }
    if (needed.kind === "list") return repaired(hasLast(needed) ? { ...needed, concurrency: undefined } : needed)
    if (needed.kind === "parallel" && hasLast(needed) && (isInRegion(needed.label) || hasRegion(needed)))
      return { ...needed, maxConcurrency: undefined }
    if (needed.kind === "wait" && needed.channel !== undefined && plan.parent(needed.label)?.label !== needed.channel)
      return { ...needed, channel: undefined }
    if (needed.kind === "race") return { ...needed, count: Math.max(1, Math.min(needed.count, needed.branches.length)) }
    return needed.kind === "step" ? { ...needed, undo: undoOf(needed) } : needed
  }
  return visit(root)
}

/** What is around a node, the innermost first. */
export const outwards = function* (plan: Index, label: string): Iterable<Spec> {
  for (let up = plan.parent(label); up !== undefined; up = plan.parent(up.label)) yield up
}

/** Plans that are one cut smaller. */
const smallerSpecs = (spec: Spec): ReadonlyArray<Spec> => {
  const inside = written(spec)
  const cuts: Array<Spec> = [...inside]
  if (spec.kind === "race") {
    if (inside.length > 1)
      for (let child = 0; child < inside.length; child++) cuts.push(withParts(spec, inside.toSpliced(child, 1)))
    if (spec.count > 1) cuts.push({ ...spec, count: spec.count - 1 })
    if (spec.isList) cuts.push({ ...spec, isList: false })
    if (spec.onFailure === "ignore") cuts.push({ ...spec, onFailure: "fail" })
  }
  if (spec.kind === "list") {
    for (let key = 0; key < spec.keys.length; key++) cuts.push({ ...spec, keys: spec.keys.toSpliced(key, 1) })
    if (spec.isSettled) cuts.push({ ...spec, isSettled: false })
    if (spec.concurrency !== undefined) cuts.push({ ...spec, concurrency: undefined })
    if (spec.enough !== undefined) cuts.push({ ...spec, enough: undefined })
    if (spec.feed !== undefined) cuts.push({ ...spec, feed: undefined })
  }
  if ((spec.kind === "race" || spec.kind === "list") && spec.rest === "keep") cuts.push({ ...spec, rest: "cancel" })
  if (isRegion(spec)) {
    if (spec.timeoutMs !== undefined) cuts.push({ ...spec, timeoutMs: undefined })
    if (spec.isOpenToAll) cuts.push({ ...spec, isOpenToAll: false })
  }
  if (spec.kind === "try" && spec.filter === "some") cuts.push({ ...spec, filter: "all" })
  if (spec.kind === "sequence" || spec.kind === "parallel") {
    for (let child = 0; child < inside.length; child++) cuts.push(withParts(spec, inside.toSpliced(child, 1)))
  }
  if (spec.kind === "branch" && spec.arms.length === 2) cuts.push({ ...spec, arms: [spec.arms[0]] })
  if (spec.kind === "parallel") {
    if (spec.failFast) cuts.push({ ...spec, failFast: false })
    if (spec.maxConcurrency !== undefined) cuts.push({ ...spec, maxConcurrency: undefined })
  }
  if (spec.kind === "saga" && spec.onCompensated === "continue") cuts.push({ ...spec, onCompensated: "fail" })
  if (spec.kind === "try" && spec.caught !== undefined && spec.last !== undefined) {
    cuts.push({ ...spec, caught: undefined }, { ...spec, last: undefined })
  }
  if (spec.kind === "loop" && spec.late !== undefined) cuts.push({ ...spec, late: undefined })
  if ("needs" in spec) {
    for (let need = 0; need < spec.needs.length; need++) cuts.push({ ...spec, needs: spec.needs.toSpliced(need, 1) })
  }
  if (spec.kind === "wait" && spec.on !== "timer") cuts.push({ ...spec, on: "timer", verdict: "silent" })
  if (spec.kind === "wait" && spec.isTransient) cuts.push({ ...spec, isTransient: false })
  if (spec.kind === "step") {
    if (spec.gate !== undefined) cuts.push({ ...spec, gate: undefined })
    if (spec.flaw !== "none") cuts.push({ ...spec, flaw: "none" })
    if (spec.skip !== "never") cuts.push({ ...spec, skip: "never" })
    if (spec.isVoid) cuts.push({ ...spec, isVoid: false })
    if (spec.isSoft) cuts.push({ ...spec, isSoft: false })
    if (spec.undo !== "none") cuts.push({ ...spec, undo: "none" })
    if (spec.undo !== "none" && spec.undo !== "works") cuts.push({ ...spec, undo: "works" })
  }
  for (const [part, from] of inside.entries()) {
    for (const smaller of smallerSpecs(from)) cuts.push(withParts(spec, inside.with(part, smaller)))
  }
  return cuts
}

/** Scenarios that are one cut smaller, the deepest cuts first. */
export const smaller = (scenario: Scenario): ReadonlyArray<Scenario> => [
  ...scenario.faults.map((_, fault) => ({ ...scenario, faults: scenario.faults.toSpliced(fault, 1) })),
  ...smallerSpecs(scenario.root).map((root) => ({ ...scenario, root: repair(root) })),
]

/** The scenario after somebody has mended everything that fails the run and can be mended. What is caught stays as it is. */
export const mended = (scenario: Scenario): Scenario => {
  const mend = (spec: Spec): Spec => {
    if (spec.kind === "loop") return { ...spec, throws: false, onMaxReached: "return-last" }
    if (spec.kind === "branch") return { ...spec, throws: false }
    if (isRegion(spec)) return { ...spec, onTimeout: "continue" }
    const soften = <V extends Verdict>(verdict: V): V => ({
      ...verdict,
      onDeny: verdict.onDeny === "fail" ? "skip" : verdict.onDeny,
      onTimeout:
        verdict.onTimeout === "fail"
          ? spec.kind === "wait" && spec.on !== "approval"
            ? "continue"
            : "approve"
          : verdict.onTimeout,
    })
    if (spec.kind === "wait") return soften(spec)
    if (spec.kind !== "step") return spec
    const flaw = spec.isSoft || spec.flaw === "flaky" ? spec.flaw : "none"
    const gate = spec.gate && soften(spec.gate)
    return { ...spec, gate, flaw, skip: spec.skip === "throws" && !spec.isSoft ? "never" : spec.skip }
  }
  /** What could not be undone fails a saga whatever it does then, but not a try around it. */
  const visit = (spec: Spec, isCaught: boolean, isTried: boolean): Spec => {
    const isMet = (part: Spec): boolean => {
      if (spec.kind === "list") return spec.isSettled
      return (spec.kind === "try" || spec.kind === "saga") && isCatching(spec) && part === spec.body
    }
    const mended = written(spec).map((part) =>
      visit(part, isCaught || isMet(part), isTried || (spec.kind !== "saga" && isMet(part))),
    )
    const replaced = withParts(spec, mended)
    const isStuck = replaced.kind === "step" && replaced.undo === "failing" && !isTried
    const undone: Spec = isStuck ? { ...replaced, undo: "works" } : replaced
    return isCaught ? undone : mend(undone)
  }
  return { ...scenario, root: visit(scenario.root, false, false) }
}

const told = ({ verdict, onDeny, onTimeout, delayMs }: Verdict): string =>
  verdict === "yes" ? "yes" : verdict === "no" ? `no, ${onDeny}` : `silent for ${delayMs}ms, ${onTimeout}`

/** The scenario as people read it. */
export const describe = (scenario: Scenario): string => {
  const lines: Array<string> = []
  const visit = (spec: Spec, indent: string, role: string): void => {
    const words: Array<string> = [indent + role + spec.label]
    if (spec.kind === "step") {
      if (spec.flaw !== "none") words.push(spec.flaw, `maxAttempts=${spec.maxAttempts}`, `delay=${spec.delayMs}ms`)
      if (spec.isSoft) words.push("continueOnFail")
      if (spec.skip !== "never") words.push(`skip ${spec.skip}`)
      if (spec.isVoid) words.push("void")
      if (spec.undo !== "none") words.push(`undo ${spec.undo}`)
      if (spec.gate !== undefined) words.push(`gate: ${told(spec.gate)}`)
    }
    if (spec.kind === "wait") words.push(spec.on === "timer" ? `timer ${spec.delayMs}ms` : `${spec.on}: ${told(spec)}`)
    if (spec.kind === "wait" && spec.isTransient && spec.on === "signal") words.push("transient")
    if (spec.kind === "wait" && spec.channel !== undefined) words.push(`of ${spec.channel}`)
    if (isRegion(spec)) {
      if (spec.timeoutMs !== undefined) words.push(`within ${spec.timeoutMs}ms or ${spec.onTimeout}`)
      if (spec.isOpenToAll) words.push("left from outside")
    }
    if (spec.kind === "scope") words.push(`leaves ${spec.leaves}`)
    if (spec.kind === "race")
      words.push(`count=${spec.count}`, spec.isList ? "list" : "", `on failure ${spec.onFailure}`, `rest ${spec.rest}`)
    if (spec.kind === "list") {
      words.push(`[${spec.keys.join(" ")}]`, spec.isSettled ? "settled" : "", `rest ${spec.rest}`)
      if (spec.concurrency !== undefined) words.push(`concurrency=${spec.concurrency}`)
      if (spec.enough !== undefined) words.push(`until ${spec.enough}`)
      if (spec.feed !== undefined) words.push(`${spec.feed.grows} more of ${spec.feed.target}`)
    }
    if (spec.kind === "try" && spec.filter === "some") words.push("catches some")
    if (spec.kind === "saga") words.push(spec.onCompensated)
    if (spec.kind === "parallel") {
      if (spec.maxConcurrency !== undefined) words.push(`maxConcurrency=${spec.maxConcurrency}`)
      if (spec.failFast) words.push("failFast")
    }
    if (spec.kind === "loop" && spec.late !== undefined) words.push("draws more once its body is done")
    if (spec.kind === "loop")
      words.push(`maxIterations=${spec.maxIterations}`, spec.onMaxReached, spec.mayBeEmpty ? "may be empty" : "")
    if ("throws" in spec && spec.throws) words.push("throws")
    if ("needs" in spec && spec.needs.length > 0) {
      words.push(`<- ${spec.needs.map(({ target, pass }) => (pass === "current" ? target : `${pass} ${target}`)).join(", ")}`)
    }
    lines.push(words.filter((word) => word !== "").join(" "))
    for (const part of written(spec)) {
      const role = spec.kind !== "try" || part === spec.body ? "" : part === spec.caught ? "catch: " : "finally: "
      visit(part, `${indent}  `, role)
    }
  }
  visit(scenario.root, "  ", "")
  const faults = scenario.faults.map(({ edge, commit }) => `${edge} commit ${commit}`).join(", then ")
  return [`plan, ${scenario.maxConcurrency} at once:`, ...lines, `faults: ${faults === "" ? "none" : faults}`].join("\n")
}
