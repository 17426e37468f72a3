/**
 * Random families of runs as plain data, and the workflows that they are: a parent with child runs, some of which have child runs of their
 * own. Everything follows from the seed. Whatever may fail for good inside of something parallel is caught there, so that what becomes of a
 * family does not depend on the order in which its steps end.
 */
import type * as Builder from "@smithers/core/Builder"
import { partId } from "@smithers/core/Ids"
import * as Smithers from "@smithers/core/Smithers"
import type { StepContext } from "@smithers/core/StepProgram"
import * as Random from "@smithers/testing/Random"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Behaviour from "./Behaviour.ts"

interface Leaf {
  readonly label: string
  /** The node just before it in its sequence, where that has an output for certain. */
  readonly need: string | undefined
}

interface Step extends Leaf {
  readonly kind: "step"
  /** `flaky` fails and then succeeds; `failing` fails for good, in some of its passes. */
  readonly flaw: "none" | "flaky" | "failing"
  readonly isSoft: boolean
  readonly undo: "none" | "works" | "flaky"
}

export interface Subflow extends Leaf {
  readonly kind: "subflow"
  readonly member: Member
  readonly isAttached: boolean
  readonly onFail: "fail" | "continue"
}

/** A wait for a signal that nobody sends. */
interface Silence {
  readonly kind: "silence"
  readonly label: string
}

/** What is left as soon as its step has ended: the child run beside it never ends by itself. */
interface Region {
  readonly kind: "race" | "scope"
  readonly label: string
  readonly quick: Step
  readonly stuck: Subflow
  /** Takes what both have given, if they have. */
  readonly after: Step
}

/** A list with a child run for each item. */
interface Items {
  readonly kind: "items"
  readonly label: string
  readonly keys: ReadonlyArray<string>
  readonly maxConcurrency: number | undefined
  readonly each: Subflow
}

/** Its own workflow again, some levels down. */
interface Again {
  readonly kind: "again"
  readonly subflow: Subflow
  readonly depth: number
}

interface Group {
  readonly kind: "sequence" | "parallel"
  readonly children: ReadonlyArray<Node>
}

interface Loop {
  readonly kind: "loop"
  readonly label: string
  readonly passes: number
  readonly body: Node
}

export interface Saga {
  readonly kind: "saga"
  readonly label: string
  readonly onCompensated: "fail" | "continue"
  readonly body: Node
}

interface Try {
  readonly kind: "try"
  readonly label: string
  readonly body: Node
  readonly caught: Node
}

export type Node = Step | Subflow | Silence | Region | Items | Again | Group | Loop | Saga | Try

/** One workflow of a family; its name is its own. */
export interface Member {
  readonly name: string
  readonly root: Node
  /** It never ends by itself, so that it is cancelled with the region around it. */
  readonly isEndless?: boolean
}

export interface Family extends Member {
  readonly seed: number
}

/** Nodes inside of a node, but not those of child runs. */
export const inside = (node: Node): ReadonlyArray<Node> => {
  switch (node.kind) {
    case "step":
    case "subflow":
    case "silence":
      return [node]
    case "race":
    case "scope":
      return [node, node.quick, node.stuck, node.after]
    case "items":
      return [node, node.each]
    case "again":
      return [node, node.subflow]
    case "sequence":
    case "parallel":
      return [node, ...node.children.flatMap(inside)]
    case "loop":
    case "saga":
      return [node, ...inside(node.body)]
    case "try":
      return [node, ...inside(node.body), ...inside(node.caught)]
  }
}

/** Workflows of a family by name. */
export const members = (member: Member): ReadonlyMap<string, Member> => {
  const found = new Map<string, Member>()
  const visit = (one: Member): void => {
    if (found.has(one.name)) return
    found.set(one.name, one)
    for (const node of inside(one.root)) if (node.kind === "subflow") visit(node.member)
  }
  visit(member)
  return found
}

/** The label of a node as it is written: without the items that it is of. */
export const writtenOf = (nodeId: string): string => nodeId.slice(nodeId.lastIndexOf("].") + 1).replace(/^\./, "")

/** Names of nodes of which it depends on chance how far they come: they are left. */
export const leftIn = (member: Member): ReadonlySet<string> =>
  new Set(
    inside(member.root).flatMap((node) =>
      node.kind === "race" || node.kind === "scope" ? [node.stuck.label, partId(node.label, "stuck")] : [],
    ),
  )

/** How often each kind stands in a family. */
export const census = (family: Family): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const member of members(family).values())
    for (const { kind } of inside(member.root)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

/** Where a node stands. */
interface Place {
  /** Whether a failure for good that is met by nothing here leaves nothing to chance. */
  readonly mayFail: boolean
  /** Whether something outside meets it: there are more failures then. */
  readonly isGuarded: boolean
  readonly isInSaga: boolean
  readonly isInLoop: boolean
}

/** The family of a seed. */
export const make = (seed: number): Family => {
  const random = Random.make(Random.hash(seed, "family"))
  const regions = Random.make(Random.hash(seed, "regions"))
  let count = 0
  const member = (generation: number, isCalm: boolean): Member => {
    const name = `w${count++}`
    let labels = 0
    const label = (kind: string): string => `${kind}${labels++}`
    /** Child runs that are still to be placed. */
    let left = generation === 0 ? 1 + random.int(3) : generation === 1 && random.chance(0.35) ? 1 : 0
    const step = ({ mayFail, isGuarded, isInSaga }: Place, need: string | undefined): Step => {
      const isSoft = random.chance(0.15)
      const mayBreak = (mayFail && random.chance(isGuarded ? 0.35 : 0.12)) || (isSoft && random.chance(0.5))
      return {
        kind: "step",
        label: label("s"),
        need,
        flaw: mayBreak ? "failing" : random.chance(0.2) ? "flaky" : "none",
        isSoft,
        undo: isInSaga && random.chance(0.8) ? random.pick(["works", "works", "flaky"] as const) : "none",
      }
    }
    const subflow = ({ mayFail }: Place, need: string | undefined): Subflow => {
      left--
      const isAttached = random.chance(0.8)
      const onFail = random.chance(0.35) ? "continue" : "fail"
      const isCalm = isAttached && onFail === "fail" && !mayFail
      return { kind: "subflow", label: label("sub"), need, member: member(generation + 1, isCalm), isAttached, onFail }
    }
    const plain = ({ isInSaga }: Place): Step => ({
      kind: "step",
      label: label("s"),
      need: undefined,
      flaw: regions.chance(0.3) ? "flaky" : "none",
      isSoft: false,
      undo: isInSaga && regions.chance(0.5) ? "works" : "none",
    })
    const attached = (of: Member): Subflow => ({
      kind: "subflow",
      label: label("sub"),
      need: undefined,
      member: of,
      isAttached: true,
      onFail: "fail",
    })
    const endless = (depth: number): Member => {
      const of = `w${count++}`
      const root: Node = depth > 0 ? { ...attached(endless(depth - 1)), label: "sub0" } : { kind: "silence", label: "silence" }
      return { name: of, root, isEndless: true }
    }
    const region = (place: Place): Region => ({
      kind: regions.pick(["race", "scope"] as const),
      label: label("region"),
      quick: plain(place),
      stuck: attached(endless(regions.int(2))),
      after: plain(place),
    })
    const items = (): Items => ({
      kind: "items",
      label: label("items"),
      keys: ["a", "b", "c"].slice(0, 1 + regions.int(3)),
      maxConcurrency: regions.pick([undefined, 1, 2]),
      each: attached(member(2, true)),
    })
    const isCertain = (node: Node): node is Step | Subflow =>
      (node.kind === "step" && !node.isSoft) || (node.kind === "subflow" && (!node.isAttached || node.onFail === "fail"))
    const sequence = (place: Place, depth: number, least: number, most: number): Group => {
      const children: Array<Node> = []
      const length = least + random.int(most - least + 1)
      for (let index = 0; index < length; index++) {
        const last = children.at(-1)
        children.push(node(place, depth + 1, last !== undefined && isCertain(last) ? last.label : undefined))
      }
      return { kind: "sequence", children }
    }
    const node = (place: Place, depth: number, need: string | undefined): Node => {
      if (regions.chance(0.1)) return region(place)
      if (generation < 2 && !place.isInSaga && regions.chance(0.08)) return items()
      if (left > 0 && random.chance(depth > 1 ? 0.6 : 0.3)) return subflow(place, need)
      const kind = depth > 3 ? 0 : random.int(12)
      if (kind < 6) return step(place, need)
      if (kind === 6 || kind === 7) {
        const inner = { ...place, mayFail: false }
        const children = [node(inner, depth + 1, undefined), sequence(inner, depth + 1, 1, 2)]
        if (random.chance(0.4)) children.push(node(inner, depth + 1, undefined))
        return { kind: "parallel", children }
      }
      if (kind === 8 && !place.isInSaga && !place.isInLoop) {
        const body = sequence({ ...place, isInLoop: true }, depth + 1, 1, 2)
        return { kind: "loop", label: label("loop"), passes: 1 + random.int(3), body }
      }
      if (kind < 10 && !place.isInSaga) {
        const onCompensated = place.mayFail && random.chance(0.4) ? "fail" : "continue"
        const body = sequence({ ...place, mayFail: true, isGuarded: true, isInSaga: true }, depth + 1, 2, 3)
        return { kind: "saga", label: label("saga"), onCompensated, body }
      }
      const body = sequence({ ...place, mayFail: true, isGuarded: true }, depth + 1, 1, 3)
      return { kind: "try", label: label("try"), body, caught: sequence(place, depth + 1, 1, 1) }
    }
    const place = { mayFail: !isCalm, isGuarded: generation > 0, isInSaga: false, isInLoop: false }
    const most = generation === 0 ? 4 : 3
    const { children } = sequence(place, 0, generation === 0 ? 2 : 1, most)
    const rest: Array<Node> = []
    while (left > 0) rest.push(subflow(place, undefined))
    const isRecursive = isCalm && generation === 1 && regions.chance(0.5)
    const root: Group = { kind: "sequence", children: [...children, ...rest] }
    const made: { name: string; root: Group } = { name, root }
    if (isRecursive) {
      const again: Again = { kind: "again", subflow: attached(made), depth: 1 + regions.int(2) }
      made.root = { kind: "sequence", children: [...root.children, again] }
    }
    return made
  }
  return { seed, ...member(0, false) }
}

const Input = Schema.Struct({ seed: Schema.Number, from: Schema.String, depth: Schema.optional(Schema.Number) })
const Output = Schema.Struct({ from: Schema.String, row: Schema.NumberFromString, seen: Schema.String })

export type FamilyWorkflow = Smithers.Workflow<typeof Input.Encoded, unknown>

/** What a body is called with. */
export interface Call {
  readonly step: Step
  readonly isUndo: boolean
  readonly runId: string
  /** Counted over the whole run. */
  readonly iteration: number
  /** What it was given, as text. */
  readonly seen: string
}

/** The parent of a family as a workflow; `body` is called for every attempt of every run. */
export const lower = (family: Family, body: (call: Call) => Effect.Effect<unknown, unknown>): FamilyWorkflow => {
  const { seed } = family
  const build = ({ name, root }: Member): FamilyWorkflow => {
    const self: FamilyWorkflow = Smithers.createWorkflow({ name, input: Input }).build(($) => {
      const made = new Map<string, Builder.Node<unknown>>()
      const needs = ({ need }: Leaf): Builder.Needs =>
        need === undefined ? {} : { before: made.get(need) as Builder.Node<unknown> }
      const seenOf = (context: { readonly input?: unknown; readonly before?: unknown; readonly lost?: unknown }): string =>
        Random.hash(Behaviour.text([context.input, context.before, context.lost]) ?? "").toString(36)
      const call = (step: Step, isUndo: boolean) => (context: StepContext<unknown>) => {
        const { runId, idempotencyKey } = context
        const iteration = Number(idempotencyKey.split(":")[2])
        return body({ step, isUndo, runId, iteration, seen: seenOf(context) }) as Effect.Effect<never, unknown>
      }
      const visit = (node: Node): Builder.Node<unknown> => {
        const written = write(node)
        if (node.kind === "step" || node.kind === "subflow") made.set(node.label, written)
        return written
      }
      const step = (node: Step, needed: Builder.Needs): Builder.Node<unknown> =>
        $.step(node.label, {
          output: Output,
          needs: needed,
          retry: { maxAttempts: 3, backoff: "constant", initialDelay: 20, jitter: false },
          continueOnFail: node.isSoft,
          run: call(node, false),
          ...(node.undo === "none" ? {} : { compensate: call(node, true) }),
        })
      const write = (node: Node): Builder.Node<unknown> => {
        switch (node.kind) {
          case "step":
            return step(node, needs(node))
          case "silence":
            return $.signal(node.label, { name: "never", payload: Schema.Unknown })
          case "race":
          case "scope": {
            const { label: id } = node
            const [quick, stuck] = [visit(node.quick), visit(node.stuck)]
            const left =
              node.kind === "race"
                ? $.race({ quick, stuck }, { id })
                : $.scope({
                    id,
                    needs: { quick },
                    body: $.parallel(quick, $.sequence(stuck)),
                    completeWhen: ({ quick }) => quick !== undefined,
                  })
            return $.sequence(left, step(node.after, { before: $.maybe(quick), lost: $.maybe(stuck) }))
          }
          case "items": {
            const { label: id, keys, each, maxConcurrency } = node
            return $.map({
              id,
              items: () => keys,
              ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
              body: (item) =>
                $.subflow(each.label, {
                  needs: { item },
                  workflow: build(each.member),
                  input: ({ item }) => ({ seed, from: `${each.label} ${item}` }),
                }),
            })
          }
          case "again": {
            const { label } = node.subflow
            const depthOf = (input: { readonly depth?: number | undefined }): number => input.depth ?? node.depth
            return $.branch({
              needs: {},
              when: ({ input }) => depthOf(input) > 0,
              then: $.subflow(label, {
                workflow: () => self,
                input: ({ input }) => ({ seed, from: label, depth: depthOf(input) - 1 }),
              }),
            })
          }
          case "subflow":
            return $.subflow(node.label, {
              needs: needs(node),
              workflow: build(node.member),
              input: (context) => ({ seed, from: `${node.label} ${seenOf(context as never)}` }),
              attach: node.isAttached,
              onFail: node.onFail,
            })
          case "sequence":
            return $.sequence(...node.children.map(visit))
          case "parallel":
            return $.parallel(...node.children.map(visit))
          case "loop": {
            const { label: id, passes } = node
            return $.loop({ id, body: visit(node.body), until: ({ iteration }) => iteration >= passes, maxIterations: passes })
          }
          case "saga":
            return $.saga(visit(node.body), { id: node.label, onCompensated: node.onCompensated })
          case "try": {
            const body = visit(node.body)
            return $.tryCatch({ id: node.label, try: body, catch: visit(node.caught) })
          }
        }
      }
      return visit(root)
    })
    return self
  }
  return build(family)
}

/** What an attempt comes to that follows `failures` failed ones: a failure, or what the step gives. */
export const behave = (
  seed: number,
  { step, isUndo, runId, iteration, seen }: Call,
  failures: number,
): { readonly fails: string } | { readonly gives: unknown } => {
  const roll = Random.hash(seed, runId, step.label, iteration)
  const flaw = isUndo ? step.undo : step.flaw
  if (flaw === "flaky" && failures < 1 + (roll % 2)) return { fails: "not yet" }
  if (flaw === "failing" && roll % 4 > 0) return { fails: "broken" }
  return { gives: isUndo ? undefined : { from: `${runId} ${step.label}`, row: String(iteration), seen } }
}

/** A family as text, a line for each node. */
export const describe = (member: Member, depth = 0): string => {
  const lines: Array<string> = []
  const visit = (node: Node, depth: number): void => {
    const say = (text: string): void => void lines.push(`${"  ".repeat(depth)}${text}`)
    switch (node.kind) {
      case "step":
        return say(`${node.label}${node.flaw === "none" ? "" : ` ${node.flaw}`}${node.isSoft ? " soft" : ""} undo ${node.undo}`)
      case "subflow":
        say(`${node.label} ${node.isAttached ? "attached" : "alone"} onFail ${node.onFail}: ${node.member.name}`)
        lines.push(describe(node.member, depth + 1))
        return
      case "silence":
        return say(node.label)
      case "race":
      case "scope":
        say(`${node.kind} ${node.label}`)
        for (const child of [node.quick, node.stuck, node.after]) visit(child, depth + 1)
        return
      case "items":
        say(`${node.label} of ${node.keys.join(" ")}, ${node.maxConcurrency ?? "all"} at once`)
        return visit(node.each, depth + 1)
      case "again":
        return say(`${node.subflow.label} again, ${node.depth} deep`)
      case "sequence":
      case "parallel":
        say(node.kind)
        for (const child of node.children) visit(child, depth + 1)
        return
      case "loop":
      case "saga":
        say(node.kind === "loop" ? `${node.label} ${node.passes} times` : `${node.label} then ${node.onCompensated}`)
        return visit(node.body, depth + 1)
      case "try":
        say(node.label)
        visit(node.body, depth + 1)
        say("catch")
        visit(node.caught, depth + 1)
    }
  }
  visit(member.root, depth)
  return lines.join("\n")
}
