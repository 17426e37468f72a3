/**
 * Walks through a recorded run with today's code. Frame by frame it gives the scheduler what was given from outside then, and
 * compares what the scheduler derives with what was derived then. Whatever departs is tainted: neither it nor what depends on it
 * goes on. Steps and child runs begin only where the recording began them, so slots and limits play no part.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AgentRunnerShape } from "../AgentRunner.ts"
import * as Circumstances from "../Circumstances.ts"
import { decodeShared, decodeSharedNow, encodeNow, type Issues, type Outputs, type SharedValue } from "../Codec.ts"
import * as DeclaredError from "../DeclaredError.ts"
import type { Definition, Planner } from "../Definition.ts"
import { canonicalText } from "../Digest.ts"
import { type StoreError, WorkflowMismatch } from "../Errors.ts"
import { type NodeId, type NodeKey, nodeKey, parseNodeKey } from "../Ids.ts"
import type { Millis } from "../Millis.ts"
import * as Plan from "../Plan.ts"
import * as PlanText from "../PlanText.ts"
import type * as Records from "../Records.ts"
import type { Difference } from "../ReplayFinding.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import * as Scheduler from "../Scheduler.ts"
import { defined } from "../Struct.ts"
import { describe } from "../Thrown.ts"
import * as Outcome from "./outcome.ts"
import * as Recording from "./recording.ts"
import * as Restore from "./restore.ts"
import * as StepReplay from "./stepReplay.ts"

/** What a walk needs. */
export interface Setting {
  readonly definition: Definition<unknown>
  readonly start: RunState.RunState
  readonly input: SharedValue
  /** Outputs of the state that the walk starts from. */
  readonly inherited: { readonly outputs: Pick<Outputs, "copy">; readonly incompatible: ReadonlyArray<Restore.Incompatible> }
  readonly recording: Recording.Recording
  /** Ids of all nodes that the recorded plans ever had. */
  readonly knownIds: ReadonlySet<NodeId>
  /** Reads the text of the recorded plan as of a frame. */
  readonly planAt: (frame: number) => Effect.Effect<string, StoreError>
  /** First prompts by attempt. */
  readonly prompts: ReadonlyMap<string, string>
  readonly promptOf: AgentRunnerShape["promptOf"]
  /** The time and the chance of authors' functions in a frame. */
  readonly circumstances: (at: Millis) => Circumstances.Circumstances
  /** Waits whose recorded times and inputs are taken over, since those of the code are different each time. */
  readonly trusted: ReadonlySet<NodeKey>
  readonly services: Context.Context<unknown>
}

/** A child run that the run has started, with today's code of it. */
interface StartedChild {
  readonly runId: string
  readonly definition: object
}

/** The result of a walk. */
export interface Walked {
  readonly findings: ReadonlyArray<Difference>
  /** Recorded nodes that were not compared, since something before them differs. */
  readonly unreached: ReadonlySet<NodeKey>
  /** Prompts and constants that cannot be compared, with the reason. */
  readonly uncompared: ReadonlyMap<NodeKey, string>
  readonly compared: ReadonlySet<NodeKey>
  readonly children: ReadonlyArray<StartedChild>
}

/** Most plans and partial decisions for one frame: more than any run that settles makes. */
const mostRounds = 2000

/** Events with which the recording has begun with a leaf. */
const opening = ["WaitStarted", "AttemptStarted", "NodeFailed"] as const

type Of<Tag extends RunEvent["_tag"]> = Extract<RunEvent, { readonly _tag: Tag }>

const same = (one: unknown, other: unknown): boolean => canonicalText(one ?? null) === canonicalText(other ?? null)

/** Outputs of a frame decoded with today's schemas, and what today's policies decide about its failures; by key. */
interface Prepared {
  readonly decoded: ReadonlyMap<NodeKey, Either.Either<SharedValue, Issues>>
  readonly willRetry: ReadonlyMap<NodeKey, boolean>
}

/** Walks through a recording. */
export const walk = (setting: Setting): Effect.Effect<Walked, StoreError | WorkflowMismatch, unknown> =>
  Effect.gen(function* () {
    const walking = make(setting)
    for (const frame of setting.recording.frames) {
      const text = walking.needsPlan(frame) ? yield* setting.planAt(frame.frame) : undefined
      const prepared = yield* walking.prepare(frame)
      const mismatch = Circumstances.under(setting.circumstances(frame.at), () => walking.pass(frame, text, prepared))
      if (mismatch !== undefined) return yield* mismatch
      if (walking.isStopped()) break
    }
    return walking.end()
  })

const make = ({
  definition,
  start,
  input,
  inherited,
  recording,
  knownIds,
  prompts,
  promptOf,
  trusted,
  services,
}: Omit<Setting, "planAt" | "circumstances">) => {
  let state = start
  let now = recording.frames[0]?.at ?? (0 as Millis)
  let frameNumber = 0
  const outputs = inherited.outputs.copy()
  const values = Scheduler.valuesOf(input, outputs)
  let planner: Planner | undefined
  let plan: Plan.Plan | undefined
  let schedule: Scheduler.Schedule | undefined
  let absorbed: Array<RunEvent> = []
  let isStale = false
  let isStopped = false
  let mismatch: WorkflowMismatch | undefined
  /** Events to derive of each kind and node so far: those of the recording up to this frame, and those of the walk. */
  const recorded = new Map<string, number>()
  const counts = new Map<string, number>()
  const findings: Array<Difference> = []
  const tainted = new Map<NodeId, number>()
  const unreached = new Set<NodeKey>()
  const uncompared = new Map<NodeKey, string>()
  const compared = new Set<NodeKey>()
  const children = new Map<string, StartedChild>()
  const interrupted = new Set<NodeKey>()
  const judged = new Set<string>()
  /** Ready nodes that the recording has not begun, and since which frame they are. */
  const held = new Set<NodeKey>()
  const heldSince = new Map<NodeKey, number>()
  /** Changes of records for waits that depart, to be made between two rounds. */
  let repairs: Array<() => void> = []
  let recordedText = ""
  let decodedText: PlanText.PlanText | undefined

  const find = (finding: Difference): void => {
    findings.push(finding)
  }
  const taint = (key: NodeKey): void => {
    const { nodeId, iteration } = parseNodeKey(key)
    const known = tainted.get(nodeId)
    tainted.set(nodeId, known === undefined ? iteration : Math.min(known, iteration))
  }
  const isTainted = (nodeId: NodeId, iteration: number): boolean => (tainted.get(nodeId) ?? Infinity) <= iteration
  const place = (nodeId: string, iteration: number) => ({ frame: frameNumber, nodeId, iteration })

  /** Tells whether a node is tainted, contains something that is, or depends on it. */
  const isAffected = (nodeId: NodeId, iteration: number): boolean => {
    if (tainted.size === 0) return false
    if (isTainted(nodeId, iteration)) return true
    const position = plan?.positions.get(nodeId)
    if (plan === undefined || position === undefined) return false
    const known = plan
    const at: Array<readonly [position: number, iteration: number]> = []
    for (const [id, since] of tainted) {
      const found = known.positions.get(id)
      if (found !== undefined) at.push([found < known.size ? found : known.undone(found), since])
    }
    if (at.length === 0) return false
    // A compensation comes after everything in its saga.
    if (position >= known.size) return true
    const isAny = (from: number, to: number): boolean => at.some(([one]) => from <= one && one < to)
    if (isAny(position, known.end(position))) return true
    for (let inner = position, up = known.parent(position); ; inner = up, up = known.parent(up)) {
      for (const { target, gate } of known.needs(inner)) {
        const from = gate >= 0 ? gate : target
        if (from >= 0 && isAny(from, known.end(from))) return true
      }
      if (up < 0) return false
      const around = known.node(up)
      if ("id" in around && at.some(([one]) => one === up)) return true
      if ((around._tag === "Sequence" || around._tag === "TryCatch") && isAny(up, inner)) return true
      if (around._tag === "Loop" && at.some(([one, since]) => up < one && one < known.end(up) && since < iteration)) return true
    }
  }

  for (const { nodeId, iteration, issues } of inherited.incompatible) {
    find({ _tag: "OutputRefused", ...place(nodeId, iteration), issues: [...issues] })
    taint(nodeKey(nodeId, iteration))
  }

  const planOf = (): Plan.Plan | undefined => {
    if (planner === undefined) return undefined
    const fail = (problem: string): undefined => {
      find({ _tag: "PlanFailed", frame: frameNumber, problem })
      isStopped = true
    }
    try {
      const made = Restore.planOf(planner, state, values)
      if (Either.isLeft(made)) return fail(made.left.message)
      const { workflow } = made.right
      if (workflow === state.workflow) return made.right
      mismatch = new WorkflowMismatch({ runId: state.runId, workflow, stored: state.workflow })
    } catch (thrown) {
      return fail(describe(thrown).message)
    }
    return undefined
  }
  /** Makes the schedule of the current plan; `before` shows which nodes of a pass are new. */
  const reschedule = (before: Plan.PlanOutline | undefined): void => {
    if (plan === undefined) return
    const accept = (wait: Plan.Wait, key: NodeKey, given: unknown): Scheduler.Accepted =>
      Either.map(
        Either.flatMap(encodeNow(wait.codec, given, services), (stored) =>
          Either.map(decodeSharedNow(wait.codec, stored, services), (kept) => ({ stored, kept })),
        ),
        ({ stored, kept }) => {
          outputs.set(key, kept)
          return stored
        },
      )
    const observe = (event: RunEvent): boolean => {
      const isChanged = planner?.observe([event]) === true
      const isRepaired = "nodeId" in event && judge(event)
      if (isChanged || isRepaired) isStale = true
      return isChanged || isRepaired
    }
    schedule = Scheduler.make(plan, values, {
      ...{ maxConcurrency: Number.MAX_SAFE_INTEGER, follows: { begins, opens }, observe, accept },
      ...defined({ before }),
    })
    absorbed = []
    isStale = false
  }
  const replan = (): void => {
    const before = plan
    const made = planOf()
    if (made === undefined) return
    plan = made
    reschedule(before)
  }

  /** Admits what the recording has begun by now. */
  const begins = (key: NodeKey): boolean => {
    const { nodeId, iteration } = parseNodeKey(key)
    if (isAffected(nodeId, iteration)) return false
    const isChild = plan?.find(nodeId)?._tag === "Wait"
    if (isChild ? opens(key) : isDue("AttemptStarted", nodeId, iteration)) return true
    hold(key)
    return false
  }

  /** Tells whether the recording has an event that the walk has not come to yet. */
  const isDue = (tag: RunEvent["_tag"], nodeId: NodeId, iteration: number): boolean => {
    const name = Recording.slot(tag, nodeId, iteration)
    return (recorded.get(name) ?? 0) > (counts.get(name) ?? 0)
  }
  /** Tells whether the recording has begun with a leaf by now, if only to fail at once. */
  const opens = (key: NodeKey): boolean => {
    const { nodeId, iteration } = parseNodeKey(key)
    if (opening.some((tag) => isDue(tag, nodeId, iteration))) return true
    // One that the run had may have found no place to the end.
    if (!knownIds.has(nodeId)) hold(key)
    return false
  }
  const hold = (key: NodeKey): void => {
    held.add(key)
    if (!heldSince.has(key)) heldSince.set(key, frameNumber)
  }

  // What is given.
  const running = (nodeId: NodeId, iteration: number, attempt: number): Records.StepRecord | undefined => {
    const record = RunState.step(state, nodeId, iteration)
    return record?.status === "running" && record.attempt === attempt ? record : undefined
  }
  const give = (event: RunEvent): void => {
    state = RunState.apply(state, event, now)
    absorbed.push(event)
    if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))
  }
  const stepOf = (nodeId: NodeId): Plan.Step | undefined => {
    const node = plan?.find(nodeId)
    return node?._tag === "Step" ? node : undefined
  }
  const isKnown = (nodeId: NodeId, iteration: number): boolean =>
    plan?.positions.has(nodeId) === true || RunState.step(state, nodeId, iteration) !== undefined
  /** The timeout of a step as recorded, if it is not the one of today. */
  const otherTimeout = (step: Plan.Step): number | undefined | "same" => {
    const node = recordedNode(step.id)
    if (node?._tag !== "Step" || step.computeTimeout !== undefined || node.details.timeout !== undefined) return "same"
    return node.details.timeoutMs === step.timeoutMs ? "same" : node.details.timeoutMs
  }
  const inTime = (ms: number | undefined): string => (ms === undefined ? "no timeout" : `${ms} ms`)

  const receive = (event: RunEvent, { decoded, willRetry }: Prepared): void => {
    switch (event._tag) {
      case "AttemptSucceeded": {
        const { nodeId, iteration, attempt } = event
        const key = nodeKey(nodeId, iteration)
        const record = running(nodeId, iteration, attempt)
        const step = stepOf(nodeId)
        if (record === undefined || isTainted(nodeId, iteration)) return
        const was = step === undefined ? "same" : otherTimeout(step)
        const { timeoutMs } = step ?? {}
        if (was !== "same" && timeoutMs !== undefined && now - (record.attemptedAt ?? now) > timeoutMs) {
          find({
            _tag: "PolicyChanged",
            ...place(nodeId, iteration),
            attempt,
            policy: "timeout",
            was: inTime(was),
            now: inTime(timeoutMs),
          })
          return taint(key)
        }
        const value = decoded.get(key)
        if (value !== undefined && Either.isLeft(value)) {
          find({ _tag: "OutputRefused", ...place(nodeId, iteration), issues: [...value.left] })
          return taint(key)
        }
        const { table: _, ...rest } = event
        give({ ...rest, ...defined({ table: step === undefined ? event.table : step.table }) })
        if (value !== undefined) outputs.set(key, value.right)
        return
      }
      case "AttemptFailed": {
        const { nodeId, iteration, attempt, error } = event
        if (running(nodeId, iteration, attempt) === undefined || isTainted(nodeId, iteration)) return
        const step = stepOf(nodeId)
        const differ = (policy: "retry" | "timeout" | "continueOnFail", was: string, is: string): void => {
          find({ _tag: "PolicyChanged", ...place(nodeId, iteration), attempt, policy, was, now: is })
          taint(nodeKey(nodeId, iteration))
        }
        const was = step === undefined ? "same" : otherTimeout(step)
        if (error.kind === "timeout" && was !== "same") return differ("timeout", inTime(was), inTime(step?.timeoutMs))
        const willBeRetried = willRetry.get(nodeKey(nodeId, iteration))
        const [again, over] = ["another attempt", "the end"]
        if (willBeRetried !== undefined && willBeRetried !== (event.retryAt !== undefined))
          return differ("retry", willBeRetried ? over : again, willBeRetried ? again : over)
        const isSoft = step?.continueOnFail === true
        if (event.retryAt === undefined && step !== undefined && isSoft !== (event.isSoft === true))
          return differ("continueOnFail", String(!isSoft), String(isSoft))
        return give(event)
      }
      case "AttemptInterrupted": {
        const { nodeId, iteration, attempt, reason } = event
        const key = nodeKey(nodeId, iteration)
        if (running(nodeId, iteration, attempt) === undefined) return
        const isOrdered = reason === "cancelled" || reason === "fail-fast"
        if (isTainted(nodeId, iteration)) return reason === "suspended" ? undefined : give(event)
        // Nothing in today's code has stopped it; what did is reported at its own place.
        if (isOrdered && !interrupted.has(key) && state.cancel === undefined) return taint(key)
        return give(event)
      }
      case "WaitEnded": {
        const key = nodeKey(event.nodeId, event.iteration)
        const value = decoded.get(key)
        if (isTainted(event.nodeId, event.iteration)) return
        give(event)
        if (value !== undefined && Either.isRight(value)) outputs.set(key, value.right)
        return
      }
      case "AttemptStarted":
      case "WaitStarted":
      case "NodeFailed": {
        const { nodeId, iteration } = event
        if (!isTainted(nodeId, iteration) && isKnown(nodeId, iteration)) give(event)
        return
      }
      case "ApprovalDecided":
      case "TaskAnswered":
      case "SubflowEnded":
      case "DeadlineMoved": {
        const { nodeId, iteration } = event
        if (!isTainted(nodeId, iteration) && RunState.step(state, nodeId, iteration)?.status === "waiting") give(event)
        return
      }
      case "LeaveRequested":
        return plan?.positions.has(event.nodeId) === true ? give(event) : undefined
      case "NodeReset":
      case "LoopAdvanced":
      case "LoopMounted":
      case "PartsDecided":
      case "BoundaryHalted": {
        const { nodeId, iteration } = event
        const isThere =
          RunState.step(state, nodeId, iteration) !== undefined ||
          RunState.loop(state, nodeId, iteration) !== undefined ||
          RunState.boundary(state, nodeId, iteration) !== undefined
        if (isThere) give(event)
        return
      }
      default:
        return give(event)
    }
  }

  // What is derived.
  /** Keeps a wait open for ever: it is one that the recording does not have. */
  const freeze = (nodeId: NodeId, iteration: number): void => {
    taint(nodeKey(nodeId, iteration))
    repairs.push(() => {
      const record = RunState.step(state, nodeId, iteration)
      if (record?.wait === undefined || record.status !== "waiting") return
      const { deadline: _, decision: __, answers: ___, child: ____, ...wait } = record.wait
      state = RunState.put(state, { ...record, wait: { ...wait, isOfAttempt: true } })
    })
  }
  const isCase = (tag: RunEvent["_tag"], nodeId: NodeId, iteration: number): boolean =>
    recording.derived.has(Recording.slot(tag, nodeId, iteration))
  const expectedOf = <E extends Recording.NodeEvent>(event: E, index: number): Recording.Derived<E> | undefined =>
    recording.derived.get(Recording.slot(event._tag, event.nodeId, event.iteration))?.[index] as Recording.Derived<E> | undefined

  /** Compares an event with the recorded one. Returns whether the schedule has to be made again. */
  const judge = (event: Recording.NodeEvent): boolean => {
    const { nodeId, iteration } = event
    const name = Recording.slot(event._tag, nodeId, iteration)
    const index = counts.get(name) ?? 0
    counts.set(name, index + 1)
    if (isAffected(nodeId, iteration)) {
      if (event._tag !== "WaitStarted") return false
      freeze(nodeId, iteration)
      return true
    }
    const before = findings.length
    const isBegun = event._tag === "WaitStarted"
    switch (event._tag) {
      case "WaitStarted":
        if (judgeWait(event, expectedOf(event, index))) return true
        break
      case "WaitEnded":
        judgeEnd(event, expectedOf(event, index)?.event)
        break
      case "NodeSkipped":
        if (expectedOf(event, index) === undefined)
          find(
            knownIds.has(nodeId)
              ? { _tag: "SkipChanged", ...place(nodeId, iteration), isSkipped: true }
              : { _tag: "NodeAdded", ...place(nodeId, iteration) },
          )
        break
      case "NodeFailed": {
        const was = expectedOf(event, index)?.event.error.message
        if (was !== event.error.message)
          find({ _tag: "FunctionThrew", ...place(nodeId, iteration), was: was ?? null, now: event.error.message })
        break
      }
      case "LoopAdvanced": {
        const isNew = !knownIds.has(nodeId) && !isCase("LoopAdvanced", nodeId, iteration)
        if (!isNew && expectedOf(event, index) === undefined)
          find({ _tag: "LoopChanged", ...place(nodeId, iteration), was: passesOf(nodeId, iteration), now: null })
        break
      }
      case "LoopFinished": {
        const isNew = !knownIds.has(nodeId) && !isCase("LoopAdvanced", nodeId, iteration)
        const until = expectedOf(event, index)?.frame ?? -1
        const passes = recording.derived.get(Recording.slot("LoopAdvanced", nodeId, iteration)) ?? []
        const made = counts.get(Recording.slot("LoopAdvanced", nodeId, iteration)) ?? 0
        if (!isNew && passes.filter(({ frame }) => frame <= until).length !== made)
          find({
            _tag: "LoopChanged",
            ...place(nodeId, iteration),
            was: passesOf(nodeId, iteration),
            now: RunState.loop(state, nodeId, iteration)?.passes ?? 0,
          })
        break
      }
      case "AnswerRefused":
      case "SignalRefused":
        if (expectedOf(event, index) === undefined)
          find({ _tag: "AnswerRefused", ...place(nodeId, iteration), issues: [...event.issues] })
        break
      case "BoundaryHalted": {
        const was = expectedOf(event, index)?.event
        const [wasSo, isSo] = [was === undefined ? null : haltText(was), haltText(event)]
        if (wasSo === isSo || (was === undefined && !knownIds.has(nodeId))) break
        const threw = thrownIn(event)
        if (threw !== undefined && threw !== (was && thrownIn(was)))
          find({
            _tag: "FunctionThrew",
            ...place(event.cause?.nodeId ?? nodeId, event.cause?.iteration ?? iteration),
            was: null,
            now: threw,
          })
        else find({ _tag: "RegionChanged", ...place(nodeId, iteration), was: wasSo, now: isSo })
        break
      }
      case "BoundaryEnded": {
        const was = expectedOf(event, index)?.event.status
        if (was !== event.status && (was !== undefined || knownIds.has(nodeId)))
          find({ _tag: "RegionChanged", ...place(nodeId, iteration), was: was ?? null, now: event.status })
        break
      }
      case "PartsDecided": {
        const was = expectedOf(event, index)?.event
        const said = ({ winners, isDecided }: Of<"PartsDecided">): string =>
          `${winners?.join(", ") ?? "no winner"}${isDecided === true ? "" : ", not decided"}`
        if ((was === undefined && knownIds.has(nodeId)) || (was !== undefined && said(was) !== said(event)))
          find({ _tag: "RegionChanged", ...place(nodeId, iteration), was: was === undefined ? null : said(was), now: said(event) })
        break
      }
    }
    if (findings.length > before) taint(nodeKey(nodeId, iteration))
    else if (isBegun) compared.add(nodeKey(nodeId, iteration))
    return false
  }
  const passesOf = (nodeId: NodeId, iteration: number): number =>
    new Set(
      recording.derived.get(Recording.slot("LoopAdvanced", nodeId, iteration))?.map(({ event }) => "pass" in event && event.pass),
    ).size
  const haltText = ({ cause, isCaught, left }: Of<"BoundaryHalted">): string => {
    const why =
      left === undefined
        ? cause === undefined
          ? "cancelled"
          : `by the failure of "${cause.nodeId}"`
        : `${left.outcome}, ${left.trigger}`
    return `left ${why}${isCaught ? ", caught" : ""}`
  }
  const thrownIn = ({ cause }: Pick<Of<"BoundaryHalted">, "cause">): string | undefined =>
    cause?.reason._tag === "Error" && cause.reason.error.notRetried === "plan" ? cause.reason.error.message : undefined

  const judgeWait = (event: Of<"WaitStarted">, expected: Recording.Derived<Of<"WaitStarted">> | undefined): boolean => {
    const { nodeId, iteration, kind } = event
    const at = place(nodeId, iteration)
    const depart = (finding: Difference): true => {
      find(finding)
      freeze(nodeId, iteration)
      return true
    }
    const shown = ({ request, name, correlation }: Of<"WaitStarted">): unknown => request ?? defined({ name, correlation })
    if (expected === undefined) {
      const isNew = !knownIds.has(nodeId) || !recording.keys.has(nodeKey(nodeId, iteration))
      if (isNew) return depart(added(nodeId, iteration))
      return depart({ _tag: "RequestChanged", ...at, kind, was: null, now: shown(event) })
    }
    const was = expected.event
    const isTrusted = trusted.has(nodeKey(nodeId, iteration))
    const adopt = (): boolean => {
      repairs.push(() => {
        const record = RunState.step(state, nodeId, iteration)
        if (record?.wait === undefined) return
        const { deadline: _, request: __, ...wait } = record.wait
        const { deadline, request } = was
        state = RunState.put(state, {
          ...record,
          wait: { ...wait, ...defined({ deadline, request: request as Records.Wait["request"] }) },
        })
      })
      return true
    }
    if (was.kind !== kind) return depart({ _tag: "RequestChanged", ...at, kind, was: shown(was), now: shown(event) })
    if (kind === "subflow") {
      const node = plan?.find(nodeId)
      if (node?._tag === "Wait" && node.target.kind === "subflow" && event.name !== undefined)
        children.set(event.name, { runId: event.name, definition: node.target.child.definition })
      if (!same(was.request, event.request))
        return isTrusted ? adopt() : depart({ _tag: "ChildInputChanged", ...at, was: was.request, now: event.request })
    } else if (
      was.digest !== event.digest ||
      was.name !== event.name ||
      was.correlation !== event.correlation ||
      !same(was.request, event.request)
    )
      return depart({ _tag: "RequestChanged", ...at, kind, was: shown(was), now: shown(event) })
    const isSameTime = was.deadline === event.deadline || since(was, expected.at) === since(event, now)
    if (!isSameTime)
      return isTrusted ? adopt() : depart({ _tag: "DueChanged", ...at, kind, was: since(was, expected.at), now: since(event, now) })
    return false
  }
  const since = ({ deadline }: Of<"WaitStarted">, at: number): number | null => (deadline === undefined ? null : deadline - at)

  const judgeEnd = (event: Of<"WaitEnded">, was: Of<"WaitEnded"> | undefined): void => {
    const { nodeId, iteration } = event
    const said = ({ status, reason, error }: Of<"WaitEnded">): string =>
      `${status} (${reason})${error === undefined ? "" : `: ${error.message}`}`
    if (was === undefined || said(was) !== said(event))
      find({ _tag: "WaitEndChanged", ...place(nodeId, iteration), was: was === undefined ? null : said(was), now: said(event) })
    else if (!same(was.output, event.output))
      find({ _tag: "ValueChanged", ...place(nodeId, iteration), was: was.output, now: event.output })
  }

  // New and gone nodes.
  /** Ids of the leaves in a part of the plan. */
  const leavesIn = (from: number): ReadonlyArray<NodeId> => {
    const ids: Array<NodeId> = []
    for (let inside = from; plan !== undefined && inside < plan.end(from); inside++) {
      const node = plan.node(inside)
      if (Plan.isLeaf(node)) ids.push(node.id)
    }
    return ids
  }
  /** The arms of a branch around a node: that of the node, and the leaves of the one that was taken in its place. */
  const armsAround = (
    position: number,
  ): { readonly own: ReadonlyArray<NodeId>; readonly other: ReadonlyArray<NodeId>; readonly branch: number } | undefined => {
    if (plan === undefined || position >= plan.size) return undefined
    for (let inner = position, up = plan.parent(position); up >= 0; inner = up, up = plan.parent(up)) {
      if (plan.node(up)._tag !== "Branch") continue
      const others: Array<NodeId> = []
      for (let arm = up + 1; arm < plan.end(up); arm = plan.end(arm)) if (arm !== inner) others.push(...leavesIn(arm))
      return { own: leavesIn(inner), other: others, branch: up }
    }
    return undefined
  }
  /** The list around a node, and the key of its item. */
  const itemAround = (position: number): { readonly list: NodeId; readonly key: string } | undefined => {
    if (plan === undefined || position >= plan.size) return undefined
    for (let inner = position; inner >= 0; inner = plan.parent(inner)) {
      const [node, up] = [plan.node(inner), plan.parent(inner)]
      if (up >= 0 && Plan.isPart(node) && plan.node(up)._tag === "ForEach")
        return { list: plan.id(plan.parent(up)), key: node.part.key }
    }
    return undefined
  }
  const wasBegun = (nodeId: NodeId, iteration: number): boolean => recording.keys.has(nodeKey(nodeId, iteration))
  const isBegun = (nodeId: NodeId, iteration: number): boolean =>
    RunState.step(state, nodeId, iteration) !== undefined || held.has(nodeKey(nodeId, iteration))
  /** Items that differ, by list. */
  const items = new Map<NodeId, { readonly frame: number; readonly added: Set<string>; readonly removed: Set<string> }>()
  const noteItem = (list: NodeId, how: "added" | "removed", key: string): Difference => {
    const known = items.get(list) ?? { frame: frameNumber, added: new Set(), removed: new Set() }
    items.set(list, known)
    known[how].add(key)
    return { _tag: "ItemsChanged", frame: known.frame, nodeId: list, added: [], removed: [] }
  }
  /** The finding for a node that today's code begins and the recording does not. */
  const added = (nodeId: NodeId, iteration: number): Difference => {
    const position = plan?.positions.get(nodeId) ?? -1
    const arms = armsAround(position)
    const taken = arms?.other.filter((id) => wasBegun(id, iteration)) ?? []
    if (arms !== undefined && (taken.length > 0 || knownIds.has(nodeId)) && !arms.own.some((id) => wasBegun(id, iteration)))
      return { _tag: "RouteChanged", frame: frameNumber, was: taken, now: arms.own }
    const item = itemAround(position)
    if (item !== undefined && knownIds.has(item.list) && !knownIds.has(nodeId)) return noteItem(item.list, "added", item.key)
    return { _tag: "NodeAdded", ...place(nodeId, iteration) }
  }
  /** Tells whether the route of a branch was reported before. */
  const isRouted = (branch: number, iteration: number): boolean => {
    const route = `route ${branch} ${iteration}`
    return judged.has(route) || !judged.add(route)
  }
  const add = (nodeId: NodeId, iteration: number): void => {
    const finding = added(nodeId, iteration)
    const arms = finding._tag === "RouteChanged" ? armsAround(plan?.positions.get(nodeId) ?? -1) : undefined
    if (arms === undefined || !isRouted(arms.branch, iteration)) find(finding)
  }
  /** Reports a node that the recording has begun, or ended otherwise, in this frame, and today's code has not. */
  const missing = (event: Recording.NodeEvent): void => {
    const { nodeId, iteration } = event
    const name = Recording.slot(event._tag, nodeId, iteration)
    if ((counts.get(name) ?? 0) >= (recorded.get(name) ?? 0)) return
    const key = nodeKey(nodeId, iteration)
    const position = plan?.positions.get(nodeId)
    if (isAffected(nodeId, iteration)) return void unreached.add(key)
    if (plan === undefined || position === undefined) return gone(event)
    const at = place(nodeId, iteration)
    const depart = (finding: Difference): void => {
      find(finding)
      taint(key)
    }
    switch (event._tag) {
      case "AttemptStarted":
      case "WaitStarted": {
        const arms = armsAround(position)
        if (arms !== undefined) {
          const now = arms.other.filter((id) => isBegun(id, iteration))
          if (isRouted(arms.branch, iteration)) return void unreached.add(key)
          for (const id of now) taint(nodeKey(id, iteration))
          return depart({ _tag: "RouteChanged", frame: frameNumber, was: arms.own.filter((id) => wasBegun(id, iteration)), now })
        }
        // Something that goes on beside it may still come to it.
        if (tainted.size > 0) return void unreached.add(key)
        return depart({ _tag: "NodeGone", ...at })
      }
      case "NodeSkipped":
        return depart({ _tag: "SkipChanged", ...at, isSkipped: false })
      case "NodeFailed":
        return depart({ _tag: "FunctionThrew", ...at, was: event.error.message, now: null })
      case "WaitEnded":
        return depart({ _tag: "WaitEndChanged", ...at, was: `${event.status} (${event.reason})`, now: null })
      case "BoundaryHalted":
        return depart({ _tag: "RegionChanged", ...at, was: haltText(event), now: null })
      case "BoundaryEnded":
        return depart({ _tag: "RegionChanged", ...at, was: event.status, now: null })
      case "PartsDecided":
        return depart({ _tag: "RegionChanged", ...at, was: event.winners?.join(", ") ?? "decided", now: null })
    }
  }
  /** Reports a recorded node that today's plan does not have. */
  const gone = (event: Recording.NodeEvent): void => {
    const { nodeId, iteration, _tag } = event
    const isLeaf = _tag === "AttemptStarted" || _tag === "WaitStarted"
    if (!isLeaf || plan === undefined) return
    const key = nodeKey(nodeId, iteration)
    if (judged.has(key)) return
    judged.add(key)
    const item = recordedItem(nodeId)
    const list = item === undefined ? undefined : plan.positions.get(item.list)
    if (item !== undefined && list !== undefined) {
      if (isAffected(item.list, iteration)) return void unreached.add(key)
      noteItem(item.list, "removed", item.key)
      return taint(nodeKey(item.list, 0))
    }
    // Another plan may come once what differs is known.
    if (plan.isRendered && tainted.size > 0) return void unreached.add(key)
    find({ _tag: "NodeGone", ...place(nodeId, iteration) })
    taint(key)
  }
  const recordedNode = (nodeId: NodeId): PlanText.Node | undefined => {
    decodedText ??= PlanText.decode(recordedText)
    return decodedText.nodes[decodedText.positions.get(nodeId) ?? -1]
  }
  const recordedItem = (nodeId: NodeId): { readonly list: NodeId; readonly key: string } | undefined => {
    decodedText ??= PlanText.decode(recordedText)
    const { nodes, positions } = decodedText
    let key: string | undefined
    let [isList, depth] = [false, Infinity]
    for (let at = positions.get(nodeId) ?? -1; at >= 0; at--) {
      const node = nodes[at]
      if (node === undefined || node.depth >= depth) continue
      depth = node.depth
      if (isList && key !== undefined && node._tag === "Scope" && node.id !== undefined) return { list: node.id, key }
      if (node._tag === "Scope" && node.details.part !== undefined) key = node.details.part
      isList = node._tag === "ForEach"
    }
    return undefined
  }

  // Steps that begin.
  const judgeStart = ({ step, position, iteration, attempt }: Scheduler.Start): void => {
    const key = nodeKey(step.id, iteration)
    if (plan === undefined || schedule === undefined || isTainted(step.id, iteration)) return
    compared.add(key)
    const depart = (finding: Difference): void => {
      find(finding)
      taint(key)
    }
    const at = place(step.id, iteration)
    if (plan.text !== recordedText && position < plan.size) {
      const [was, is] = [recordedNode(step.id), nodeIn(plan, step.id)]
      if (was?._tag === "Step" && is?._tag === "Step") {
        const [before, after] = [was.details.needs ?? {}, is.details.needs ?? {}]
        if (!same(before, after)) return depart({ _tag: "NeedsChanged", ...at, was: before, now: after })
        const [asked, asks] = [was.details.agents ?? [], is.details.agents ?? []]
        if (!same(asked, asks)) return depart({ _tag: "AgentsChanged", ...at, was: [...asked], now: [...asks] })
      }
    }
    const isConstant = step.isConstant === true
    const recordedPrompt = prompts.get(Recording.attemptName(step.id, iteration, attempt))
    const success = recording.successes.get(Recording.attemptName(step.id, iteration, attempt))
    const isAsking = step.agentSpec !== undefined && recordedPrompt !== undefined
    if (position >= plan.size || !(isAsking || (isConstant && success !== undefined))) return
    const { values: needs, missing } = schedule.needs(position)
    if (missing !== undefined) return
    const record = RunState.step(state, step.id, iteration)
    const pass = schedule.pass(position)
    const made = { step, record, iteration, attempt, pass, input: values.input, needs, state }
    const given = isAsking ? StepReplay.prompted(made, recordedPrompt, promptOf) : StepReplay.ask(made)
    switch (given._tag) {
      case "Threw":
        return depart({ _tag: "FunctionThrew", ...at, was: null, now: given.message })
      case "Later":
        uncompared.set(key, given.reason)
        return
      case "Prompt":
        if (recordedPrompt === undefined || given.prompt === recordedPrompt) return
        return depart({
          _tag: "PromptChanged",
          ...{ ...at, attempt, was: recordedPrompt, now: given.prompt },
          ...(given.isForm ? { isForm: true } : {}),
        })
      case "Given": {
        const stored = encodeNow(step.codec, given.value, services)
        if (Either.isLeft(stored)) return depart({ _tag: "OutputRefused", ...at, issues: [...stored.left] })
        if (!same(stored.right, success?.output))
          return depart({ _tag: "ValueChanged", ...at, was: success?.output, now: stored.right })
      }
    }
  }
  let encoded: { readonly plan: Plan.Plan; readonly text: PlanText.PlanText } | undefined
  const nodeIn = (of: Plan.Plan, nodeId: NodeId): PlanText.Node | undefined => {
    if (encoded?.plan !== of) encoded = { plan: of, text: PlanText.decode(of.text) }
    return encoded.text.nodes[encoded.text.positions.get(nodeId) ?? -1]
  }

  // The end.
  const endText = (event: RunEvent): string => {
    switch (event._tag) {
      case "RunFinished":
        return "finished"
      case "RunCancelled":
        return "cancelled"
      case "RunContinued":
        return "continued"
      case "RunFailed":
        return `failed: ${event.failure.message}`
      default:
        return event._tag
    }
  }
  const isForced = (event: RunEvent): boolean =>
    event._tag === "RunCancelled" ||
    (event._tag === "RunFailed" && event.failure._tag === "CrashLoop" && event.failure.nodeId === undefined)
  const conclude = (outcome: Scheduler.Outcome | undefined, expected: RunEvent | undefined): boolean => {
    if (plan === undefined || schedule === undefined) return false
    const attempts = {
      size: () => RunState.records(state).filter(({ kind, status }) => kind === "step" && status === "running").length,
    }
    const ending = Outcome.of({ outcome, state, plan, schedule, attempts, refused: undefined })
    if (ending === undefined) return false
    const { event } = ending
    const was = expected ?? recording.end?.event
    if (tainted.size === 0) {
      const threw = outcome?.status === "failed" ? thrownIn({ cause: outcome }) : undefined
      const [wasSo, isSo] = [was === undefined ? null : endText(was), endText(event)]
      if (wasSo !== isSo && threw !== undefined && outcome?.status === "failed")
        find({ _tag: "FunctionThrew", ...place(outcome.nodeId, outcome.iteration), was: null, now: threw })
      else if (wasSo !== isSo) find({ _tag: "OutcomeChanged", frame: frameNumber, was: wasSo, now: isSo })
      else if (was?._tag === "RunFinished" && event._tag === "RunFinished" && !same(was.output, event.output))
        find({ _tag: "OutputChanged", frame: frameNumber, was: was.output, now: event.output })
    }
    state = RunState.apply(state, event, now)
    return true
  }

  /** Advances the schedule until nothing more follows. */
  const derive = (expected: RunEvent | undefined): void => {
    let hasEnded = false
    for (let round = 0; round < mostRounds && !isStopped && mismatch === undefined && schedule !== undefined; round++) {
      held.clear()
      const consequences = schedule.advance(state, absorbed, now)
      absorbed = []
      state = consequences.state
      for (const { key } of consequences.interrupts) interrupted.add(key)
      if (settle()) continue
      if (consequences.isPartial) continue
      const decision: Scheduler.Decision = schedule.next()
      state = decision.state
      for (const start of decision.starts) judgeStart(start)
      if (!hasEnded) hasEnded = conclude(decision.outcome, expected)
      if (settle() || decision.isPartial) continue
      break
    }
    if (hasEnded || expected === undefined || isStopped || RunState.isEnded(state)) return
    if (tainted.size === 0 && held.size === 0 && !isForced(expected))
      find({ _tag: "OutcomeChanged", frame: frameNumber, was: endText(expected), now: null })
    state = RunState.apply(state, expected, now)
  }
  /** Makes the repairs, and plans again if something calls for it. Returns whether it did. */
  const settle = (): boolean => {
    if (repairs.length === 0 && !isStale) return false
    const made = repairs
    repairs = []
    for (const repair of made) repair()
    replan()
    return true
  }

  /** Plans for what was given. */
  const planAfter = (given: ReadonlyArray<RunEvent>, before: RunState.RunState, isUndecided: boolean): void => {
    if (planner === undefined) {
      planner = definition.planner()
      plan = planOf()
      return reschedule(undefined)
    }
    const isResumed = given.some(({ _tag }) => _tag === "RunResumed")
    if (isUndecided) return
    if (isResumed) {
      const drawn = plan
      planner = definition.planner()
      if (drawn !== undefined) planner.recall?.(PlanText.decode(drawn.text))
      // It plans the state that it has found, and observes what follows from its resuming.
      const after = state
      state = before
      const found = planOf()
      state = after
      if (found === undefined) return
      plan = found
      if (planner.observe(absorbed)) plan = planOf()
      const hasLoops = plan?.nodes.some(({ _tag }) => _tag === "Loop") === true
      return reschedule(plan?.isRendered === true && hasLoops ? drawn : undefined)
    }
    if (given.some(({ _tag }) => _tag === "NodeReset")) {
      planner.observe(absorbed)
      return replan()
    }
    if (absorbed.length > 0 && planner.observe(absorbed)) replan()
  }

  return {
    isStopped: () => isStopped,
    /** Tells whether a frame is compared with the text of its plan. */
    needsPlan: ({ derived, given }: Recording.Frame): boolean =>
      derived.length > 0 || given.some(({ _tag }) => _tag === "AttemptFailed" || _tag === "AttemptSucceeded"),
    prepare: (frame: Recording.Frame): Effect.Effect<Prepared, never, unknown> =>
      Effect.gen(function* () {
        const decoded = new Map<NodeKey, Either.Either<SharedValue, Issues>>()
        const willRetry = new Map<NodeKey, boolean>()
        for (const event of frame.given) {
          // The end of a wait is given only where the undoing of a revert has brought it back.
          if (event._tag === "AttemptSucceeded" || (event._tag === "WaitEnded" && event.table !== undefined)) {
            const { nodeId, iteration, table = "" } = event
            const node = plan?.find(nodeId)
            const codec =
              (node?._tag === "Step" || node?._tag === "Wait" ? node.codec : undefined) ?? definition.codecOf(nodeId, table)
            const restored = codec && decodeShared(codec, event.output as Records.StepRecord["output"])
            if (restored !== undefined) decoded.set(nodeKey(nodeId, iteration), yield* Effect.either(restored))
          }
          if (event._tag === "AttemptFailed" && event.error.retryable && !frame.isUndecided) {
            const { nodeId, iteration, error } = event
            const step = stepOf(nodeId)
            const record = RunState.step(state, nodeId, iteration)
            if (step === undefined || record === undefined) continue
            const tell = (told: typeof error) => DeclaredError.tell(step.error, told)
            const earlier = record.failures.map((failure) => ({ at: failure.at, error: tell(failure.error) }))
            const decided = Effect.flatMap(RetryPolicy.replay(step.retry, earlier), (driver) =>
              RetryPolicy.next(driver, frame.at, tell(error)),
            )
            const isAgain = Effect.map(decided, ({ retryAt }) => retryAt !== undefined)
            willRetry.set(nodeKey(nodeId, iteration), yield* Effect.catchAllCause(isAgain, () => Effect.succeed(false)))
          }
        }
        return { decoded, willRetry }
      }),
    pass: (frame: Recording.Frame, text: string | undefined, prepared: Prepared): WorkflowMismatch | undefined => {
      const { at, given, derived, isUndecided } = frame
      now = at
      frameNumber = frame.frame
      if (text !== undefined && text !== recordedText) {
        recordedText = text
        decodedText = undefined
      }
      for (const event of derived) {
        if (!("nodeId" in event)) continue
        const name = Recording.slot(event._tag, event.nodeId, event.iteration)
        recorded.set(name, (recorded.get(name) ?? 0) + 1)
      }
      const before = state
      for (const event of given) receive(event, prepared)
      planAfter(given, before, isUndecided)
      const end = derived.find(
        ({ _tag }) => _tag === "RunFinished" || _tag === "RunFailed" || _tag === "RunCancelled" || _tag === "RunContinued",
      )
      if (isUndecided || isStopped || mismatch !== undefined) return mismatch
      derive(end)
      const departed: Array<NodeKey> = []
      for (const key of held) {
        const { nodeId, iteration } = parseNodeKey(key)
        if (judged.has(`held ${key}`) || isAffected(nodeId, iteration)) continue
        const wasSkipped = (recorded.get(Recording.slot("NodeSkipped", nodeId, iteration)) ?? 0) > 0
        if (knownIds.has(nodeId) && !wasSkipped && !isOtherArm(nodeId, iteration)) continue
        judged.add(`held ${key}`)
        if (wasSkipped) find({ _tag: "SkipChanged", ...place(nodeId, iteration), isSkipped: false })
        else add(nodeId, iteration)
        departed.push(key)
      }
      for (const event of derived) if ("nodeId" in event) missing(event)
      for (const key of departed) taint(key)
      state = RunState.committed(state, frame.frame)
      return mismatch
    },
    end: (): Walked => {
      // What is ready and never began, although the run came to its end.
      if (recording.end !== undefined && !isStopped)
        for (const key of held) {
          const { nodeId, iteration } = parseNodeKey(key)
          if (judged.has(`held ${key}`) || isAffected(nodeId, iteration)) continue
          frameNumber = heldSince.get(key) ?? frameNumber
          add(nodeId, iteration)
        }
      const shown = findings.flatMap((finding): ReadonlyArray<Difference> => (finding._tag === "ItemsChanged" ? [] : [finding]))
      for (const [nodeId, { frame, added, removed }] of items)
        shown.push({ _tag: "ItemsChanged", frame, nodeId, added: [...added], removed: [...removed] })
      return {
        findings: shown.sort((one, other) => one.frame - other.frame),
        unreached,
        uncompared,
        compared,
        children: [...children.values()],
      }
    },
  }

  /** Tells whether the recording has taken another arm of a branch around a node. */
  function isOtherArm(nodeId: NodeId, iteration: number): boolean {
    const arms = armsAround(plan?.positions.get(nodeId) ?? -1)
    return arms !== undefined && !arms.own.some((id) => wasBegun(id, iteration)) && arms.other.some((id) => wasBegun(id, iteration))
  }
}
