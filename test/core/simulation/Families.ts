/**
 * Random families of runs as plain data, and the workflows that they are: a parent with child runs, some of which have child runs of their
 * own. Everything follows from the seed. Whatever may fail for good inside of something parallel is caught there, so that what becomes of a
 * family does not depend on the order in which its steps end.
 */
import type * as Builder from "@smithers/core/Builder"
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

export type Node = Step | Subflow | Group | Loop | Saga | Try

/** One workflow of a family; its name is its own. */
export interface Member {
  readonly name: string
  readonly root: Node
}

export interface Family extends Member {
  readonly seed: number
}

/** Nodes inside of a node, but not those of child runs. */
export const inside = (node: Node): ReadonlyArray<Node> => {
  switch (node.kind) {
    case "step":
    case "subflow":
      return [node]
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
export const members = (member: Member): ReadonlyMap<string, Member> =>
  new Map([
    [member.name, member],
    ...inside(member.root).flatMap((node) => (node.kind === "subflow" ? [...members(node.member)] : [])),
  ])

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
    return { name, root: { kind: "sequence", children: [...children, ...rest] } }
  }
  return { seed, ...member(0, false) }
}

const Input = Schema.Struct({ seed: Schema.Number, from: Schema.String })
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
  const build = ({ name, root }: Member): FamilyWorkflow =>
    Smithers.createWorkflow({ name, input: Input }).build(($) => {
      const made = new Map<string, Builder.Node<unknown>>()
      const needs = ({ need }: Leaf): Builder.Needs =>
        need === undefined ? {} : { before: made.get(need) as Builder.Node<unknown> }
      const seenOf = ({ input, before }: { readonly input?: unknown; readonly before?: unknown }): string =>
        Random.hash(Behaviour.text([input, before]) ?? "").toString(36)
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
      const write = (node: Node): Builder.Node<unknown> => {
        switch (node.kind) {
          case "step":
            return $.step(node.label, {
              output: Output,
              needs: needs(node),
              retry: { maxAttempts: 3, backoff: "constant", initialDelay: 20, jitter: false },
              continueOnFail: node.isSoft,
              run: call(node, false),
              ...(node.undo === "none" ? {} : { compensate: call(node, true) }),
            })
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
