/**
 * What must become of a scenario, worked out by walking its tree once, from left to right, one node at a time: no scheduler, no
 * events, no crashes. What may come in more than one way (who has won a race, what was left, which of two failures came first) is taken from what is
 * `seen` of the run: the ledger has looked at whether it was right to come so, and here it is worked out what follows from it. Where something fails, it goes on beside it, because which siblings still run before the failure is met
 * depends on the order of completions: what is expected then is a superset of what may be there. A part of the plan that came to
 * its end by the run's own account (the run itself, what a boundary is for, its catch, its finally) has all that is expected in it.
 */
import type { Json } from "@smithers/core/Codec"
import * as Records from "@smithers/core/Records"
import type * as RunState from "@smithers/core/RunState"
import * as Behaviour from "./Behaviour.ts"
import { failedLabel, locate } from "./Ledger.ts"
import * as Places from "./Places.ts"
import {
  type BoundarySpec,
  type BranchSpec,
  branchesOf,
  type Index,
  index,
  isCatching,
  isRegion,
  type ListSpec,
  type LoopSpec,
  meets,
  type NeedSpec,
  outwards,
  type Part,
  type PartSpec,
  parts,
  type RaceSpec,
  type RegionSpec,
  type SagaSpec,
  type Scenario,
  type ScopeSpec,
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
  readonly value: unknown
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
  readonly status: "finished" | "caught" | "compensated" | "failed" | "completed" | "cancelled"
  /** Its finally comes to its end. */
  readonly isLastDone: boolean
}

/** Keys are `label/place`. */
export interface Expected {
  readonly plan: Index
  readonly steps: ReadonlyMap<string, ExpectedStep>
  readonly loops: ReadonlyMap<string, ExpectedLoop>
  readonly boundaries: ReadonlyMap<string, ExpectedBoundary>
  /** Branches of races and items of lists that come to their end. */
  readonly done: ReadonlySet<string>
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

/** Whether a step has begun and is neither at work nor over, nor waits for anything. */
const isIdle = ({ status }: Records.StepRecord): boolean =>
  status === "interrupted" || status === "withdrawn" || status === "superseded"
/** Whether a node was reset: where the run has not come to it since, it is as if it had never begun. */
const isReset = (record: Records.NodeRecord): boolean => {
  if (record.kind === "boundary") return record.status === "interrupted"
  if (record.kind === "loop") return record.passes === 0 && record.status === "running"
  const { attempt, budgetAfter, wait, approved } = record
  const isOver = wait !== undefined && wait.status !== "open" && (wait.status !== "withdrawn" || wait.reason === "reset")
  return isIdle(record) && attempt === budgetAfter && (attempt > 0 || (isOver && approved === undefined))
}
const isBegun = (record: Records.NodeRecord): boolean => {
  if (record.kind !== "step" || isReset(record)) return !isReset(record)
  return record.attempt > 0 || (record.wait !== undefined && record.status !== "withdrawn" && record.status !== "superseded")
}

const blocked = (...failures: ReadonlyArray<string>): Entry => ({ isBlocked: true, failures })
const done = (value: unknown): Entry => ({ isBlocked: false, failures: [], value })

/** What is seen of a run that has ended. Keys are `node/place`. */
export interface Seen {
  readonly records: ReadonlyMap<string, Records.NodeRecord>
}

const nothing: Seen = { records: new Map() }

export const expect = ({ seed, root }: Scenario, { records }: Seen = nothing): Expected => {
  const plan = index(root)
  const done_ = new Set<string>()
  const seenBoundary = (key: string): Records.BoundaryRecord | undefined => {
    const record = records.get(key)
    return record?.kind === "boundary" ? record : undefined
  }
  const isFinished = (key: string): boolean => {
    const record = records.get(key)
    return record?.kind === "step" && record.status === "finished"
  }
  /** Whether something was done at a node, or settled without. */
  const isThere = (key: string): boolean => {
    const record = records.get(key)
    return record !== undefined && (record.kind !== "step" || isBegun(record) || Records.isSettled(record))
  }
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
  const read = (spec: StepSpec | WaitSpec | BranchSpec | LoopSpec | ListSpec) => {
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
        const leaks: Array<string> = []
        for (const child of spec.children) {
          last = visit(child)
          leaks.push(...last.failures)
          if (last.isBlocked) return blocked(...leaks)
        }
        return { ...done(last.value), failures: leaks }
      }
      case "parallel": {
        const children = spec.children.map(visit)
        const failures = children.flatMap((child) => child.failures)
        return children.some(({ isBlocked }) => isBlocked)
          ? blocked(...failures)
          : { ...done(children.map(({ value }) => value)), failures }
      }
      case "branch":
        return evaluateBranch(spec)
      case "loop":
        return evaluateLoop(spec)
      case "saga":
        return evaluateSaga(spec)
      case "try":
        return evaluateTry(spec)
      case "scope":
        return evaluateScope(spec)
      case "race":
        return evaluateRace(spec)
      case "list":
        return evaluateList(spec)
      case "part":
        return within(spec, "body", spec.body)
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
    const isFailed = body.isBlocked || body.failures.length > 0
    const isStuck = [...steps].some(([key, { isStuck, status }]) => {
      const [label, inner] = key.split("/") as [string, string]
      if (records.size > 0 && !isFinished(key)) return false
      return isStuck && status === "finished" && plan.contains(spec.label, label) && isPrefix(at, inner)
    })
    const isCaught = body.failures.length > 0 && isCatching(spec) && !isStuck
    const status = !isFailed ? "finished" : isCaught ? "compensated" : "failed"
    boundaries.set(key(spec), { part, status, isLastDone: false })
    return isCaught ? done(undefined) : failedAs(body)
  }
  /** What goes on beside it does not outlive a boundary: it has failed, too. */
  const failedAs = (body: Entry): Entry => (body.failures.length > 0 ? { ...body, isBlocked: true } : body)
  const evaluateTry = (spec: TrySpec): Entry => {
    const body = within(spec, "body", spec.body)
    const [met, passed] = [
      body.failures.filter((failed) => meets(seed, spec, failed.split("/")[0] as string)),
      body.failures.filter((failed) => !meets(seed, spec, failed.split("/")[0] as string)),
    ]
    const seen = seenBoundary(key(spec))
    const isCaught = met.length > 0 && (passed.length === 0 || seen?.isCaught === true)
    // Which of them came first depends on the order: what is not known to be caught may be, or not.
    const isOpen = met.length > 0 && passed.length > 0 && !isCaught
    const instead = met.length > 0 && spec.caught !== undefined ? within(spec, "catch", spec.caught) : undefined
    const result =
      isCaught && instead !== undefined
        ? instead
        : isOpen && instead !== undefined
          ? blocked(...passed, ...instead.failures)
          : failedAs(body)
    // Also where the failure is elsewhere: a boundary that has begun is left in order.
    const last = spec.last === undefined ? done(undefined) : within(spec, "finally", spec.last)
    const isLost = (entry: Entry): boolean => entry.isBlocked || entry.failures.length > 0
    const status = isLost(result) || isLost(last) ? "failed" : isCaught ? "caught" : "finished"
    boundaries.set(key(spec), { part, status, isLastDone: !isLost(last) })
    return isLost(result) || !isLost(last) ? failedAs(result) : failedAs(last)
  }

  /** Takes account of a region that was left as a whole; `undefined` where it was not. */
  const evaluateLeft = (spec: RegionSpec): Entry | undefined => {
    const at = key(spec)
    const seen = seenBoundary(at)
    const left = seen?.left ?? (seen?.cause?.nodeId === spec.label && spec.timeoutMs !== undefined ? lost(seen) : undefined)
    if (left === undefined) return undefined
    const isTooLate = left.trigger === "timeout" && spec.onTimeout === "fail"
    boundaries.set(at, { part, status: isTooLate ? "failed" : left.outcome, isLastDone: false })
    if (isTooLate) return blocked(at)
    return done(left.outcome === "completed" ? partial(spec.kind === "scope" ? spec.body : spec, place(spec.label)) : undefined)
  }
  /** One that has failed because its time was over is not told apart by what it was left by. */
  const lost = ({ cause }: Records.BoundaryRecord) =>
    cause?.reason._tag === "Error" && cause.reason.error.name === "ScopeTimedOut"
      ? ({ outcome: "cancelled", trigger: "timeout" } as const)
      : undefined
  /** Failures that may come of a region of which it is not seen how it ended. */
  const uncertain = (spec: RegionSpec): ReadonlyArray<string> => {
    const seen = seenBoundary(key(spec))
    const isOver = seen !== undefined && seen.status !== "failed" && seen.status !== "running"
    return !isOver && records.size > 0 && spec.timeoutMs !== undefined && spec.onTimeout === "fail" && seen === undefined
      ? [key(spec)]
      : []
  }
  const evaluateScope = (spec: ScopeSpec): Entry => {
    const body = within(spec, "body", spec.body)
    const left = evaluateLeft(spec)
    if (left !== undefined) return left
    const isFailed = body.isBlocked || body.failures.length > 0
    boundaries.set(key(spec), { part, status: isFailed ? "failed" : "finished", isLastDone: false })
    return { ...failedAs(body), failures: [...body.failures, ...uncertain(spec)] }
  }
  /** Whether nothing has begun in a part, or in an arm (`isOwn`), although there is something in it to do. */
  const isPassedOver = (spec: Spec, at: string, isOwn = false): boolean => {
    const isInside = (key: string): boolean => {
      const [nodeId, inner] = key.split("/") as [string, string]
      const [label] = locate(nodeId)
      return plan.position.has(label) && plan.contains(spec.label, label) && isPrefix(at, inner)
    }
    const own = isOwn ? undefined : `${spec.label}/${at}`
    const hasBegun = [...records].some(([key, record]) => key !== own && isInside(key) && isBegun(record))
    const wanted = [...steps.keys(), ...loops.keys(), ...boundaries.keys()].filter((key) => key !== own && isInside(key))
    return !hasBegun && !wanted.every((key) => isThere(key))
  }
  /** What a part comes to, by how it is seen to have ended; `isRest` where others are enough. */
  const evaluatePart = (spec: PartSpec, isRest: boolean): Entry & { readonly fate: "done" | "left" | "caught" } => {
    const body = visit(spec)
    const seen = seenBoundary(key(spec))
    if (seen?.left !== undefined) {
      const value = seen.left.outcome === "completed" ? partial(spec.body, place(spec.label)) : undefined
      return { ...done(value), fate: "left" }
    }
    const isFailed = body.isBlocked || body.failures.length > 0
    if (seen?.status === "cancelled" && seen.left === undefined && isRest) return { ...done(undefined), fate: "left" }
    if (isRest && isPassedOver(spec, place(spec.label))) return { ...done(undefined), fate: "left" }
    if (spec.isCatching && isFailed && (seen?.isCaught === true || seen === undefined))
      return { ...done(undefined), fate: "caught" }
    if (!isFailed) done_.add(key(spec))
    return { ...body, fate: "done" }
  }
  const evaluateRace = (spec: RaceSpec): Entry => {
    const at = key(spec)
    const seen = seenBoundary(at)
    const winners = seen?.winners ?? []
    const isOver = seen?.status === "finished"
    const inside = branchesOf(spec)
    const isRest = (part: PartSpec): boolean => isOver && !winners.includes(part.key) && !isKeeping(spec, seen)
    const entries = new Map(inside.map((part) => [part.key, evaluatePart(part, isRest(part))]))
    const left = evaluateLeft(spec)
    if (left !== undefined) return left
    if (isOver) {
      boundaries.set(at, { part, status: "finished", isLastDone: false })
      const won = winners.map((winner) => ({ winner, value: entries.get(winner)?.value }))
      const isLost = winners.some((winner) => entries.get(winner)?.isBlocked !== false)
      const beside = inside.flatMap(({ key }) =>
        winners.includes(key) || !isKeeping(spec, seen) ? [] : (entries.get(key)?.failures ?? []),
      )
      if (isLost) return blocked(`${at} was won by ${winners.join()}, which cannot be`)
      return { ...done(shapeOf(spec, won)), failures: beside }
    }
    boundaries.set(at, { part, status: "failed", isLastDone: false })
    const failures = [...entries.values()].flatMap((entry) => entry.failures)
    const mayLose = spec.onFailure === "ignore" && (seen === undefined || seen.cause?.nodeId === spec.label)
    const isCertain = [...entries.values()].filter(({ fate, isBlocked }) => fate !== "caught" && !isBlocked).length < spec.count
    const own = mayLose && (isCertain || seen !== undefined) ? [at] : []
    return blocked(...failures, ...own, ...uncertain(spec))
  }
  const shapeOf = (spec: RaceSpec, won: ReadonlyArray<unknown>): unknown => (spec.isList || spec.count > 1 ? won : won[0])
  /** The items that a list has by now. */
  const itemsOf = (spec: ListSpec): ReadonlyArray<PartSpec> => {
    const items = branchesOf(spec)
    const isFed = spec.feed === undefined || entries.get(spec.feed.target)?.value !== undefined
    return isFed ? items : items.slice(0, -(spec.feed?.grows ?? 0))
  }
  const evaluateList = (spec: ListSpec): Entry => {
    const { isBlocked, values } = read(spec)
    const at = key(spec)
    const seen = seenBoundary(at)
    // Its time may be over before it can ask for items.
    if (isBlocked) {
      boundaries.set(at, { part, status: "failed", isLastDone: false })
      return evaluateLeft(spec) ?? blocked()
    }
    if (spec.needs.some(({ name, pass }) => pass === "current" && values[name] === undefined)) {
      boundaries.set(at, { part, status: "failed", isLastDone: false })
      return evaluateLeft(spec) ?? blocked(at)
    }
    const isRest = seen?.isDecided === true && spec.rest === "cancel"
    const items = itemsOf(spec).map((part) => ({ part, entry: evaluatePart(part, isRest) }))
    const left = evaluateLeft(spec)
    if (left !== undefined) return left
    const failures = items.flatMap(({ entry }) => entry.failures)
    const isFailed = failures.length > 0 || items.some(({ entry }) => entry.isBlocked)
    const isKept = seen?.status === "finished" && seen.isDecided === true && spec.rest === "keep"
    boundaries.set(at, { part, status: isFailed && !isKept ? "failed" : "finished", isLastDone: false })
    if (isKept) return { ...done(undefined), failures }
    if (isFailed) return blocked(...failures, ...uncertain(spec))
    return { ...done(items.map(({ part, entry }) => settledAs(spec, part, entry))), failures: uncertain(spec) }
  }
  const settledAs = (spec: ListSpec, { key: item, label }: PartSpec, entry: ReturnType<typeof evaluatePart>): unknown => {
    if (!spec.isSettled) return entry.value
    if (entry.fate === "caught") return { key: item, status: "failed", error: "" }
    const isCancelled = entry.fate === "left" && seenBoundary(`${label}/${place(label)}`)?.left?.outcome !== "completed"
    return isCancelled ? { key: item, status: "cancelled" } : { key: item, status: "finished", value: entry.value }
  }
  /** What there is of a value by what has finished, where something was left as completed. */
  const partial = (spec: Spec, at: string): unknown => {
    const here = `${spec.label}/${at}`
    const seen = seenBoundary(here)
    switch (spec.kind) {
      case "step":
      case "wait":
        return isFinished(here) ? steps.get(here)?.value : undefined
      case "sequence": {
        const last = spec.children.at(-1)
        return last === undefined ? undefined : partial(last, at)
      }
      case "parallel":
        return spec.children.map((child) => partial(child, at))
      case "branch": {
        const arm = arms.get(here)
        return arm === undefined || isPassedOver(arm, at, true) ? undefined : partial(arm, at)
      }
      case "loop": {
        const record = records.get(here)
        const made = record?.kind === "loop" ? record.passes : 0
        return made === 0 ? undefined : partial(spec.late ?? spec.body, `${at}${at === "" ? "" : "."}${made - 1}`)
      }
      case "saga":
        return seen?.isCaught === true || seen?.status === "cancelled" ? undefined : partial(spec.body, at)
      case "try":
        return seen?.isCaught === true ? partialOf(spec.caught, at) : partial(spec.body, at)
      case "scope":
        return seen?.isCaught !== true || seen.left?.outcome === "completed" ? partial(spec.body, at) : undefined
      case "part":
        if (seen?.left === undefined && isPassedOver(spec, at)) return undefined
        return seen?.isCaught !== true || seen.left?.outcome === "completed" ? partial(spec.body, at) : undefined
      case "race": {
        if (seen?.isCaught === true && seen.left?.outcome !== "completed") return undefined
        const inside = branchesOf(spec)
        const won = (seen?.winners ?? []).map((winner) => {
          const part = inside.find(({ key }) => key === winner)
          return { winner, value: partialOf(part, at) }
        })
        return shapeOf(spec, won)
      }
      case "list": {
        if (seen?.isCaught === true && seen.left?.outcome !== "completed") return undefined
        return branchesOf(spec).map((part) => {
          if (!spec.isSettled) return partial(part, at)
          const record = seenBoundary(`${part.label}/${at}`)
          if (record?.isCaught === true && record.cause !== undefined) return { key: part.key, status: "failed", error: "" }
          const isCancelled = record?.left === undefined ? isPassedOver(part, at) : record.left.outcome === "cancelled"
          return isCancelled
            ? { key: part.key, status: "cancelled" }
            : { key: part.key, status: "finished", value: partial(part.body, at) }
        })
      }
    }
  }
  const partialOf = (spec: Spec | undefined, at: string): unknown => (spec === undefined ? undefined : partial(spec, at))
  /** The arms that branches take, where they can tell. */
  const arms = new Map<string, Spec | undefined>()

  const evaluateStep = (spec: StepSpec): Entry => {
    const { values, isBlocked, isMissing } = read(spec)
    if (isBlocked) return blocked()
    const settle = (
      status: ExpectedStep["status"],
      failed: number,
      rest: { output?: Json; value?: unknown; error?: string; isHard?: boolean },
    ): Entry => {
      const isSoft = status === "failed" && spec.isSoft && rest.isHard !== true
      const isStuck = Behaviour.isStuck(seed, spec, place(spec.label))
      steps.set(key(spec), {
        part,
        status,
        failures: failed,
        isSoft,
        output: rest.output,
        value: rest.value,
        error: rest.error,
        isStuck,
      })
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
        settle("finished", failed, attempt.stored === undefined ? {} : { output: attempt.stored, value: attempt.value })
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
    const value = answer._tag === "Gives" ? answer.value : undefined
    steps.set(key(spec), { part, status, failures: 0, isSoft: false, output, value, error, isStuck: false })
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
    arms.set(key(spec), arm)
    const taken = arm === undefined ? done(undefined) : visit(arm)
    return taken.isBlocked ? taken : { ...done(taken.value), failures: taken.failures }
  }

  const evaluateLoop = (spec: LoopSpec): Entry => {
    if (read(spec).isBlocked) return blocked()
    const loop: ExpectedLoop = { part, status: "running", passes: 0 }
    const own = plan.nodes.filter(({ label }) => plan.loopOf(label) === spec)
    forget(spec)
    for (const { label } of own) before.delete(label)
    const leaks: Array<string> = []
    for (let output: unknown; ; ) {
      let isOver: boolean
      try {
        isOver = Behaviour.isOver(seed, spec, { input: { seed }, ...read(spec).values, output, iteration: loop.passes })
      } catch {
        return blocked(...leaks, key(spec))
      }
      if (isOver || loop.passes >= spec.maxIterations) {
        if (!isOver && spec.onMaxReached === "fail") return blocked(...leaks, key(spec))
        loop.status = "finished"
        loops.set(key(spec), loop)
        return { ...done(output), failures: leaks, isVacant: loop.passes === 0 }
      }
      for (const { label } of own) before.set(label, entries.get(label)?.value)
      forget(spec)
      active.set(spec.label, loop.passes++)
      loops.set(key(spec), loop)
      const pass = visit(spec.body)
      // What goes on beside a pass does not outlive it.
      if (pass.isBlocked || pass.failures.length > 0) return failedAs(pass)
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
  return { plan, steps, loops, boundaries, done: done_, failures: new Set(entry.failures), output: entry.value }
}

/** The gate of a step gives nothing to go on with. */
const denialOf = ({ onDeny }: Verdict): Verdict["onDeny"] => (onDeny === "continue" ? "skip" : onDeny)

/** Whether a place is in a pass, or is it. */
const isPrefix = (outer: string, inner: string): boolean => outer === "" || inner === outer || inner.startsWith(`${outer}.`)

/** Whether what has not ended goes on beside what follows: of a race that is lost, too few are left, and nothing does. */
const isKeeping = (group: RaceSpec | ListSpec, record: Records.BoundaryRecord | undefined): boolean =>
  group.rest === "keep" && (group.kind === "list" || (record?.winners?.length ?? 0) >= group.count)

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
const present = (plan: Index, state: RunState.RunState, isMended: boolean) => {
  const places = Places.make(plan)
  const records = [...state.nodes].map(([, record]) => record)
  for (const record of records) {
    if (record.kind !== "loop") continue
    for (let pass = 0; pass < record.passes; pass++) places.note(record.nodeId, record.base + pass, record.iteration, pass)
  }
  const found = new Map<string, Records.NodeRecord>()
  /** What was begun before the run was mended, and not since. */
  const past = new Set<string>()
  for (const record of records) {
    const place = places.place(locate(record.nodeId)[0], record.iteration)
    if (place === undefined) continue
    const isPast = isReset(record) || (isMended && record.kind === "step" && isIdle(record))
    if (isPast) past.add(`${record.nodeId}/${place}`)
    if (!isReset(record)) found.set(`${record.nodeId}/${place}`, record)
  }
  return { records: found, past, place: places.place }
}

/** Where a run of a scenario that ended differs from what must have become of it. */
export const differences = (scenario: Scenario, state: RunState.RunState, ending: Ending): ReadonlyArray<string> => {
  const plan = index(scenario.root)
  const { records, past, place } = present(plan, state, ending.failures === undefined)
  const expected = expect(scenario, { records })
  const found: Array<string> = []
  const same = (what: string, actual: unknown, wanted: unknown): void => {
    const [left, right] = [Behaviour.text(actual), Behaviour.text(wanted)]
    if (left !== right) found.push(`${what} is ${left} instead of ${right}`)
  }
  // A cancellation may come anywhere.
  if (ending.status !== "cancelled") same("the run", ending.status, expected.failures.size === 0 ? "finished" : "failed")
  const isFinished = ending.status === "finished"
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
    if (plan.find(key.split("/")[0] as string).kind === "part") return expected.done.has(key) && isWholeAround(key)
    return status === (name === "body" ? "finished" : "caught")
  }
  /** Whether what is around a part came to its end: one that goes on beside what follows does not outlive that. */
  const isWholeAround = (key: string): boolean => {
    const [label, at] = key.split("/") as [string, string]
    const group = plan.parent(label) as Spec
    const record = records.get(`${group.label}/${at}`)
    if (record?.kind !== "boundary" || record.status !== "finished") return false
    const isKept = record.isDecided === true && (group.kind === "race" || group.kind === "list") && isKeeping(group, record)
    return !isKept || isDone(expected.boundaries.get(`${group.label}/${at}`)?.part ?? "")
  }
  /** Whether a region around a row was left, and not on a way out. */
  const isLeft = (key: string, isOnWayOut = false): boolean => {
    const [label, at] = key.split("/") as [string, string]
    let inner = at
    for (let up = plan.parent(label), inside = label; up !== undefined; inside = up.label, up = plan.parent(inside)) {
      if (!isOnWayOut && up.kind === "try" && plan.partOf(up, inside) === "finally") return false
      if (up.kind === "loop") inner = inner.split(".").slice(0, -1).join(".")
      const record = isRegion(up) || up.kind === "part" ? records.get(`${up.label}/${inner}`) : undefined
      if (record?.kind === "boundary" && record.left !== undefined) return true
    }
    return false
  }
  const isPart = (key: string): boolean => plan.find(key.split("/")[0] as string).kind === "part"
  const look = (key: string, part: string): void => {
    const [around] = part.split(" ") as [string]
    if (part !== "" && !isPart(around) && !records.has(around) && !past.has(around))
      found.push(`${key} is there, and what is around it is not`)
  }
  const lookAtTimer = (key: string, record: Records.NodeRecord): void => {
    if (record.kind !== "step" || record.status === "waiting") found.push(`${key} was left ${record.status}`)
  }
  /** Whether a branch around a node may have taken another arm before: what a node gives that is run again may differ. */
  const isInArm = (label: string): boolean =>
    ending.failures === undefined && [...outwards(plan, label)].some(({ kind }) => kind === "branch")
  for (const [key, record] of records) {
    if (past.has(key)) continue
    const [label, beside] = locate(record.nodeId)
    if (beside === "timeout") lookAtTimer(key, record)
    else if (record.kind === "loop") {
      const wanted = expected.loops.get(key)
      if (wanted === undefined && isInArm(label)) continue
      if (wanted === undefined) {
        found.push(`loop ${key} should not be there`)
        continue
      }
      look(key, wanted.part)
      if (isDone(wanted.part) || record.status === "finished") {
        same(`loop ${key}`, { status: record.status, passes: record.passes }, { status: wanted.status, passes: wanted.passes })
      } else if (record.passes > wanted.passes) found.push(`loop ${key} made ${record.passes} passes of at most ${wanted.passes}`)
    } else if (record.kind === "boundary" && isPart(key)) {
      if (record.status === "running" || record.status === "halted") found.push(`${key} was left ${record.status}`)
    } else if (record.kind === "boundary") {
      const wanted = expected.boundaries.get(key)
      if (wanted === undefined && isInArm(label)) continue
      if (wanted === undefined) {
        found.push(`boundary ${key} should not be there`)
        continue
      }
      look(key, wanted.part)
      if (
        record.status !== wanted.status &&
        (isDone(wanted.part) || !(record.status === "failed" || (record.status === "cancelled" && isLeft(key))))
      )
        found.push(`boundary ${key} was left ${record.status} instead of ${wanted.status}`)
    } else if (beside === "undo") {
      if (ending.failures === undefined && record.status === "failed" && isLeft(`${label}/${key.split("/")[1]}`, true)) continue
      const wanted = expected.steps.get(`${label}/${key.split("/")[1]}`)
      const status = wanted?.isStuck === true ? "failed" : "finished"
      if (ending.failures !== undefined || record.status !== "interrupted") same(`the status of ${key}`, record.status, status)
    } else {
      const wanted = expected.steps.get(key)
      if (wanted === undefined && isInArm(label) && Records.isSettled(record)) continue
      // What failed before in what was left stays so.
      if (ending.failures === undefined && record.status === "failed" && isLeft(key, true)) continue
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
      } else if (isLeft(key)) {
        // What was withdrawn before stays so.
        if (record.status !== "superseded" && record.status !== "withdrawn")
          found.push(`${key} is ${record.status}, and what is around it was left`)
      } else if (!(record.status === "interrupted" || record.status === "withdrawn") || record.attempt > 0) {
        if (isDone(wanted.part) || record.status === "running") found.push(`${key} was left ${record.status}`)
      }
    }
  }
  for (const [key, { part }] of [...expected.steps, ...expected.loops, ...expected.boundaries]) {
    const isThere = records.has(key) && !past.has(key)
    if (isDone(part) && !isThere && !isInArm(key.split("/")[0] as string)) found.push(`${key} is missing`)
  }
  return found
}
