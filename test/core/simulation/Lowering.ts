/** A scenario as a workflow, written with the builder like any other. */
import type * as Builder from "@smithers/core/Builder"
import type { Planner } from "@smithers/core/Definition"
import type { Plan } from "@smithers/core/Plan"
import * as RunState from "@smithers/core/RunState"
import * as Smithers from "@smithers/core/Smithers"
import type { StepContext } from "@smithers/core/StepProgram"
import { hash } from "@smithers/testing/Random"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Behaviour from "./Behaviour.ts"
import { failedLabel, locate } from "./Ledger.ts"
import {
  type BranchSpec,
  channelOf,
  index,
  keyAt,
  type ListSpec,
  type LoopSpec,
  meets,
  parts,
  pathOf,
  type RegionSpec,
  type Scenario,
  type ScopeSpec,
  type Spec,
  type StepSpec,
  type Verdict,
  type WaitSpec,
  written,
} from "./Scenario.ts"

const Input = Schema.Struct({ seed: Schema.Number })
const Output = Schema.Struct({ from: Schema.String, row: Schema.NumberFromString, seen: Schema.String })

export type SimulatedWorkflow = Smithers.Workflow<typeof Input.Encoded, unknown>

/** An item of a list: its path stands before the labels of its nodes. */
interface Item {
  readonly key: string
  readonly path: string
}

/** The path of the item that a function is called for. */
const pathIn = (context: { readonly item?: Item }): string => context.item?.path ?? ""

/** What a body is called with: its node, and the context with the needs in it. */
export interface Call {
  readonly spec: StepSpec
  /** Undoes the step; what it gave is then among the needs, as its `output`. */
  readonly isUndo: boolean
  readonly idempotencyKey: string
  readonly attempt: number
  readonly needs: { readonly [name: string]: unknown }
}

/** Builds the workflow; `body` is called for every attempt. Of loops that draw more late it has that where it is `shown`. */
export const lower = (
  scenario: Scenario,
  body: (call: Call) => Effect.Effect<unknown, unknown>,
  shown: (loop: LoopSpec) => boolean = () => true,
): SimulatedWorkflow => {
  const { seed, root, maxConcurrency } = scenario
  return Smithers.createWorkflow({ name: "simulated", input: Input, maxConcurrency }).build(($) => {
    const made = new Map<string, Builder.Node<unknown>>()
    const plan = index(root)
    /** The items that what is being written is done for, of the innermost list. */
    let item: Builder.Reference<Item> | undefined
    /** What stands in the plan for what is written, by the item that it is done for. */
    const found = <S extends Spec>(spec: S, context: object): S => plan.find(pathIn(context) + spec.label) as S
    const needs = (spec: StepSpec | WaitSpec | BranchSpec | LoopSpec | ScopeSpec | ListSpec): Builder.Needs => ({
      ...(item === undefined ? {} : { item }),
      ...Object.fromEntries(
        spec.needs.map(({ name, target, pass }) => [
          name,
          pass === "previous"
            ? $.previous(target, schemas.get(target) ?? Output)
            : pass === "caught"
              ? $.caught(target)
              : pass === "maybe"
                ? $.maybe(made.get(target) as Builder.Node<unknown>)
                : (made.get(target) as Builder.Node<unknown>),
        ]),
      ),
    })
    const schemas = new Map<string, typeof Output | typeof Schema.Void>()
    const declare = (spec: Spec): void => {
      if (spec.kind === "step" && spec.isVoid) schemas.set(spec.label, Schema.Void)
      written(spec).forEach(declare)
    }
    const visit = (spec: Spec): Builder.Node<unknown> => {
      const node = write(spec)
      made.set(spec.label, node)
      return node
    }
    const call = (spec: StepSpec, isUndo: boolean) => (context: StepContext<unknown>) => {
      const { idempotencyKey, attempt, ...rest } = context
      const [label] = locate(idempotencyKey.split(":")[1] as string)
      const isGiven = (name: string) => (isUndo && name === "output") || spec.needs.some((need) => need.name === name)
      const needs = Object.fromEntries(Object.entries(rest).filter(([name]) => isGiven(name)))
      return body({ spec: plan.find(label) as StepSpec, isUndo, idempotencyKey, attempt, needs }) as Effect.Effect<never, unknown>
    }
    const limit = <T extends Verdict["onTimeout"]>({ verdict, delayMs, onTimeout }: Verdict) =>
      verdict === "silent" ? { timeout: delayMs, onTimeout: onTimeout as T } : {}
    const onDeny = ({ onDeny: wanted }: Verdict) => (wanted === "continue" ? "skip" : wanted)
    const wait = (spec: WaitSpec): Builder.Node<unknown> => {
      const { label, on, delayMs } = spec
      const common = { needs: needs(spec) }
      if (on === "timer") return $.timer(label, { ...common, duration: delayMs })
      if (on === "signal") {
        const correlation = (context: object) => `mine${pathIn(context)}`
        const transient = spec.isTransient ? { transient: true } : {}
        return $.signal(label, {
          ...common,
          ...transient,
          ...limit<"fail">(spec),
          name: channelOf(spec),
          payload: Output,
          correlation,
        })
      }
      if (on === "human") return $.human(label, { ...common, ...limit<"fail">(spec), prompt: "?", output: Output })
      return $.approval(label, { ...common, ...limit<"fail">(spec), request: () => ({ title: label }), onDeny: spec.onDeny })
    }
    const region = ({ timeoutMs, onTimeout }: RegionSpec) => (timeoutMs === undefined ? {} : { timeout: timeoutMs, onTimeout })
    const write = (spec: Spec): Builder.Node<unknown> => {
      switch (spec.kind) {
        case "step":
          return $.step(spec.label, {
            output: (schemas.get(spec.label) ?? Output) as typeof Output,
            needs: needs(spec),
            retry:
              spec.maxAttempts === 1
                ? false
                : { maxAttempts: spec.maxAttempts, backoff: "constant", initialDelay: spec.delayMs, jitter: false },
            continueOnFail: spec.isSoft,
            ...(spec.skip === "never" ? {} : { skipIf: (context) => Behaviour.isSkipped(seed, found(spec, context), context) }),
            run: call(spec, false),
            ...(spec.gate === undefined ? {} : { needsApproval: { ...limit(spec.gate), onDeny: onDeny(spec.gate) } }),
            ...(spec.undo === "none" ? {} : { compensate: call(spec, true) }),
          })
        case "wait":
          return wait(spec)
        case "sequence":
          return $.sequence(...spec.children.map(visit))
        case "parallel": {
          const { maxConcurrency: cap, failFast } = spec
          return $.parallel(...spec.children.map(visit), { failFast, ...(cap === undefined ? {} : { maxConcurrency: cap }) })
        }
        case "branch": {
          const declared = needs(spec)
          const then = visit(spec.arms[0])
          const otherwise = spec.arms[1] === undefined ? {} : { else: visit(spec.arms[1]) }
          const isTaken = (context: Parameters<typeof Behaviour.isTaken>[2]): boolean =>
            Behaviour.isTaken(seed, found(spec, context), context)
          // A switch is a branch with names: half of those that have both arms are written as one, in one way or the other.
          const form = otherwise.else === undefined ? 0 : hash(seed, spec.label, 0) % 4
          const on = (context: Parameters<typeof isTaken>[0]) => (isTaken(context) ? "yes" : "no")
          if (otherwise.else !== undefined && form === 1)
            return $.switch({ needs: declared, on, cases: { yes: then, no: otherwise.else } })
          if (otherwise.else !== undefined && form === 2)
            return $.switch({ needs: declared, on, cases: { yes: then }, otherwise: otherwise.else })
          return $.branch({ needs: declared, when: isTaken, then, ...otherwise })
        }
        case "saga":
          return $.saga(visit(spec.body), { id: spec.label, onCompensated: spec.onCompensated })
        case "try": {
          const parts = { id: spec.label, try: visit(spec.body) }
          const caught = spec.caught === undefined ? undefined : visit(spec.caught)
          const last = spec.last === undefined ? undefined : visit(spec.last)
          const of = { ...parts, ...(last === undefined ? {} : { finally: last }) }
          if (caught === undefined) return $.tryCatch({ ...parts, finally: last as Builder.Node<unknown> })
          if (spec.filter === "all") return $.tryCatch({ ...of, catch: caught })
          // The filter is not told which item it is asked for: that is in the label of what failed.
          const when = ({ nodeId }: { readonly nodeId: string }): boolean => {
            const failed = failedLabel(plan, nodeId)
            return meets(seed, around(spec, failed), failed)
          }
          return $.tryCatch({ ...of, catch: caught, when })
        }
        case "scope": {
          const body = visit(spec.body)
          const holds = (context: { readonly [name: string]: unknown }) => Behaviour.isLeft(seed, found(spec, context), context)
          const common = { id: spec.label, needs: needs(spec), body, ...region(spec) }
          if (spec.leaves === "never") return $.scope(common)
          return spec.leaves === "completed"
            ? $.scope({ ...common, completeWhen: (context) => holds(context) })
            : $.scope({ ...common, cancelWhen: (context) => holds(context) })
        }
        case "race": {
          const branches = Object.fromEntries(spec.branches.map((branch, index) => [keyAt(index), visit(branch)]))
          const { label: id, count, rest, onFailure } = spec
          return $.race(branches, { id, ...(spec.isList || count > 1 ? { count } : {}), rest, onFailure, ...region(spec) })
        }
        case "list": {
          const outer = item
          const declared = needs(spec)
          const { label: id, keys, feed, concurrency, enough, rest, isSettled } = spec
          const more = feed === undefined ? undefined : (made.get(feed.target) as Builder.Node<unknown>)
          return $.map({
            id,
            needs: { ...declared, ...(more === undefined ? {} : { feed: $.maybe(more) }) },
            items: (context): ReadonlyArray<Item> => {
              const { label } = found(spec, context)
              const isFed = feed === undefined || (context as { readonly feed?: unknown }).feed !== undefined
              return keys.slice(0, isFed ? keys.length : -feed.grows).map((key) => ({ key, path: `${label}[${key}].` }))
            },
            key: ({ key }) => key,
            body: (given) => {
              item = given
              const node = visit(spec.template)
              item = outer
              return node
            },
            rest,
            settled: isSettled,
            ...(concurrency === undefined ? {} : { maxConcurrency: concurrency }),
            ...(enough === undefined ? {} : { until: ({ done }) => done >= enough }),
            ...(more === undefined ? {} : { more }),
            ...region(spec),
          }) as Builder.Node<unknown>
        }
        case "part":
          throw new Error("a part is not written")
        case "loop": {
          const inside = visit(spec.body)
          const body = spec.late === undefined || !shown(spec) ? inside : $.sequence(inside, visit(spec.late))
          const { label: id, maxIterations, onMaxReached } = spec
          const until = (context: { readonly iteration: number }) =>
            Behaviour.isOver(seed, found(spec, context as never), context as never)
          return $.loop({ id, body, needs: needs(spec), until, maxIterations, onMaxReached })
        }
      }
    }
    /** What is written as one node is in the plan once for each item: the one around a node. */
    const around = <S extends Spec>(spec: S, label: string): S => {
      for (let path = pathOf(label); ; path = pathOf(path.slice(0, -2))) {
        const here = plan.position.has(path + spec.label) ? plan.find(path + spec.label) : undefined
        if (here !== undefined && plan.contains(here.label, label)) return here as S
        if (path === "") throw new Error(`${label} is not in ${spec.label}`)
      }
    }
    declare(root)
    return visit(root)
  })
}

/** The plan of a scenario whose items are the same all the time. */
export const constant = (scenario: Scenario): Plan => {
  const { definition } = lower(scenario, () => Effect.never)
  const planned = definition.planner().plan(RunState.empty("run"), { input: { seed: scenario.seed }, outputs: new Map() })
  return Either.getOrThrow(planned)
}

/** The planner of a scenario whose loops draw more late: it draws the plan anew whenever anything has happened. */
export const planner = (scenario: Scenario, body: (call: Call) => Effect.Effect<unknown, unknown>): Planner => {
  const { loopOf } = index(scenario.root)
  const rowOf = (state: RunState.RunState, loop: LoopSpec): number => {
    const around = loopOf(loop.label)
    const iteration = around === undefined ? 0 : rowOf(state, around)
    const record = iteration < 0 ? undefined : RunState.loop(state, loop.label, iteration)
    return record === undefined || record.passes === 0 ? -1 : record.base + record.passes - 1
  }
  const isDone = (state: RunState.RunState, spec: Spec, row: number): boolean => {
    if (spec.kind !== "step" && spec.kind !== "wait") return parts(spec).every((part) => isDone(state, part, row))
    const record = RunState.step(state, spec.label, row)
    return record?.status === "finished" || record?.status === "skipped" || (record?.status === "failed" && record.isSoft === true)
  }
  const isShown = (state: RunState.RunState) => (loop: LoopSpec) => {
    const row = rowOf(state, loop)
    return row >= 0 && isDone(state, loop.body, row)
  }
  return {
    plan: (state) => {
      const { plan } = lower(scenario, body, isShown(state))
      return Either.right({ ...plan, isRendered: true })
    },
    observe: () => true,
  }
}
