/**
 * What must become of a scenario, worked out by walking its tree once, from left to right, one node at a time: no scheduler, no
 * events, no crashes. Where something fails, it goes on beside it, because which siblings still run before a run fails depends
 * on the order of completions: what is expected then is a superset of what may be there.
 */
import type { Json } from "@smithers/core/Codec"
import * as RunState from "@smithers/core/RunState"
import * as Behaviour from "./Behaviour.ts"
import { type BranchSpec, index, type LoopSpec, type NeedSpec, parts, type Scenario, type Spec, type StepSpec } from "./Scenario.ts"

interface ExpectedStep {
  readonly status: "finished" | "skipped" | "failed"
  readonly output: Json | undefined
  /** Failed attempts, over all processes. */
  readonly failures: number
  readonly isSoft: boolean
  readonly error: string | undefined
}

interface ExpectedLoop {
  status: "running" | "finished"
  readonly base: number
  passes: number
}

export interface Expected {
  readonly steps: ReadonlyMap<string, ExpectedStep>
  readonly loops: ReadonlyMap<string, ExpectedLoop>
  /** Nodes one of which the run fails at; it finishes when there are none. */
  readonly failures: ReadonlySet<string>
  readonly output: unknown
}

interface Entry {
  /** Something inside failed, or could not begin because of a failure elsewhere. */
  readonly isBlocked: boolean
  readonly value?: unknown
  readonly isVacant?: boolean
}

const blocked: Entry = { isBlocked: true }
const done = (value: unknown): Entry => ({ isBlocked: false, value })

export const expect = ({ seed, root }: Scenario): Expected => {
  const plan = index(root)
  const steps = new Map<string, ExpectedStep>()
  const loops = new Map<string, ExpectedLoop>()
  const failures = new Set<string>()
  const totals = new Map<string, number>()
  const active = new Map<string, ExpectedLoop>()
  const entries = new Map<string, Entry>()
  const before = new Map<string, unknown>()

  const row = (label: string): number => {
    const around = plan.loopOf(label)
    const loop = around === undefined ? undefined : (active.get(around.label) as ExpectedLoop)
    return loop === undefined ? 0 : loop.base + loop.passes - 1
  }
  const key = (spec: Spec): string =>
    `${spec.kind === "branch" ? `#${plan.position.get(spec.label)}` : spec.label}/${row(spec.label)}`

  const gate = (reader: string, target: string): string => {
    let found = target
    for (let up = plan.parent(target); up !== undefined && !plan.contains(up.label, reader); up = plan.parent(up.label)) {
      if (up.kind === "loop") found = up.label
    }
    return found
  }
  const read = (spec: StepSpec | BranchSpec | LoopSpec) => {
    const values: Record<string, unknown> = {}
    let isBlocked = false
    let isMissing = false
    const take = ({ name, target, pass }: NeedSpec): unknown => {
      if (pass === "previous") return before.get(target)
      const entry = entries.get(target)
      if (!plan.contains(spec.label, target)) {
        isBlocked ||= entries.get(gate(spec.label, target))?.isBlocked !== false
        isMissing ||= entry === undefined || entry.isVacant === true
      }
      values[name] = entry?.value
      return entry?.value
    }
    for (const need of spec.needs) values[need.name] = take(need)
    return { values, isBlocked, isMissing }
  }

  const forget = (spec: Spec): void => {
    for (const part of parts(spec)) {
      entries.delete(part.label)
      forget(part)
    }
  }

  const visit = (spec: Spec): Entry => {
    const entry = evaluate(spec)
    entries.set(spec.label, entry)
    return entry
  }
  const evaluate = (spec: Spec): Entry => {
    switch (spec.kind) {
      case "step":
        return evaluateStep(spec)
      case "sequence": {
        let last = done(undefined)
        for (const child of spec.children) {
          last = visit(child)
          if (last.isBlocked) return blocked
        }
        return done(last.value)
      }
      case "parallel": {
        const children = spec.children.map(visit)
        return children.some(({ isBlocked }) => isBlocked) ? blocked : done(children.map(({ value }) => value))
      }
      case "branch":
        return evaluateBranch(spec)
      case "loop":
        return evaluateLoop(spec)
    }
  }

  const evaluateStep = (spec: StepSpec): Entry => {
    const { values, isBlocked, isMissing } = read(spec)
    if (isBlocked) return blocked
    const settle = (status: ExpectedStep["status"], failed: number, rest: { output?: Json; error?: string }): Entry => {
      const isSoft = status === "failed" && spec.isSoft
      steps.set(key(spec), { status, failures: failed, isSoft, output: rest.output, error: rest.error })
      if (status !== "failed" || isSoft) return done(undefined)
      failures.add(key(spec))
      return blocked
    }
    try {
      if (Behaviour.isSkipped(seed, spec, { input: { seed }, ...values })) return settle("skipped", 0, {})
    } catch {
      return settle("failed", 0, { error: `its "skipIf" threw` })
    }
    if (isMissing) return settle("failed", 1, { error: "which has no output" })
    for (let failed = 0; ; failed++) {
      const attempt = Behaviour.attempt(seed, spec, row(spec.label), failed, values)
      if (attempt._tag === "Succeeds") {
        settle("finished", failed, attempt.stored === undefined ? {} : { output: attempt.stored })
        return done(attempt.value)
      }
      if (!attempt.isRetryable || failed + 1 >= spec.maxAttempts) return settle("failed", failed + 1, { error: attempt.message })
    }
  }

  const evaluateBranch = (spec: BranchSpec): Entry => {
    const { values, isBlocked } = read(spec)
    if (isBlocked) return blocked
    let arm: Spec | undefined
    try {
      arm = spec.arms[Behaviour.isTaken(seed, spec, { input: { seed }, ...values }) ? 0 : 1]
    } catch {
      failures.add(key(spec))
      return blocked
    }
    const taken = arm === undefined ? done(undefined) : visit(arm)
    return taken.isBlocked ? blocked : done(taken.value)
  }

  const evaluateLoop = (spec: LoopSpec): Entry => {
    if (read(spec).isBlocked) return blocked
    const loop: ExpectedLoop = { status: "running", base: totals.get(spec.label) ?? 0, passes: 0 }
    const own = plan.nodes.filter(({ label }) => plan.loopOf(label) === spec)
    active.set(spec.label, loop)
    forget(spec)
    for (const { label } of own) before.delete(label)
    for (let output: unknown; ; ) {
      let isOver: boolean
      try {
        isOver = Behaviour.isOver(seed, spec, { input: { seed }, ...read(spec).values, output, iteration: loop.passes })
      } catch {
        failures.add(key(spec))
        return blocked
      }
      if (isOver || loop.passes >= spec.maxIterations) {
        if (!isOver && spec.onMaxReached === "fail") {
          failures.add(key(spec))
          return blocked
        }
        loop.status = "finished"
        loops.set(key(spec), loop)
        return { isBlocked: false, value: output, isVacant: loop.passes === 0 }
      }
      for (const { label } of own) before.set(label, entries.get(label)?.value)
      forget(spec)
      loop.passes++
      totals.set(spec.label, loop.base + loop.passes)
      loops.set(key(spec), loop)
      const pass = visit(spec.body)
      if (pass.isBlocked) return blocked
      output = pass.value
    }
  }

  const entry = visit(root)
  return { steps, loops, failures, output: entry.value }
}

/** How a run ended, for whoever looks at it from outside. */
export interface Ending {
  readonly status: "finished" | "failed"
  /** `node/iteration` of the failure. */
  readonly failedAt: string | undefined
  readonly output: unknown
  /** Failed attempts by `node/iteration`; not told of a run that was mended, as it may have failed before. */
  readonly failures: ReadonlyMap<string, number> | undefined
}

/** Where a run that ended differs from what must have become of it. */
export const differences = (expected: Expected, state: RunState.RunState, ending: Ending): ReadonlyArray<string> => {
  const found: Array<string> = []
  const same = (what: string, actual: unknown, wanted: unknown): void => {
    const [left, right] = [JSON.stringify(actual), JSON.stringify(wanted)]
    if (left !== right) found.push(`${what} is ${left} instead of ${right}`)
  }
  same("the run", ending.status, expected.failures.size === 0 ? "finished" : "failed")
  const isFinished = ending.status === "finished"
  if (isFinished) same("the output", ending.output, expected.output)
  else if (!expected.failures.has(ending.failedAt ?? "")) {
    found.push(`the run failed at ${ending.failedAt} instead of one of ${[...expected.failures].join(", ")}`)
  }
  const keys = new Set<string>()
  for (const [key, record] of state.nodes) {
    keys.add(key)
    if (record.kind === "loop") {
      const wanted = expected.loops.get(key)
      if (wanted === undefined) found.push(`loop ${key} should not be there`)
      else if (isFinished || record.status === "finished") {
        same(`loop ${key}`, { status: record.status, base: record.base, passes: record.passes }, wanted)
      } else {
        same(`the base of loop ${key}`, record.base, wanted.base)
        if (record.passes > wanted.passes) found.push(`loop ${key} made ${record.passes} passes of at most ${wanted.passes}`)
      }
      continue
    }
    if (record.kind === "boundary") continue
    const wanted = expected.steps.get(key)
    if (wanted === undefined) found.push(`step ${key} should not be there (${record.status})`)
    else if (RunState.isSettled(record)) {
      same(`the status of ${key}`, record.status, wanted.status)
      same(`the output of ${key}`, record.output, wanted.output)
      if (ending.failures !== undefined) same(`the failed attempts of ${key}`, ending.failures.get(key) ?? 0, wanted.failures)
      same(`soft failure of ${key}`, record.soft === true, wanted.isSoft)
      const error = record.error?.message ?? ""
      if (record.status === "failed" && !error.includes(wanted.error as string)) found.push(`${key} failed with ${error}`)
    } else if (isFinished || record.status === "running") found.push(`${key} was left ${record.status}`)
  }
  if (isFinished) {
    for (const key of [...expected.steps.keys(), ...expected.loops.keys()]) if (!keys.has(key)) found.push(`${key} is missing`)
  }
  return found
}
