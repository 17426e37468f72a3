/**
 * Random adaptive workflows, with a process that dies at each of their commits: what comes out must be what an undisturbed run
 * gives, and no output may be committed twice.
 */

import { it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { ports } from "@smithers/core/Storage"
import * as MortalStorage from "@smithers/testing/MortalStorage"
import * as Random from "@smithers/testing/Random"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as React from "react"
import { Branch, createSmithers, type JsxWorkflow, Loop, Parallel, Saga, Sequence, TryCatchFinally } from "smithers-orchestrator"
import { expect } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({ n: z.object({ n: z.number() }) })

type Spec =
  | { readonly kind: "task"; readonly id: string; readonly reads: ReadonlyArray<string>; readonly deps: ReadonlyArray<string> }
  | { readonly kind: "sequence" | "parallel"; readonly children: ReadonlyArray<Spec> }
  | {
      readonly kind: "loop"
      readonly id: string
      readonly children: ReadonlyArray<Spec>
      readonly passes: number
      readonly last: string
    }
  /** Mounted only once, and where, the output of a task is even; or one of two. */
  | { readonly kind: "when" | "branch"; readonly of: string; readonly children: ReadonlyArray<Spec> }
  /** As many tasks as the output of a task says. */
  | { readonly kind: "each"; readonly of: string; readonly id: string }
  | Guard

/** A saga or a try, begun when what is known before is there. If `fails` names a task, that is its last, and fails. */
interface Guard {
  readonly kind: "saga" | "try"
  readonly after: ReadonlyArray<string>
  readonly children: ReadonlyArray<Spec>
  readonly fails: string | undefined
  /** Drawn by a function of the error, or as an element. */
  readonly isDrawnLate: boolean
  readonly caught: ReadonlyArray<Spec>
  readonly last: ReadonlyArray<Spec>
}

const generate = (seed: number): ReadonlyArray<Spec> => {
  const random = Random.make(Random.hash(seed, "jsx", 0))
  let left = 5 + random.int(9)
  let count = 0
  /** Tasks that are sure to run, in the scope of the reader: those of the same passes, or of none. */
  const known: Array<string> = []
  const some = (): ReadonlyArray<string> => (known.length === 0 || random.chance(0.4) ? [] : [random.pick(known)])
  const task = (): Spec => {
    const made = { kind: "task", id: `t${count++}`, reads: some(), deps: some() } as const
    known.push(made.id)
    return made
  }
  const scoped = <A,>(body: () => A): A => {
    const before = known.length
    const made = body()
    known.splice(before)
    return made
  }
  const several = (depth: number): ReadonlyArray<Spec> => Array.from({ length: 1 + random.int(3) }, () => node(depth + 1))
  const node = (depth: number): Spec => {
    left--
    const kind = depth > 4 || left <= 0 ? 0 : random.int(15)
    if (kind === 6) return { kind: "sequence", children: several(depth) }
    if (kind === 7) return { kind: "parallel", children: several(depth) }
    if (kind === 8) {
      return scoped(() => {
        const id = `l${count++}`
        const children = several(depth)
        const last = task()
        return {
          kind: "loop",
          id,
          children: [...children, last],
          passes: 1 + random.int(3),
          last: last.kind === "task" ? last.id : "",
        }
      })
    }
    if (kind > 11) {
      const after = [...known]
      const children = several(depth)
      return {
        kind: kind === 12 ? "saga" : "try",
        after,
        children,
        fails: random.chance(0.7) ? `f${count++}` : undefined,
        isDrawnLate: random.chance(0.6),
        caught: kind > 12 ? scoped(() => several(depth)) : [],
        last: kind > 12 && random.chance(0.5) ? several(depth) : [],
      }
    }
    if (known.length > 0 && kind > 8) {
      const of = random.pick(known)
      if (kind === 9) return { kind: "each", of, id: `e${count++}` }
      return scoped(() => ({ kind: kind === 10 ? "when" : "branch", of, children: several(depth) }))
    }
    return task()
  }
  return [task(), ...Array.from({ length: 4 }, () => node(0))]
}

/** What a task gives follows from what it read. */
const numberOf = (seed: number, id: string, iteration: number, read: ReadonlyArray<number>): number =>
  Random.hash(seed, id, iteration, ...read) % 5

const Undone = React.createContext(false)

const Part = ({ seed, spec }: { readonly seed: number; readonly spec: Spec }): React.ReactNode => {
  const undo = React.useContext(Undone) ? { compensate: () => Effect.yieldNow() } : {}
  const ctx = useCtx()
  const n = (id: string): number => ctx.output("n", { nodeId: id }).n
  const inside = (children: ReadonlyArray<Spec>) => children.map((child, index) => <Part key={index} seed={seed} spec={child} />)
  switch (spec.kind) {
    case "task": {
      const read = spec.reads.map(n)
      return (
        <Task
          id={spec.id}
          output={outputs.n}
          {...undo}
          deps={Object.fromEntries(spec.deps.map((id) => [id, outputs.n]))}
          needs={Object.fromEntries(spec.deps.map((id) => [id, id]))}
        >
          {(...given: ReadonlyArray<unknown>) => {
            const deps = (spec.deps.length > 0 ? given[0] : {}) as Record<string, { readonly n: number }>
            const { iteration } = given.at(-1) as { readonly iteration: number }
            return Effect.as(Effect.yieldNow(), {
              n: numberOf(seed, spec.id, iteration, [...read, ...spec.deps.map((id) => deps[id]?.n ?? -1)]),
            })
          }}
        </Task>
      )
    }
    case "sequence":
      return <Sequence>{inside(spec.children)}</Sequence>
    case "parallel":
      return <Parallel>{inside(spec.children)}</Parallel>
    case "loop": {
      const until =
        spec.passes % 2 === 0
          ? ctx.iterationCount("n", spec.last) >= spec.passes
          : (inner: typeof ctx) => inner.iterationCount("n", spec.last) >= spec.passes
      return (
        <Loop id={spec.id} until={until} maxIterations={5}>
          {inside(spec.children)}
        </Loop>
      )
    }
    case "saga":
    case "try": {
      for (const id of spec.after) n(id)
      const { fails, last } = spec
      const failing =
        fails === undefined ? null : (
          <Task id={fails} output={outputs.n} noRetry>
            {() => Effect.zipRight(Effect.yieldNow(), Effect.fail("no"))}
          </Task>
        )
      if (spec.kind === "saga") {
        return (
          <Saga onCompensated="continue">
            <Undone.Provider value={true}>{inside(spec.children)}</Undone.Provider>
            {failing}
          </Saga>
        )
      }
      return (
        <TryCatchFinally
          catch={spec.isDrawnLate ? ({ nodeId }) => (nodeId === fails ? inside(spec.caught) : null) : inside(spec.caught)}
          {...(last.length === 0 ? {} : { finally: inside(last) })}
        >
          {inside(spec.children)}
          {failing}
        </TryCatchFinally>
      )
    }
    case "when": {
      const known = ctx.outputMaybe("n", { nodeId: spec.of })
      return known !== undefined && known.n % 2 === 0 ? inside(spec.children) : null
    }
    case "branch":
      return <Branch if={n(spec.of) > 2} then={<Sequence>{inside(spec.children)}</Sequence>} />
    case "each":
      return Array.from({ length: ctx.outputMaybe("n", { nodeId: spec.of })?.n ?? 0 }, (_, index) => (
        <Task key={index} id={`${spec.id}-${index}`} output={outputs.n}>
          {{ n: index }}
        </Task>
      ))
  }
}

const workflowOf = (seed: number): JsxWorkflow<unknown> => {
  const specs = generate(seed)
  return smithers(() => (
    <Workflow name="random">
      {specs.map((spec, index) => (
        <Part key={index} seed={seed} spec={spec} />
      ))}
    </Workflow>
  )) as JsxWorkflow<unknown>
}

/** Runs a workflow in processes that each die at a commit, and in a last one that does not. */
const lives = (
  workflow: JsxWorkflow<unknown>,
  deaths: ReadonlyArray<{ readonly edge: "before" | "after"; readonly commit: number }>,
) =>
  Effect.gen(function* () {
    const disk = MemoryStorage.make()
    const committed = new Map<string, number>()
    let commits = 0
    for (const death of [...deaths, undefined]) {
      const mortal = MortalStorage.make(disk, death, ({ events }) => {
        commits++
        for (const event of events) {
          if (event._tag !== "AttemptSucceeded") continue
          const key = `${event.nodeId}/${event.iteration}`
          committed.set(key, (committed.get(key) ?? 0) + 1)
        }
      })
      const scope = yield* Scope.make()
      const engine = yield* Engine.make({ lease: 1 }).pipe(Effect.provide(ports(mortal.storage)), Scope.extend(scope))
      const run = workflow
        .run({}, { runId: "r" })
        .pipe(Effect.provideService(Engine.Engine, engine), Effect.provide(AgentProgram.layer))
      const fiber = yield* Effect.forkIn(run, scope)
      while (fiber.unsafePoll() === null && !mortal.isGone()) yield* Effect.yieldNow()
      const exit = fiber.unsafePoll()
      if (exit !== null && Exit.isFailure(exit)) return yield* Effect.failCause(exit.cause)
      if (exit !== null) {
        const { nodes, output, status } = yield* disk.load("r")
        const rows = [...nodes].map(([key, record]) => [
          key,
          record.kind === "step" ? [record.status, record.output] : [record.status, record.kind === "loop" ? record.passes : 0],
        ])
        const result = yield* Fiber.join(fiber)
        yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
        return {
          status,
          output,
          rows: rows.sort(),
          commits,
          result: result.status,
          twice: [...committed].filter(([, times]) => times > 1),
        }
      }
      yield* Effect.forkDaemon(Scope.close(scope, Exit.void))
      yield* Effect.sleep(3)
    }
    return yield* Effect.dieMessage("the run did not end")
  })

const seeds = Array.from({ length: 60 }, (_, index) => index + 301)

it.live.each(seeds)("random workflow %i gives the same whenever its process dies", (seed) =>
  Effect.gen(function* () {
    const workflow = workflowOf(seed)
    const { commits, ...calm } = yield* lives(workflow, [])
    expect(calm.result).toBe("finished")
    const random = Random.make(Random.hash(seed, "deaths", 0))
    for (let commit = 0; commit <= Math.min(commits, 12); commit++) {
      const edge = random.pick(["before", "after"] as const)
      const again = { edge: random.pick(["before", "after"] as const), commit: 1 + random.int(3) }
      const { commits: _, ...disturbed } = yield* lives(workflow, [{ edge, commit }, again])
      expect({ at: [edge, commit, again], ...disturbed }).toEqual({ at: [edge, commit, again], ...calm })
    }
  }),
)
