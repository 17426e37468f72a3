/**
 * Takes a run back to before an attempt, in place and append-only: the node and everything that has read it are reset in one new frame,
 * and the files are restored to the snapshot before the attempt. The order is claim, snapshot of the files as they are, intent, restore,
 * frame. A crash leaves the intent, which the next claim of the run completes or takes back.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { resolveNodeId } from "./Commands.ts"
import type { Definition } from "./Definition.ts"
import {
  type InvalidInput,
  type InvalidSetting,
  type InvalidWorkflow,
  NodeNotFound,
  type RenderFailed,
  RevertRefused,
  RevertUnfinished,
  type RunFenced,
  type RunNotFound,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import { type NodeId, nodeKey } from "./Ids.ts"
import type { InboxMessage } from "./Inbox.ts"
import * as BringBack from "./internal/bringBack.ts"
import * as ForkFiles from "./internal/fork/files.ts"
import * as FrameBuilder from "./internal/frameBuilder.ts"
import * as Outbox from "./internal/outbox.ts"
import * as Recovery from "./internal/recovery.ts"
import * as Rerun from "./internal/rerun.ts"
import * as Restore from "./internal/restore.ts"
import * as View from "./internal/view.ts"
import * as Worktree from "./internal/worktree.ts"
import * as Lineage from "./Lineage.ts"
import * as Millis from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import * as PlanText from "./PlanText.ts"
import * as Records from "./Records.ts"
import type { RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import { valuesOf } from "./Scheduler.ts"
import * as Settings from "./Settings.ts"
import * as Snapshots from "./Snapshots.ts"
import * as Status from "./Status.ts"
import { type NarrowPorts, type RunPorts, runPorts } from "./Storage.ts"
import { defined } from "./Struct.ts"
import {
  type Change,
  type NoGit,
  type RestoreIncomplete,
  type RestoreRefused,
  type SnapshotMissing,
  type WorkspaceFailed,
  Workspaces,
  type WorkspacesShape,
} from "./Workspaces.ts"

/** Options of a revert. */
export interface RevertOptions {
  /** The node to take the run back to. Not for `undo`. */
  readonly node?: string
  /** The attempt of it whose beginning the files are restored to. Default: its last one with a snapshot, otherwise its last. */
  readonly attempt?: number
  /** Iteration of the node, as in its rows. Default: its last. */
  readonly iteration?: number
  /** `true` restores files and fails without a snapshot, `false` leaves files alone. Default: where there is a snapshot. */
  readonly files?: boolean
  /** `true` to undo the last revert instead. Default: false. */
  readonly undo?: boolean
  /** `true` to replace files, too, that no snapshot holds, such as ignored ones; the snapshot of the files before then holds them. Default: false. */
  readonly force?: boolean
  /** Author, for the log. */
  readonly by?: string
  /** `true` to change nothing, and only return what would be done. Default: false. */
  readonly dryRun?: boolean
}

const optionNames: Settings.Names<RevertOptions> = {
  ...{ node: true, attempt: true, iteration: true, files: true, undo: true, force: true, by: true, dryRun: true },
}

/** A node of a run in one iteration. */
export interface RevertedNode {
  readonly nodeId: NodeId
  readonly iteration: number
}

/** Files that a revert restores. */
export interface RevertedFiles {
  readonly root: string
  /** The commit that they are restored to. */
  readonly target: string
  /** The commit of the files before; absent of a dry run. */
  readonly safety?: string
  readonly changes: ReadonlyArray<Change>
  /** Files that no snapshot can bring back: the revert is refused without `force`. */
  readonly overwrites: ReadonlyArray<string>
}

/** A revert, and what comes of it. */
export interface Reverted {
  readonly runId: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly attempt: number
  /** Nodes that are reset: they run, wait or ask again once the run is resumed. */
  readonly resets: ReadonlyArray<RevertedNode>
  /** Nodes that have ended again as before, of an undone revert. */
  readonly restored: ReadonlyArray<RevertedNode>
  /** `null` where files are left alone. */
  readonly files: RevertedFiles | null
  /** The number of the revert that was undone. */
  readonly undoes: number | null
  /** What could not be brought back. */
  readonly notes: ReadonlyArray<string>
  readonly isDryRun: boolean
}

type FileError = NoGit | WorkspaceFailed | SnapshotMissing | RestoreRefused | RestoreIncomplete

/** The errors of a revert. */
export type RevertError =
  | StoreError
  | RunNotFound
  | RunFenced
  | InvalidSetting
  | InvalidInput
  | InvalidWorkflow
  | RenderFailed
  | WorkflowMismatch
  | NodeNotFound
  | RevertRefused
  | RevertUnfinished
  | FileError

/** Lease of a claim: longer than any restore, since nothing renews it. A process that dies is noticed at once. */
const leaseMs = Millis.make(15 * 60_000)

/** What is reverted to. */
interface Goal {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly attempt: number
  /** The directory and commit of the files. */
  readonly files: { readonly root: string; readonly target: string } | undefined
  readonly undone: Snapshots.StoredRevert | undefined
  readonly by: string | undefined
}

/** The frame of a revert, before it is committed. */
interface Made {
  readonly plan: Plan.Plan
  readonly frame: FrameBuilder.FrameBuilder
  readonly resets: ReadonlyArray<RevertedNode>
  readonly restored: ReadonlyArray<RevertedNode>
  readonly notes: ReadonlyArray<string>
}

const refusal = (runId: string, reason: RevertRefused["reason"], problem: string, cure: string): RevertRefused =>
  new RevertRefused({ runId, reason, problem, cure })

/** Builds the frame of a revert. */
const make = (
  { store, reader, snapshots }: RunPorts,
  definition: Definition<unknown>,
  state: RunState.RunState,
  epoch: number,
  { nodeId, iteration, attempt, files, undone, by }: Goal,
) =>
  Effect.gen(function* () {
    const { runId } = state
    const now = yield* Millis.now
    const records = RunState.records(state)
    const { outputs } = yield* Restore.outputs(definition, records)
    const values = valuesOf(yield* Restore.input(definition, state.workflow, state.input), outputs)
    const planner = definition.planner()
    const storedPlan = yield* reader.plan(runId)
    const before = PlanText.decode(storedPlan)
    planner.recall?.(before)
    let plan = yield* Restore.plan(planner, state, values)
    yield* store.prepareOutputs(state.workflow, [...definition.tables, ...(planner.tables?.() ?? [])])
    const frame = FrameBuilder.make(runId, epoch, state)
    /** Whoever has decided about what is reset decides again, also about the gate of a step. */
    const append = (given: RunEvent): void => {
      const isGated =
        given._tag === "NodeReset" && RunState.step(frame.state, given.nodeId, given.iteration)?.approved !== undefined
      const event = isGated ? { ...given, isUnapproved: true } : given
      frame.append(event, now)
      if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))
    }
    const replan = (events: ReadonlyArray<RunEvent>) =>
      Effect.gen(function* () {
        planner.observe(events)
        const planned = yield* Restore.plan(planner, frame.state, values)
        yield* store.prepareOutputs(state.workflow, planner.tables?.() ?? [])
        return planned
      })
    const to = { nodeId, iteration, attempt }
    append({ _tag: "RunReverted", to, ...defined({ commit: files?.target, undoes: undone?.number, by }) })
    const reason = state.status === "running" ? "crash" : "shutdown"
    // One that is failing would fail before it comes to anything else.
    const isRevived = (RunState.isEnded(state) || state.failureCount > 0) && undone === undefined
    // A denial that the run has failed by is asked again, or the run would fail before it comes to anything else.
    const denied = records.filter((record) => record.kind === "step" && record.wait?.status === "failed")
    const again = [nodeId, ...denied.map((record) => record.nodeId)]
    for (const event of Recovery.recover(plan, frame.state, records, isRevived, reason, again, () => true)) append(event)
    const notes: Array<string> = []
    const restored: Array<RevertedNode> = []
    if (undone === undefined) {
      const position = plan.positions.get(nodeId)
      if (position === undefined || position >= plan.size)
        return yield* refusal(
          runId,
          "gone",
          `the workflow has no node "${nodeId}" any more`,
          "Revert with the code that has it, or to another node.",
        )
      const back = takeBackLoops(plan, frame.state, position, iteration)
      if (back === undefined)
        return yield* refusal(
          runId,
          "gone",
          `iteration ${iteration} of "${nodeId}" is of a loop that has begun again since`,
          "Revert to a node before the loop, or to a later iteration.",
        )
      for (const event of back) append(event)
      if (back.length > 0) plan = yield* replan(back)
      if (!Recovery.canRetry(plan, frame.state, nodeId, iteration))
        return yield* refusal(
          runId,
          "in-the-way",
          `"${nodeId}" is in a saga that is being undone, or not in the iteration that its run is in`,
          "Let it end first: resume it.",
        )
      const writers =
        files === undefined ? [] : yield* writersSince({ store, snapshots }, state, files, { nodeId, iteration, attempt })
      const view = viewOf(plan, frame.state)
      const again = writers.flatMap((writer) => {
        const at = plan.positions.get(writer.nodeId)
        return at !== undefined && at < plan.size && view.iterationOf(at) === writer.iteration ? [writer.nodeId] : []
      })
      plan = yield* Rerun.make(plan, [...new Set([nodeId, ...again])], { state: () => frame.state, append, replan })
    } else {
      // Brings back the results that the revert took, unless their nodes have new ones.
      const earlier = yield* store.load(runId, { frame: undone.frame - 1 })
      if (BringBack.isSame(state, yield* store.load(runId, { frame: undone.frame }))) {
        const back = BringBack.make(earlier, frame.state)
        for (const event of back.events) append(event)
        for (const { nodeId, iteration, kind, ...record } of RunState.records(earlier)) {
          if (back.finished.has(nodeKey(nodeId, iteration))) restored.push({ nodeId, iteration })
          else if (kind === "step" && "wait" in record && record.wait?.status === "open")
            notes.push(`"${nodeId}" (iteration ${iteration}) waits for its ${record.wait.kind} again.`)
        }
        const rows = restored.flatMap(({ nodeId, iteration }) => RunState.step(frame.state, nodeId, iteration) ?? [])
        yield* Restore.outputs(definition, rows, outputs)
        if (back.events.length > 0) plan = yield* replan(frame.events)
        // One that had ended goes on as it would be resumed.
        const again = RunState.isEnded(earlier)
          ? Recovery.recover(plan, frame.state, RunState.records(frame.state), true, reason, [], () => true)
          : []
        for (const event of again) append(event)
        if (again.length > 0) plan = yield* replan(again)
        if (earlier.status === "failed")
          notes.push("The run had failed. It is suspended now, and tries again what had failed when it is resumed.")
      } else notes.push("Nodes have gone on since the revert, so none of them was brought back: only files were.")
    }
    if (plan.text !== storedPlan) {
      const changes = PlanText.diff(before, plan)
      const named = { mounted: PlanText.changed(changes, "added"), unmounted: PlanText.changed(changes, "removed") }
      const isChanged = named.mounted.length > 0 || named.unmounted.length > 0
      if (isChanged) append({ _tag: "PlanChanged", ...named, changed: PlanText.changed(changes, "changed", "moved") })
    }
    const resets = frame.events.flatMap((event) =>
      event._tag === "NodeReset" && RunState.step(state, event.nodeId, event.iteration) !== undefined
        ? [{ nodeId: event.nodeId, iteration: event.iteration }]
        : [],
    )
    const made: Made = { plan, frame, resets: distinct(resets), restored, notes }
    return made
  })

const distinct = (nodes: ReadonlyArray<RevertedNode>): ReadonlyArray<RevertedNode> => [
  ...new Map(nodes.map((node) => [nodeKey(node.nodeId, node.iteration), node])).values(),
]

const viewOf = (plan: Plan.Plan, state: RunState.RunState): View.View =>
  View.make({ plan, values: { input: undefined, outputs: new Map() }, state: () => state, armOf: () => -1 })

/**
 * The events that take the loops around a node back to the pass that a row of it is of: later passes are reset. `undefined` if the row is of
 * no pass of them.
 */
const takeBackLoops = (
  plan: Plan.Plan,
  state: RunState.RunState,
  position: number,
  iteration: number,
): ReadonlyArray<RunEvent> | undefined => {
  const around: Array<number> = []
  for (let loop = plan.loopOf(position); loop >= 0; loop = plan.loopOf(loop)) around.push(loop)
  if (around.length === 0) return iteration === 0 ? [] : undefined
  /** From the innermost loop outwards: the pass of each, and the row that the loop itself has. */
  const advances: Array<Extract<RunEvent, { readonly _tag: "LoopAdvanced" }>> = []
  let row = iteration
  for (const loop of around) {
    const id = plan.id(loop)
    const record = RunState.records(state).find(
      (one) => one.kind === "loop" && one.nodeId === id && one.base <= row && row < one.base + one.passes,
    )
    if (record?.kind !== "loop") return undefined
    advances.unshift({ _tag: "LoopAdvanced", nodeId: id, iteration: record.iteration, base: record.base, pass: row - record.base })
    row = record.iteration
  }
  if (row !== 0) return undefined
  const events: Array<RunEvent> = []
  let current = state
  for (const [index, event] of advances.entries()) {
    const loop = around[around.length - 1 - index] ?? -1
    const record = RunState.loop(current, event.nodeId, event.iteration)
    if (record === undefined || record.passes === event.pass + 1) continue
    const rowsOf = (at: RunState.RunState) => {
      const view = viewOf(plan, at)
      return (inside: number) => view.rowsIn(loop, inside)
    }
    const earlier = rowsOf(current)
    const taken = RunState.apply(current, event, Millis.zero)
    const left = rowsOf(taken)
    events.push(event)
    for (let inside = loop + 1; inside < plan.end(loop); inside++) {
      const node = plan.node(inside)
      if (!("id" in node)) continue
      const kept = new Set(left(inside))
      for (const gone of earlier(inside)) {
        if (kept.has(gone)) continue
        const key = { nodeId: node.id, iteration: gone }
        const known =
          RunState.step(current, node.id, gone) ??
          RunState.loop(current, node.id, gone) ??
          RunState.boundary(current, node.id, gone)
        if (known === undefined) continue
        const isChild = node._tag === "Wait" && node.target.kind === "subflow"
        events.push({ _tag: "NodeReset", ...key, ...(isChild ? { hasNewChild: true } : {}) })
      }
    }
    current = events.reduce((folded, one) => RunState.apply(folded, one, Millis.zero), state)
  }
  return events
}

/** Attempts of the run that have begun to work in the tree of a snapshot since it was taken: their changes are taken back with it. */
const writersSince = (
  ports: Pick<RunPorts, "store" | "snapshots">,
  state: RunState.RunState,
  { root }: { readonly root: string },
  goal: Omit<Snapshots.Sharer, "runId">,
) =>
  Effect.map(Lineage.snapshots(ports, state), (all) => {
    const from = all.find((one) => one.moment === "before" && Snapshots.isSameAttempt(one, { ...goal, runId: one.runId }))
    return all.filter(
      (one) =>
        one.moment === "before" &&
        from !== undefined &&
        one.at >= from.at &&
        one !== from &&
        Snapshots.isOverlapping(one.root, root),
    )
  })

/** The snapshot that files are restored to, or why there is none. */
const filesOf = (ports: RunPorts, state: RunState.RunState, { files }: RevertOptions, goal: Omit<Snapshots.Sharer, "runId">) =>
  Effect.gen(function* () {
    if (files === false) return undefined
    const { runId } = state
    const rows = yield* Lineage.snapshots(ports, state, goal)
    const found = rows.find(({ moment }) => moment === "before")
    const called = `attempt ${goal.attempt} of "${goal.nodeId}"`
    const without = "Revert without files: --no-files (files: false)."
    if (found !== undefined && found.runId !== runId && Worktree.isOwn(found.runId, found.root)) {
      if (files !== true) return undefined
      return yield* refusal(runId, "no-snapshot", `${called} worked in a worktree of run "${found.runId}"`, without)
    }
    if (found === undefined || found.commit === null) {
      if (files !== true && found === undefined) return undefined
      const why = found?.failure == null ? "" : `, since it failed: ${found.failure.replace(/\.$/, "")}`
      return yield* refusal(runId, "no-snapshot", `there is no snapshot of the files before ${called}${why}`, without)
    }
    const sharers = rows.reduce<ReadonlyArray<Snapshots.Sharer>>((known, one) => Snapshots.withSharers(known, one.sharedWith), [])
    if (sharers.length > 0) {
      const others = sharers.map(
        (one) => `attempt ${one.attempt} of "${one.nodeId}"${one.runId === found.runId ? "" : ` of run "${one.runId}"`}`,
      )
      const problem = `${called} shared its files with ${others.slice(0, 5).join(", ")}, whose changes would be taken back with its own`
      return yield* refusal(runId, "shared", problem, `${without} Give tasks that work at the same time a worktree each.`)
    }
    return { root: found.root, target: found.commit }
  })

/** The goal of a revert, by its options. */
const goalOf = (ports: RunPorts, state: RunState.RunState, options: RevertOptions) =>
  Effect.gen(function* () {
    const { runId } = state
    const by = yield* Settings.text("by", options.by)
    if (options.undo === true) {
      const last = (yield* ports.snapshots.reverts(runId))
        .filter((one) => one.state === "done" && !ForkFiles.isOfFork(one, state))
        .at(-1)
      if (last === undefined || last.undoes !== null)
        return yield* refusal(
          runId,
          "nothing-to-undo",
          last === undefined ? "it was never reverted" : "its last revert is undone already",
          "See what has happened: smithers events.",
        )
      const { nodeId, iteration, attempt, root, safety } = last
      const files = options.files === false || root === null || safety === null ? undefined : { root, target: safety }
      const goal: Goal = { nodeId, iteration, attempt, files, undone: last, by }
      return goal
    }
    const records = RunState.records(state)
    const name = yield* Settings.filled("node", options.node, "the id of a node")
    const nodeId = resolveNodeId(name, records)
    if (Records.undoneBy(nodeId) !== undefined)
      return yield* refusal(
        runId,
        "options",
        `"${nodeId}" is a compensation, which its saga runs`,
        "Revert to the step that it undoes.",
      )
    const rows = records.filter((record) => record.nodeId === nodeId).sort((one, other) => one.iteration - other.iteration)
    const iteration = options.iteration ?? rows.at(-1)?.iteration
    const row = rows.find((record) => record.iteration === iteration)
    if (row === undefined || iteration === undefined) {
      const known = rows.length > 0 ? rows.map((record) => record.iteration) : [...new Set(records.map((record) => record.nodeId))]
      return yield* new NodeNotFound({ runId, nodeId, known, ...defined({ iteration: options.iteration }) })
    }
    const last = row.kind === "step" ? row.attempt : 0
    const taken = (yield* Lineage.snapshots(ports, state, { nodeId, iteration })).filter(({ moment }) => moment === "before")
    const attempt = options.attempt ?? taken.at(-1)?.attempt ?? last
    if (attempt !== last && (attempt < 1 || attempt > last || !Number.isInteger(attempt)))
      return yield* refusal(
        runId,
        "no-attempt",
        `"${nodeId}" (iteration ${iteration}) has no attempt ${attempt}`,
        last === 0 ? "It has had none: leave the attempt out." : `Its attempts are 1 to ${last}.`,
      )
    const files = yield* filesOf(ports, state, options, { nodeId, iteration, attempt })
    const goal: Goal = { nodeId, iteration, attempt, files, undone: undefined, by }
    return goal
  })

/** Refuses a run that is being cancelled, or that was told to cancel and has not begun to. */
const checkCancel = (
  { runId, cancel, status }: RunState.RunState,
  told: ReadonlyArray<InboxMessage>,
): Effect.Effect<void, RevertRefused> => {
  const isTold = told.some((message) => message.runId === runId && message.command._tag === "Cancel")
  if (!isTold && (cancel === undefined || Status.isEnded(status))) return Effect.void
  return refusal(runId, "in-the-way", "it is being cancelled", "Let it end first: resume it.")
}

/** Refuses a child run whose parent has taken its outcome, or will. */
const checkParent = (state: RunState.RunState): Effect.Effect<void, RevertRefused> => {
  const { parent, runId } = state
  if (parent?.isAttached !== true || !RunState.isEnded(state)) return Effect.void
  return refusal(
    runId,
    "parent",
    `it has ended, and run "${parent.runId}" goes on with its outcome`,
    `Revert that one to where it started this run: node "${parent.nodeId}", iteration ${parent.iteration}, of run "${parent.runId}".`,
  )
}

const workspacesOf = (runId: string) =>
  Effect.flatMap(
    Effect.serviceOption(Workspaces),
    Option.match({
      onNone: () =>
        refusal(
          runId,
          "no-workspaces",
          "this runtime cannot restore files",
          "Provide Workspaces, as Smithers.sqlite does, or revert without files (files: false).",
        ),
      onSome: (found) => Effect.succeed(found),
    }),
  )

/** Commits the frame of a revert, and marks it as done. */
const commit = (
  { store, snapshots }: RunPorts,
  intent: Snapshots.StoredRevert & { readonly epoch: number },
  { plan, frame }: Made,
) =>
  Effect.gen(function* () {
    const at = yield* Millis.now
    const { spawned, sent } = Outbox.make(plan, frame, at)
    const built = frame.build({ at, plan: { text: plan.text, base: undefined }, spawned, sent })
    // It starts nothing and ends no wait by its time, so no command in the inbox contradicts it.
    yield* Effect.catchTag(store.commit(built), "StaleFrame", Effect.die)
    yield* snapshots.putRevert({ ...intent, state: "done" })
  })

/** Tries to bring the files back to what they were before. */
const takeBack = (
  workspaces: WorkspacesShape,
  snapshots: Snapshots.SnapshotsShape,
  intent: Snapshots.StoredRevert & { readonly epoch: number },
) =>
  Effect.gen(function* () {
    const { runId, root, safety } = intent
    if (root !== null && safety !== null)
      yield* workspaces.restore({ root, runId, store: snapshots.storeId, target: safety, isForced: true })
    yield* snapshots.putRevert({ ...intent, state: "taken-back" })
  })

/**
 * Completes a revert of a claimed run that a crash has cut off, or takes it back where that fails, and restores the files of a fork whose
 * process died. `all` are the reverts of the run.
 */
export const settle = (
  ports: RunPorts,
  definition: Definition<unknown>,
  runId: string,
  epoch: number,
  all: ReadonlyArray<Snapshots.StoredRevert>,
): Effect.Effect<void, StoreError | RunNotFound | RunFenced | RevertUnfinished, unknown> =>
  Effect.gen(function* () {
    const { store, snapshots } = ports
    const open = all.filter(({ state }) => state === "planned")
    const state = yield* store.load(runId)
    const ofFork = open.filter((one) => ForkFiles.isOfFork(one, state))
    if (ofFork.length > 0) {
      yield* ForkFiles.restore(snapshots, ofFork, epoch, { isForced: true, isAgain: true })
      yield* Effect.logInfo(`run ${runId}: the files of the fork are restored`)
    }
    const planned = open.find((one) => !ofFork.includes(one))
    if (planned === undefined) return
    const intent = { ...planned, epoch }
    if (state.frame >= planned.frame) return yield* snapshots.putRevert({ ...intent, state: "done" })
    const { root, target, safety, nodeId, iteration, attempt, by } = planned
    const undone = all.find(({ number }) => number === planned.undoes)
    const files = root === null || target === null ? undefined : { root, target }
    const goal: Goal = { nodeId, iteration, attempt, files, undone, by: by ?? undefined }
    const completed = yield* Effect.either(
      Effect.gen(function* () {
        if (files !== undefined)
          yield* (yield* workspacesOf(runId)).restore({ ...files, runId, store: snapshots.storeId, isForced: true })
        yield* commit(ports, intent, yield* make(ports, definition, state, epoch, goal))
      }),
    )
    if (Either.isRight(completed)) return yield* Effect.logInfo(`run ${runId}: a revert that was cut off is completed`)
    yield* Effect.logWarning(`run ${runId}: a revert that was cut off is taken back`, completed.left)
    if (files === undefined) return yield* snapshots.putRevert({ ...intent, state: "taken-back" })
    yield* Effect.mapError(
      Effect.flatMap(workspacesOf(runId), (workspaces) => takeBack(workspaces, snapshots, intent)),
      ({ message: problem }) => new RevertUnfinished({ runId, ...files, safety: safety ?? "", problem }),
    )
  })

/**
 * Takes a run back to before an attempt, and leaves it suspended: resume it, or let a supervisor do so. The node, everything that has
 * read it, and what has worked in the same files since are reset; frames and events only grow. A run that has ended is open again.
 * Refused with a reason while a process works on the run. A crash at any moment leaves the run as before or reverted, once its next claim
 * has completed the revert or taken it back.
 */
export const revert = <R>(
  definition: Definition<R>,
  runId: string,
  options: RevertOptions,
): Effect.Effect<Reverted, RevertError, NarrowPorts | R> =>
  Effect.gen(function* () {
    yield* Settings.only("revert", options, optionNames)
    for (const name of ["files", "undo", "force", "dryRun"] as const) yield* Settings.flag(name, options[name], false)
    const { undo = false, dryRun = false, force = false } = options
    if (undo && (options.node !== undefined || options.attempt !== undefined || options.iteration !== undefined))
      return yield* refusal(
        runId,
        "options",
        "an undo takes no node, attempt or iteration",
        "Leave them out: the last revert is undone.",
      )
    const ports = yield* runPorts
    const { store, snapshots } = ports
    const checked = Effect.gen(function* () {
      const state = yield* store.load(runId)
      if (definition.name !== undefined && definition.name !== state.workflow)
        return yield* new WorkflowMismatch({ runId, workflow: definition.name, stored: state.workflow })
      yield* checkParent(state)
      if (state.continuedAs !== undefined)
        return yield* refusal(runId, "continued", `it goes on as run "${state.continuedAs}"`, "Revert that one, or fork this one.")
      return state
    })
    const answer = (goal: Goal, made: Made, files: RevertedFiles | null): Reverted => {
      const { nodeId, iteration, attempt, undone } = goal
      const { resets, restored, notes } = made
      const back = { resets, restored, files, notes, isDryRun: dryRun, undoes: undone?.number ?? null }
      return { runId, nodeId, iteration, attempt, ...back }
    }
    if (dryRun) {
      const state = yield* checked
      yield* checkCancel(state, [])
      const goal = yield* goalOf(ports, state, options)
      const made = yield* make(ports, definition, state, 0, goal)
      if (goal.files === undefined) return answer(goal, made, null)
      const preview = yield* (yield* workspacesOf(runId)).preview({ runId, store: snapshots.storeId, ...goal.files })
      return answer(goal, made, { ...goal.files, ...preview })
    }
    const claim = Effect.flatMap(Millis.now, (now) =>
      ports.ownership.open({ runId, create: undefined, reopen: Status.EndedStatus.literals, leaseMs, now }),
    )
    let released: Status.ReleasedStatus = "suspended"
    return yield* Effect.acquireUseRelease(
      claim,
      (opened) =>
        Effect.gen(function* () {
          if (opened._tag === "Continued") yield* checked
          if (opened._tag !== "Claimed")
            return yield* refusal(
              runId,
              "owned",
              "a process works on it",
              "Stop that process first, or wait until the run rests: smithers ps shows it.",
            )
          const { epoch } = opened
          const before = yield* checked
          if (!Status.isEnded(before.status)) released = before.status
          yield* settle(ports, definition, runId, epoch, yield* snapshots.reverts(runId))
          const state = yield* store.load(runId)
          yield* checkCancel(state, yield* ports.inbox.pending)
          const goal = yield* goalOf(ports, state, options)
          const made = yield* make(ports, definition, state, epoch, goal)
          const number = ((yield* snapshots.reverts(runId)).at(-1)?.number ?? 0) + 1
          const { nodeId, iteration, attempt, undone, by } = goal
          const named = { epoch, runId, number, nodeId, iteration, attempt, frame: state.frame + 1, state: "planned" } as const
          const said = { undoes: undone?.number ?? null, by: by ?? null, at: yield* Millis.now }
          if (goal.files === undefined) {
            const intent = { ...named, ...said, root: null, target: null, safety: null }
            yield* snapshots.putRevert(intent)
            yield* commit(ports, intent, made)
            released = "suspended"
            return answer(goal, made, null)
          }
          const { root, target } = goal.files
          const workspaces = yield* workspacesOf(runId)
          const { commit: safety } = yield* workspaces.snapshot({
            root,
            runId,
            store: snapshots.storeId,
            label: `before revert ${number}`,
          })
          const intent = { ...named, ...said, root, target, safety }
          yield* snapshots.putRevert(intent)
          const restored = yield* Effect.tapError(
            workspaces.restore({ root, runId, store: snapshots.storeId, target, isForced: force }),
            (error) =>
              error._tag === "RestoreIncomplete"
                ? takeBack(workspaces, snapshots, intent)
                : snapshots.putRevert({ ...intent, state: "taken-back" }),
          )
          yield* commit(ports, intent, made)
          released = "suspended"
          return answer(goal, made, { root, target, safety, changes: restored.changes, overwrites: [] })
        }),
      (opened) =>
        opened._tag !== "Claimed"
          ? Effect.void
          : Effect.flatMap(Millis.now, (now) => ports.ownership.release(runId, opened.epoch, now, released)).pipe(
              Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be released`, error)),
            ),
    )
    // Codecs are untyped in a definition; their requirements are those of its steps.
  }) as Effect.Effect<Reverted, RevertError, NarrowPorts | R>
