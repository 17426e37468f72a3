/**
 * A random plan as plain data, with what its steps and predicates will do and when its processes will die. Everything follows
 * from the seed, and it can be cut smaller without changing how the rest behaves.
 */
import * as Random from "./Random.ts"

/** A need, by the label of the node it is of. */
export interface NeedSpec {
  readonly name: string
  readonly target: string
  readonly pass: "current" | "previous"
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
}

export type Spec = StepSpec | SequenceSpec | ParallelSpec | BranchSpec | LoopSpec

/**
 * How a process ends: it dies just `before` or just `after` its `commit`-th commit reaches the store, it is `paused` before it
 * for longer than its lease, or it is asked to stop after it. Commit 0 is the moment at which it has claimed the run and knows
 * nothing of it. Each process of a run has one fault; the process after the last fault runs to the end.
 */
export interface Fault {
  readonly edge: "before" | "after" | "paused" | "shutdown"
  readonly commit: number
}

export interface Scenario {
  readonly seed: number
  readonly root: Spec
  readonly maxConcurrency: number
  readonly faults: ReadonlyArray<Fault>
}

/** The direct parts of a node, in document order. */
export const parts = (spec: Spec): ReadonlyArray<Spec> => {
  switch (spec.kind) {
    case "step":
      return []
    case "sequence":
    case "parallel":
      return spec.children
    case "branch":
      return spec.arms
    case "loop":
      return [spec.body]
  }
}

const withParts = (spec: Spec, replaced: ReadonlyArray<Spec>): Spec => {
  switch (spec.kind) {
    case "step":
      return spec
    case "sequence":
    case "parallel":
      return { ...spec, children: replaced }
    case "branch":
      return { ...spec, arms: replaced as unknown as BranchSpec["arms"] }
    case "loop":
      return { ...spec, body: replaced[0] as Spec }
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
}

export const index = (root: Spec): Index => {
  const nodes: Array<Spec> = []
  const position = new Map<string, number>()
  const parents = new Map<string, Spec>()
  const visit = (spec: Spec): void => {
    position.set(spec.label, nodes.push(spec) - 1)
    for (const part of parts(spec)) {
      parents.set(part.label, spec)
      visit(part)
    }
  }
  visit(root)
  const parent = (label: string): Spec | undefined => parents.get(label)
  return {
    nodes,
    position,
    find: (label) => nodes[position.get(label) as number] as Spec,
    parent,
    contains: (outer, inner) => {
      for (let here: string | undefined = inner; here !== undefined; here = parent(here)?.label) if (here === outer) return true
      return false
    },
    loopOf: (label) => {
      for (let up = parent(label); up !== undefined; up = parent(up.label)) if (up.kind === "loop") return up
      return undefined
    },
  }
}

/** Whether a node may need the value that another one has in the same pass. */
const mayNeed = (plan: Index, reader: string, target: string): boolean => {
  const isOwnBody = reader !== target && plan.contains(reader, target)
  if (isOwnBody && plan.find(reader).kind !== "loop") return false
  if (!isOwnBody && (plan.contains(target, reader) || at(plan, target) > at(plan, reader))) return false
  for (let up = plan.parent(target); up !== undefined; up = plan.parent(up.label)) {
    if (up.label === reader) break
    if (up.kind === "branch" && !(plan.contains(up.label, reader) && armOf(plan, up, reader) === armOf(plan, up, target)))
      return false
    if (plan.contains(up.label, reader)) break
  }
  return true
}

const at = (plan: Index, label: string): number => plan.position.get(label) as number

const armOf = (plan: Index, branch: BranchSpec, label: string): number =>
  branch.arms.findIndex((arm) => plan.contains(arm.label, label))

/** Whether a node may need the value that a step had in the pass before. */
const mayNeedPrevious = (plan: Index, reader: string, target: Spec): boolean => {
  const around = plan.loopOf(target.label)
  return target.kind === "step" && around !== undefined && plan.contains(around.label, reader)
}

const structure = (random: Random.Random, size: number): Spec => {
  let left = size
  let labels = 0
  const label = (kind: string): string => `${kind}${labels++}`
  const step = (): StepSpec => {
    const flaw = random.chance(0.2) ? random.pick(["flaky", "flaky", "failing", "fatal"] as const) : "none"
    return {
      kind: "step",
      label: label("s"),
      needs: [],
      flaw,
      maxAttempts: 1 + random.int(3),
      delayMs: random.pick([0, 1, 20, 20, 300]),
      isSoft: random.chance(flaw === "failing" || flaw === "fatal" ? 0.75 : 0.1),
      skip: random.chance(0.1) ? (random.chance(0.05) ? "throws" : "sometimes") : "never",
      isVoid: random.chance(0.08),
    }
  }
  const some = (depth: number, least: number): ReadonlyArray<Spec> => {
    const children: Array<Spec> = []
    const count = least + random.int(4)
    for (let child = 0; child < count && (left > 0 || child < least); child++) children.push(node(depth + 1))
    return children
  }
  const node = (depth: number): Spec => {
    left--
    const kind = depth > 5 || left <= 0 ? 0 : random.int(11)
    if (kind < 4) return step()
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
    return {
      kind: "loop",
      label: label("loop"),
      needs: [],
      throws: random.chance(0.015),
      mayBeEmpty: random.chance(0.15),
      maxIterations: random.chance(0.15) ? Number.POSITIVE_INFINITY : 1 + random.int(3),
      onMaxReached: random.chance(0.06) ? "fail" : "return-last",
      body: node(depth + 1),
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
  const plan = index(root)
  const choose = (reader: Spec): ReadonlyArray<NeedSpec> => {
    const chosen: Array<NeedSpec> = []
    const current = plan.nodes.filter(({ label }) => mayNeed(plan, reader.label, label))
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
    return chosen
  }
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, parts(spec).map(visit))
    return "needs" in replaced ? { ...replaced, needs: choose(spec) } : replaced
  }
  return visit(root)
}

/** The scenario of a seed. */
export const make = (seed: number): Scenario => {
  const random = Random.make(seed)
  const root = withNeeds(random, structure(random, 1 + random.int(45)))
  const faults = Array.from({ length: random.pick([1, 1, 1, 2, 3, 4]) }, () => ({
    edge: random.pick(["before", "before", "after", "after", "paused", "shutdown"] as const),
    commit: Math.min(random.int(30), random.int(30)),
  }))
  return { seed, root, maxConcurrency: random.pick([1, 2, 4, 4, 16]), faults }
}

/** Drops the needs of nodes that are no longer there or no longer where they may be needed. */
const repair = (root: Spec): Spec => {
  const plan = index(root)
  const holds = (reader: string, { target, pass }: NeedSpec): boolean => {
    if (!plan.position.has(target)) return false
    return pass === "current" ? mayNeed(plan, reader, target) : mayNeedPrevious(plan, reader, plan.find(target))
  }
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, parts(spec).map(visit))
    return "needs" in replaced ? { ...replaced, needs: replaced.needs.filter((need) => holds(spec.label, need)) } : replaced
  }
  return visit(root)
}

/** Plans that are one cut smaller. */
const smallerSpecs = (spec: Spec): ReadonlyArray<Spec> => {
  const inside = parts(spec)
  const cuts: Array<Spec> = [...inside]
  if (spec.kind === "sequence" || spec.kind === "parallel") {
    for (let child = 0; child < inside.length; child++) cuts.push(withParts(spec, inside.toSpliced(child, 1)))
  }
  if (spec.kind === "branch" && spec.arms.length === 2) cuts.push({ ...spec, arms: [spec.arms[0]] })
  if (spec.kind === "parallel") {
    if (spec.failFast) cuts.push({ ...spec, failFast: false })
    if (spec.maxConcurrency !== undefined) cuts.push({ ...spec, maxConcurrency: undefined })
  }
  if ("needs" in spec) {
    for (let need = 0; need < spec.needs.length; need++) cuts.push({ ...spec, needs: spec.needs.toSpliced(need, 1) })
  }
  if (spec.kind === "step") {
    if (spec.flaw !== "none") cuts.push({ ...spec, flaw: "none" })
    if (spec.skip !== "never") cuts.push({ ...spec, skip: "never" })
    if (spec.isVoid) cuts.push({ ...spec, isVoid: false })
    if (spec.isSoft) cuts.push({ ...spec, isSoft: false })
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

/** The scenario after somebody has mended everything that fails the run and can be mended. */
export const mended = (scenario: Scenario): Scenario => {
  const visit = (spec: Spec): Spec => {
    const replaced = withParts(spec, parts(spec).map(visit))
    if (replaced.kind === "loop") return { ...replaced, throws: false, onMaxReached: "return-last" }
    if (replaced.kind === "branch") return { ...replaced, throws: false }
    if (replaced.kind !== "step") return replaced
    const flaw = replaced.isSoft || replaced.flaw === "flaky" ? replaced.flaw : "none"
    return { ...replaced, flaw, skip: replaced.skip === "throws" && !replaced.isSoft ? "never" : replaced.skip }
  }
  return { ...scenario, root: visit(scenario.root) }
}

/** The scenario as people read it. */
export const describe = (scenario: Scenario): string => {
  const lines: Array<string> = []
  const visit = (spec: Spec, indent: string): void => {
    const words: Array<string> = [indent + spec.label]
    if (spec.kind === "step") {
      if (spec.flaw !== "none") words.push(spec.flaw, `maxAttempts=${spec.maxAttempts}`, `delay=${spec.delayMs}ms`)
      if (spec.isSoft) words.push("continueOnFail")
      if (spec.skip !== "never") words.push(`skip ${spec.skip}`)
      if (spec.isVoid) words.push("void")
    }
    if (spec.kind === "parallel") {
      if (spec.maxConcurrency !== undefined) words.push(`maxConcurrency=${spec.maxConcurrency}`)
      if (spec.failFast) words.push("failFast")
    }
    if (spec.kind === "loop")
      words.push(`maxIterations=${spec.maxIterations}`, spec.onMaxReached, spec.mayBeEmpty ? "may be empty" : "")
    if ("throws" in spec && spec.throws) words.push("throws")
    if ("needs" in spec && spec.needs.length > 0) {
      words.push(`<- ${spec.needs.map(({ target, pass }) => (pass === "previous" ? `previous ${target}` : target)).join(", ")}`)
    }
    lines.push(words.filter((word) => word !== "").join(" "))
    for (const part of parts(spec)) visit(part, `${indent}  `)
  }
  visit(scenario.root, "  ")
  const faults = scenario.faults.map(({ edge, commit }) => `${edge} commit ${commit}`).join(", then ")
  return [`plan, ${scenario.maxConcurrency} at once:`, ...lines, `faults: ${faults === "" ? "none" : faults}`].join("\n")
}
