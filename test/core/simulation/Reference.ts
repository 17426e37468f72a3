/**
 * What must become of a scenario, worked out by walking its tree once, from left to right, one node at a time: no scheduler, no
 * events, no crashes. Where something fails, it goes on beside it, because which siblings still run before the failure is met
 * depends on the order of completions: what is expected then is a superset of what may be there. A part of the plan that came to
 * its end by the run's own account (the run itself, what a boundary is for, its catch, its finally) has all that is expected in it.
 */
import type { Json } from "@smithers/core/Codec"
import * as Records from "@smithers/core/Records"
import type * as RunState from "@smithers/core/RunState"
import * as Behaviour from "./Behaviour.ts"
import { failedLabel, labelOf } from "./Ledger.ts"
import * as Places from "./Places.ts"
import {
  type BoundarySpec,
  type BranchSpec,
  type Index,
  index,
  isCatching,
  type LoopSpec,
  type NeedSpec,
  type Part,
  parts,
  type SagaSpec,
  type Scenario,
  type Spec,
  type StepSpec,
  type TrySpec,
  type Verdict,
  type WaitSpec,
} from "./Scenario.ts"

/** What is expected of a node is expected where its part comes to its end. The part of the run itself is "". */
interface Within {
  readonly part: string
}

interface ExpectedStep extends Within {
  readonly status: "finished" | "skipped" | "failed"
  readonly output: Json | undefined
  /** Failed attempts, over all processes. */
  readonly failures: number
  readonly isSoft: boolean
  readonly error: string | undefined
  /** Where it is undone: whether that works. */
  readonly isStuck: boolean
}

interface ExpectedLoop extends Within {
  status: "running" | "finished"
  passes: number
}

interface ExpectedBoundary extends Within {
  readonly status: "finished" | "caught" | "compensated" | "failed"
  /** Its finally comes to its end. */
  readonly isLastDone: boolean
}

/** Keys are `label/place`. */
export interface Expected {
  readonly plan: Index
  readonly steps: ReadonlyMap<string, ExpectedStep>
  readonly loops: ReadonlyMap<string, ExpectedLoop>
  readonly boundaries: ReadonlyMap<string, ExpectedBoundary>
  /** Nodes one of which the run fails at; it finishes when there are none. */
  readonly failures: ReadonlySet<string>
  readonly output: unknown
}

interface Entry {
  /** Something inside failed, or could not begin because of a failure elsewhere. */
  readonly isBlocked: boolean
  /** What failed inside and is not met there: one of these is what goes on outwards. None where the failure is elsewhere. */
  readonly failures: ReadonlyArray<string>
  readonly value?: unknown
  readonly isVacant?: boolean
}

const blocked = (...failures: ReadonlyArray<string>): Entry => ({ isBlocked: true, failures })
const done = (value: unknown): Entry => ({ isBlocked: false, failures: [], value })

export const expect = ({ seed, root }: Scenario): Expected => {
  const plan = index(root)
  const steps = new Map<string, ExpectedStep>()
  const loops = new Map<string, ExpectedLoop>()
  const boundaries = new Map<string, ExpectedBoundary>()
  const active = new Map<string, number>()
  const entries = new Map<string, Entry>()
  const before = new Map<string, unknown>()
  let part = ""

  const place = (label: string): string => {
    const loop = plan.loopOf(label)
    if (loop === undefined) return ""
    const around = place(loop.label)
    return `${around}${around === "" ? "" : "."}${active.get(loop.label)}`
  }
  const key = ({ label }: Spec): string => `${label}/${place(label)}`

  const gate = (reader: string, target: string): string => {
    let found = target
    for (let up = plan.parent(target); up !== undefined && !plan.contains(up.label, reader); up = plan.parent(up.label)) {
      if (up.kind === "loop" || up.kind === "saga") found = up.label
    }
    return found
  }
  const read = (spec: StepSpec | WaitSpec | BranchSpec | LoopSpec) => {
    const values: Record<string, unknown> = {}
    let isBlocked = false
    let isMissing = false
    const take = ({ name, target, pass }: NeedSpec): unknown => {
      if (pass === "previous") return before.get(target)
      if (pass !== "current") return undefined
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
      case "wait":
        return evaluateWait(spec)
      case "sequence": {
        let last = done(undefined)
        for (const child of spec.children) {
          last = visit(child)
          if (last.isBlocked) return last
        }
        return done(last.value)
      }
      case "parallel": {
        const children = spec.children.map(visit)
        const failures = children.flatMap((child) => child.failures)
        return children.some(({ isBlocked }) => isBlocked) ? blocked(...failures) : done(children.map(({ value }) => value))
      }
      case "branch":
        return evaluateBranch(spec)
      case "loop":
        return evaluateLoop(spec)
      case "saga":
        return evaluateSaga(spec)
      case "try":
        return evaluateTry(spec)
    }
  }
  const within = (boundary: BoundarySpec, name: Part, inside: Spec): Entry => {
    const outer = part
    part = `${key(boundary)} ${name}`
    const entry = visit(inside)
    part = outer
    return { ...entry, isVacant: false }
  }
  const evaluateSaga = (spec: SagaSpec): Entry => {
    const body = within(spec, "body", spec.body)
    const at = place(spec.label)
    const isStuck = [...steps].some(([key, { isStuck, status }]) => {
      const [label, inner] = key.split("/") as [string, string]
      return isStuck && status === "finished" && plan.contains(spec.label, label) && isPrefix(at, inner)
    })
    const isCaught = body.failures.length > 0 && isCatching(spec) && !isStuck
    const status = !body.isBlocked ? "finished" : isCaught ? "compensated" : "failed"
    boundaries.set(key(spec), { part, status, isLastDone: false })
    return isCaught ? done(undefined) : body
  }
  const evaluateTry = (spec: TrySpec): Entry => {
    const body = within(spec, "body", spec.body)
    const isCaught = body.failures.length > 0 && spec.caught !== undefined
    const result = isCaught ? within(spec, "catch", spec.caught as Spec) : body
    // Also where the failure is elsewhere: a boundary that has begun is left in order.
    const last = spec.last === undefined ? done(undefined) : within(spec, "finally", spec.last)
    const status = result.isBlocked || last.isBlocked ? "failed" : isCaught ? "caught" : "finished"
    boundaries.set(key(spec), { part, status, isLastDone: !last.isBlocked })
    return result.isBlocked || !last.isBlocked ? result : last
  }

  const evaluateStep = (spec: StepSpec): Entry => {
    const { values, isBlocked, isMissing } = read(spec)
    if (isBlocked) return blocked()
    const settle = (
      status: ExpectedStep["status"],
      failed: number,
      rest: { output?: Json; error?: string; isHard?: boolean },
    ): Entry => {
      const isSoft = status === "failed" && spec.isSoft && rest.isHard !== true
      const isStuck = Behaviour.isStuck(seed, spec, place(spec.label))
      steps.set(key(spec), { part, status, failures: failed, isSoft, output: rest.output, error: rest.error, isStuck })
      return status !== "failed" || isSoft ? done(undefined) : blocked(key(spec))
    }
    try {
      if (Behaviour.isSkipped(seed, spec, { input: { seed }, ...values })) return settle("skipped", 0, {})
    } catch {
      return settle("failed", 0, { error: `its "skipIf" threw` })
    }
    const gate =
      spec.gate === undefined ? undefined : Behaviour.answer({ ...spec.gate, onDeny: denialOf(spec.gate), on: "approval" })
    if (gate?._tag === "Fails") return settle("failed", 0, { error: gate.error, isHard: true })
    if (gate?._tag === "Skips") return settle("skipped", 0, {})
    if (isMissing) return settle("failed", 1, { error: "which has no output" })
    for (let failed = 0; ; failed++) {
      const attempt = Behaviour.attempt(seed, spec, place(spec.label), failed, values)
      if (attempt._tag === "Succeeds") {
        settle("finished", failed, attempt.stored === undefined ? {} : { output: attempt.stored })
        return done(attempt.value)
      }
      if (!attempt.isRetryable || failed + 1 >= spec.maxAttempts) return settle("failed", failed + 1, { error: attempt.message })
    }
  }

  const evaluateWait = (spec: WaitSpec): Entry => {
    if (read(spec).isBlocked) return blocked()
    const answer = Behaviour.answer(spec)
    const status = ({ Gives: "finished", Skips: "skipped", Fails: "failed" } as const)[answer._tag]
    const output = answer._tag === "Gives" ? answer.stored : undefined
    const error = answer._tag === "Fails" ? answer.error : undefined
    steps.set(key(spec), { part, status, failures: 0, isSoft: false, output, error, isStuck: false })
    return status === "failed" ? blocked(key(spec)) : done(answer._tag === "Gives" ? answer.value : undefined)
  }

  const evaluateBranch = (spec: BranchSpec): Entry => {
    const { values, isBlocked } = read(spec)
    if (isBlocked) return blocked()
    let arm: Spec | undefined
    try {
      arm = spec.arms[Behaviour.isTaken(seed, spec, { input: { seed }, ...values }) ? 0 : 1]
    } catch {
      return blocked(key(spec))
    }
    const taken = arm === undefined ? done(undefined) : visit(arm)
    return taken.isBlocked ? taken : done(taken.value)
  }

  const evaluateLoop = (spec: LoopSpec): Entry => {
    if (read(spec).isBlocked) return blocked()
    const loop: ExpectedLoop = { part, status: "running", passes: 0 }
    const own = plan.nodes.filter(({ label }) => plan.loopOf(label) === spec)
    forget(spec)
    for (const { label } of own) before.delete(label)
    for (let output: unknown; ; ) {
      let isOver: boolean
      try {
        isOver = Behaviour.isOver(seed, spec, { input: { seed }, ...read(spec).values, output, iteration: loop.passes })
      } catch {
        return blocked(key(spec))
      }
      if (isOver || loop.passes >= spec.maxIterations) {
        if (!isOver && spec.onMaxReached === "fail") return blocked(key(spec))
        loop.status = "finished"
        loops.set(key(spec), loop)
        return { ...done(output), isVacant: loop.passes === 0 }
      }
      for (const { label } of own) before.set(label, entries.get(label)?.value)
      forget(spec)
      active.set(spec.label, loop.passes++)
      loops.set(key(spec), loop)
      const pass = visit(spec.body)
      if (pass.isBlocked) return pass
      output = pass.value
      if (spec.late === undefined) continue
      // What is drawn once the body is done is begun if until does not hold by then, in the same pass.
      try {
        isOver = Behaviour.isOver(seed, spec, { input: { seed }, ...read(spec).values, output, iteration: loop.passes })
      } catch {
        return blocked(key(spec))
      }
      if (isOver) continue
      const late = visit(spec.late)
      if (late.isBlocked) return late
      output = late.value
    }
  }

  const entry = visit(root)
  return { plan, steps, loops, boundaries, failures: new Set(entry.failures), output: entry.value }
}

/** The gate of a step gives nothing to go on with. */
const denialOf = ({ onDeny }: Verdict): Verdict["onDeny"] => (onDeny === "continue" ? "skip" : onDeny)

/** Whether a place is in a pass, or is it. */
const isPrefix = (outer: string, inner: string): boolean => outer === "" || inner === outer || inner.startsWith(`${outer}.`)

/** How a run ended, for whoever looks at it from outside. */
export interface Ending {
  readonly status: "finished" | "failed" | "cancelled"
  /** `node/iteration` of the failure. */
  readonly failedAt: string | undefined
  readonly output: unknown
  /** Failed attempts by `node/iteration`; not told of a run that was mended, as it may have failed before. */
  readonly failures: ReadonlyMap<string, number> | undefined
}

/** The records of the passes that the loops are in or were in last: those of an instance that began anew are past. */
const present = (plan: Index, state: RunState.RunState) => {
  const places = Places.make(plan)
  const records = [...state.nodes].map(([, record]) => record)
  for (const record of records) {
    if (record.kind !== "loop") continue
    for (let pass = 0; pass < record.passes; pass++) places.note(record.nodeId, record.base + pass, record.iteration, pass)
  }
  const found = new Map<string, Records.NodeRecord>()
  for (const record of records) {
    const place = places.place(labelOf(record.nodeId)[0], record.iteration)
    if (place !== undefined) found.set(`${record.nodeId}/${place}`, record)
  }
  return { records: found, place: places.place }
}

/** Where a run that ended differs from what must have become of it. */
export const differences = (expected: Expected, state: RunState.RunState, ending: Ending): ReadonlyArray<string> => {
  const { plan } = expected
  const found: Array<string> = []
  const same = (what: string, actual: unknown, wanted: unknown): void => {
    const [left, right] = [Behaviour.text(actual), Behaviour.text(wanted)]
    if (left !== right) found.push(`${what} is ${left} instead of ${right}`)
  }
  // A cancellation may come anywhere.
  if (ending.status !== "cancelled") same("the run", ending.status, expected.failures.size === 0 ? "finished" : "failed")
  const isFinished = ending.status === "finished"
  const { records, place } = present(plan, state)
  const at = (key: string): string => {
    const [nodeId, row] = key.split("/") as [string, string]
    const label = failedLabel(plan, nodeId)
    return `${label}/${place(label, Number(row))}`
  }
  if (isFinished) same("the output", ending.output, expected.output)
  else if (ending.status === "failed" && !expected.failures.has(at(ending.failedAt ?? "/0"))) {
    found.push(`the run failed at ${ending.failedAt} instead of one of ${[...expected.failures].join(", ")}`)
  }
  /** Whether a part came to its end. */
  const isDone = (part: string): boolean => {
    if (part === "") return isFinished
    const [key, name] = part.split(" ") as [string, Part]
    const record = records.get(key)
    const status = record?.kind === "boundary" ? record.status : undefined
    if (name === "finally") return record !== undefined && expected.boundaries.get(key)?.isLastDone === true
    return status === (name === "body" ? "finished" : "caught")
  }
  const look = (key: string, part: string): void => {
    if (part !== "" && !records.has(part.split(" ")[0] as string)) found.push(`${key} is there, and what is around it is not`)
  }
  for (const [key, record] of records) {
    const [label, isUndo] = labelOf(record.nodeId)
    if (record.kind === "loop") {
      const wanted = expected.loops.get(key)
      if (wanted === undefined) {
        found.push(`loop ${key} should not be there`)
        continue
      }
      look(key, wanted.part)
      if (isDone(wanted.part) || record.status === "finished") {
        same(`loop ${key}`, { status: record.status, passes: record.passes }, { status: wanted.status, passes: wanted.passes })
      } else if (record.passes > wanted.passes) found.push(`loop ${key} made ${record.passes} passes of at most ${wanted.passes}`)
    } else if (record.kind === "boundary") {
      const wanted = expected.boundaries.get(key)
      if (wanted === undefined) {
        found.push(`boundary ${key} should not be there`)
        continue
      }
      look(key, wanted.part)
      if (record.status !== wanted.status && (isDone(wanted.part) || record.status !== "failed"))
        found.push(`boundary ${key} was left ${record.status} instead of ${wanted.status}`)
    } else if (isUndo) {
      const wanted = expected.steps.get(`${label}/${key.split("/")[1]}`)
      const status = wanted?.isStuck === true ? "failed" : "finished"
      if (ending.failures !== undefined || record.status !== "interrupted") same(`the status of ${key}`, record.status, status)
    } else {
      const wanted = expected.steps.get(key)
      if (wanted === undefined) {
        found.push(`step ${key} should not be there (${record.status})`)
        continue
      }
      look(key, wanted.part)
      if (Records.isSettled(record)) {
        same(`the status of ${key}`, record.status, wanted.status)
        same(`the output of ${key}`, record.output, wanted.output)
        const failures = ending.failures?.get(`${label}/${record.iteration}`) ?? 0
        if (ending.failures !== undefined) same(`the failed attempts of ${key}`, failures, wanted.failures)
        same(`soft failure of ${key}`, record.isSoft === true, wanted.isSoft)
        const error = record.error?.message ?? ""
        if (record.status === "failed" && !error.includes(wanted.error as string)) found.push(`${key} failed with ${error}`)
        // What was waited for in a part that was given up is as if it had not begun.
      } else if (!(record.status === "interrupted" || record.status === "withdrawn") || record.attempt > 0) {
        if (isDone(wanted.part) || record.status === "running") found.push(`${key} was left ${record.status}`)
      }
    }
  }
  for (const [key, { part }] of [...expected.steps, ...expected.loops, ...expected.boundaries]) {
    if (isDone(part) && !records.has(key)) found.push(`${key} is missing`)
  }
  return found
}
