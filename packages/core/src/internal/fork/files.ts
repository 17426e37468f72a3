/**
 * Files of a fork. They are restored as of the cut: to the snapshot before the first attempt in their directory that the fork does not
 * keep. The fork and its intent to restore them are one transaction. It is claimed until they are restored, and a crash leaves
 * the intent, which the next claim completes: no step of the fork begins before.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { InvalidFork, RevertUnfinished, type RunFenced, type StoreError } from "../../Errors.ts"
import type { NodeId } from "../../Ids.ts"
import * as Lineage from "../../Lineage.ts"
import type * as Millis from "../../Millis.ts"
import * as Records from "../../Records.ts"
import type { RunReaderShape, RunSummary } from "../../RunReader.ts"
import * as RunState from "../../RunState.ts"
import type { RunStoreShape } from "../../RunStore.ts"
import * as Snapshots from "../../Snapshots.ts"
import { defined } from "../../Struct.ts"
import { type Change, RestoreRefused, Workspaces, type WorkspacesShape } from "../../Workspaces.ts"
import * as View from "../view.ts"
import * as Worktree from "../worktree.ts"
import type { Draft } from "./draft.ts"

/** Files that a fork restores. */
export interface ForkedFiles {
  readonly root: string
  /** The commit that they are restored to. */
  readonly target: string
  /** The commit of the files before; absent of a dry run. */
  readonly safety?: string
  readonly changes: ReadonlyArray<Change>
  /** Files that no snapshot can bring back: the fork is refused without `force`. */
  readonly overwrites: ReadonlyArray<string>
}

/** A directory, and the snapshot that it is restored to: the one before an attempt, or after the last one that is kept. */
export interface Target {
  readonly root: string
  readonly target: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly attempt: number
}

interface Ports {
  readonly store: RunStoreShape
  readonly reader: RunReaderShape
  readonly snapshots: Snapshots.SnapshotsShape
}

/** A snapshot of work on files, with the node of the original that the work was of. */
interface Work {
  readonly snapshot: Snapshots.Snapshot
  readonly nodeId: NodeId
  readonly iteration: number
  /** `true` if it had ended by the cut. */
  readonly isOver: boolean
  /** `true` unless a later attempt of the node has ended by the cut. */
  readonly isLatest: boolean
}

const childPage = 1000

/** The child runs that a run waits for. */
const childrenOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<RunSummary>, StoreError> =>
  Effect.gen(function* () {
    const found: Array<RunSummary> = []
    for (let before: string | undefined; ; ) {
      const page: ReadonlyArray<RunSummary> = yield* reader.runs({ parent: runId, limit: childPage, ...defined({ before }) })
      for (const child of page) if (child.parent?.isAttached === true) found.push(child)
      before = page.at(-1)?.runId
      if (page.length < childPage) return found
    }
  })

/** A run with all child runs below it. */
const familyOf = (reader: RunReaderShape, run: RunSummary): Effect.Effect<ReadonlyArray<RunSummary>, StoreError> =>
  Effect.gen(function* () {
    const below = yield* Effect.forEach(yield* childrenOf(reader, run.runId), (child) => familyOf(reader, child))
    return [run, ...below.flat()]
  })

/** The runs that wait for a run, and for those. */
const above = (reader: RunReaderShape, { parent }: RunSummary): Effect.Effect<ReadonlyArray<RunSummary>, StoreError> =>
  parent?.isAttached !== true
    ? Effect.succeed([])
    : Effect.flatMap(reader.run(parent.runId), ({ run }) => Effect.map(above(reader, run), (others) => [...others, run])).pipe(
        Effect.catchTag("RunNotFound", () => Effect.succeed([])),
      )

/** The work of a run on files, by the cut and since: of its steps and of its child runs. Fails if any of them may be at work now. */
const workOf = (ports: Ports, cut: RunState.RunState, at: number, invalid: (problem: string) => InvalidFork) =>
  Effect.gen(function* () {
    const { reader, snapshots } = ports
    const { run } = yield* reader.run(cut.runId)
    const families = yield* Effect.forEach(yield* childrenOf(reader, cut.runId), (child) => familyOf(reader, child))
    const busy = [run, ...families.flat()].find(({ owner, status }) => owner !== null && status !== "orphaned")
    if (busy !== undefined)
      return yield* invalid(
        `a process works on ${busy.runId === cut.runId ? "it" : `run "${busy.runId}"`}, and on its files: stop it first`,
      )
    const own = (yield* snapshots.snapshots({ runId: cut.runId })).concat(
      (yield* Lineage.snapshots(ports, cut)).filter(({ runId }) => runId !== cut.runId),
    )
    const works = own.map((snapshot): Work => {
      const { nodeId, iteration } = snapshot
      const { attempt = 0, status } = RunState.step(cut, nodeId, iteration) ?? {}
      const isOver = snapshot.attempt < attempt || (snapshot.attempt === attempt && status !== "running")
      return { snapshot, nodeId, iteration, isOver, isLatest: snapshot.attempt >= attempt }
    })
    const ofChildren = yield* Effect.forEach(families, ([child, ...below]) => {
      const { parent, createdAt, runId } = child as RunSummary
      const { nodeId = "", iteration = 0 } = parent ?? {}
      const record = RunState.step(cut, nodeId, iteration)
      const isCurrent = record?.wait?.name === runId
      const isOver = isCurrent ? Records.isSettled(record) : createdAt <= at
      return Effect.map(
        Effect.forEach([runId, ...below.map((one) => one.runId)], (of) => snapshots.snapshots({ runId: of })),
        (taken) => taken.flat().map((snapshot): Work => ({ snapshot, nodeId, iteration, isOver, isLatest: !isOver || isCurrent })),
      )
    })
    const family = [...(yield* above(reader, run)), run, ...families.flat()]
    return { works: [...works, ...ofChildren.flat()], family: family.map(({ runId }) => runId) }
  })

const isBefore = ({ snapshot }: Work): boolean => snapshot.moment === "before"

const byTime = (one: Work, other: Work): number => one.snapshot.at - other.snapshot.at

/** The earliest work in each directory. A directory below another that is restored to an earlier moment is left out. */
const earliest = (works: ReadonlyArray<Work>): ReadonlyArray<Work> => {
  const found: Array<Work> = []
  for (const work of [...works].sort(byTime))
    if (!found.some(({ snapshot }) => Snapshots.isWithin(work.snapshot.root, snapshot.root))) found.push(work)
  return found
}

/**
 * The snapshots that the files of a fork are restored to. Steps that the fork would keep, but whose changes are taken back with that, are
 * reset in the draft with all that has read them.
 */
export const targetsOf = (
  ports: Ports,
  { cut, at, draft, from }: { readonly cut: RunState.RunState; readonly at: number; readonly draft: Draft; readonly from: string },
) =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidFork({ runId: from, problem })
    const { works: all, family } = yield* workOf(ports, cut, at, invalid)
    // A child run also works in worktrees of those above it, and its fork does not.
    const works = all.filter(
      ({ snapshot: { runId, root } }) => !Worktree.isOwn(runId, root) && !family.some((one) => Worktree.isOwn(one, root)),
    )
    const isReset = ({ nodeId, iteration }: Work): boolean => {
      const [then, now] = [cut, draft.state()].map((state) => RunState.step(state, nodeId, iteration))
      return then !== undefined && Records.isSettled(then) && (now === undefined || !Records.isSettled(now))
    }
    const isKept = (work: Work): boolean => work.isOver && !(work.isLatest && isReset(work))
    const tried = new Set<NodeId>()
    const begun = works.filter(isBefore)
    for (;;) {
      const first = earliest(begun.filter((work) => !isKept(work)))
      const plan = yield* draft.plan
      const view = View.make({ plan, values: { input: undefined, outputs: draft.outputs }, state: draft.state, armOf: () => -1 })
      const again = begun.filter(({ nodeId, iteration, isLatest, snapshot, ...rest }) => {
        const position = plan.positions.get(nodeId) ?? plan.size
        const isCurrent = position < plan.size && view.iterationOf(position) === iteration
        if (!isLatest || !isCurrent || tried.has(nodeId) || !isKept({ nodeId, iteration, isLatest, snapshot, ...rest }))
          return false
        return first.some((one) => one.snapshot.at <= snapshot.at && Snapshots.isOverlapping(one.snapshot.root, snapshot.root))
      })
      if (again.length === 0) break
      for (const { nodeId } of again) tried.add(nodeId)
      yield* draft.rerun([...new Set(again.map(({ nodeId }) => nodeId))])
    }
    const undone = begun.filter((work) => !isKept(work))
    const last = works
      .filter((work) => !isBefore(work) && isKept(work))
      .sort(byTime)
      .at(-1)
    const chosen = undone.length > 0 ? earliest(undone) : last === undefined ? [] : [last]
    if (chosen.length === 0 && all.length > 0)
      return yield* invalid("its steps work in worktrees of its own, and those of the fork work in others. Fork it without files")
    if (chosen.length === 0)
      return yield* invalid(
        "there is no snapshot of its files: its steps ran without them. Fork it without files, and set snapshots: true for the next run",
      )
    for (const { snapshot, nodeId } of chosen) {
      const { attempt, moment, failure } = snapshot
      const called = `attempt ${attempt} of "${snapshot.runId === cut.runId ? nodeId : snapshot.nodeId}"`
      if (snapshot.commit === null)
        return yield* invalid(
          `there is no snapshot of its files ${moment} ${called}, since it failed: ${(failure ?? "").replace(/\.$/, "")}. Fork it without files`,
        )
      const sharers = works
        .filter((one) => moment === "before" && Snapshots.isSameAttempt(one.snapshot, snapshot))
        .flatMap((one) => one.snapshot.sharedWith)
      const other = sharers.find((sharer) => !undone.some((one) => Snapshots.isSameAttempt(one.snapshot, sharer)))
      if (other !== undefined)
        return yield* invalid(
          `${called} shared its files with attempt ${other.attempt} of "${other.nodeId}"${other.runId === cut.runId ? "" : ` of run "${other.runId}"`}, whose changes would be taken back. Fork it without files, and give tasks that work at the same time a worktree each`,
        )
    }
    // A directory around another is restored to a later moment, and first.
    return chosen.toReversed().flatMap(({ snapshot }): ReadonlyArray<Target> => {
      const { root, commit, nodeId, iteration, attempt } = snapshot
      return commit === null ? [] : [{ root, target: commit, nodeId, iteration, attempt }]
    })
  })

/** The service that restores files. */
export const workspaces = (from: string) =>
  Effect.flatMap(
    Effect.serviceOption(Workspaces),
    Option.match({
      onNone: () =>
        new InvalidFork({
          runId: from,
          problem: "this runtime cannot restore files. Provide Workspaces, as Smithers.sqlite does, or fork it without files",
        }),
      onSome: (found) => Effect.succeed(found),
    }),
  )

/** Tells what restoring would change. Nothing is written. */
export const preview = (runId: string, targets: ReadonlyArray<Target>, { preview }: WorkspacesShape) =>
  Effect.forEach(targets, ({ root, target }) =>
    Effect.map(preview({ root, runId, target }), (found): ForkedFiles => ({ root, target, ...found })),
  )

/** Saves the files as they are, and returns the intent to restore them. Fails if a file would be lost by it, unless forced. */
export const intend = (targets: ReadonlyArray<Target>, saver: WorkspacesShape, { runId, store, frame, by, at, force }: Intention) =>
  Effect.gen(function* () {
    if (!force)
      for (const { root, target, overwrites } of yield* preview(runId, targets, saver))
        if (overwrites.length > 0) return yield* new RestoreRefused({ root, target, overwrites })
    return yield* Effect.forEach(targets, (target, index) =>
      Effect.map(
        saver.snapshot({ root: target.root, runId, store, label: `before fork ${runId}` }),
        ({ commit: safety }): Snapshots.StoredRevert => ({
          ...{ runId, number: index + 1, ...target, safety, frame, at },
          ...{ state: "planned", undoes: null, by: by ?? null },
        }),
      ),
    )
  })

interface Intention {
  readonly runId: string
  /** The identity of its store. */
  readonly store: string
  /** The first frame of the fork. */
  readonly frame: number
  readonly by: string | undefined
  readonly at: Millis.Millis
  readonly force: boolean
}

/** Tells whether a stored revert is the restore of the files of a fork, and no revert of it. */
export const isOfFork = ({ frame }: Pick<Snapshots.StoredRevert, "frame">, { fork }: Pick<RunState.RunState, "fork">): boolean =>
  frame - 1 === fork?.frame

/**
 * Restores the files of a claimed fork, `isAgain` if a process that did so may have died. Where one directory fails, all are brought back to what they were before, and the intent stays: the
 * fork goes on once another claim has restored them.
 */
export const restore = (
  snapshots: Snapshots.SnapshotsShape,
  intents: ReadonlyArray<Snapshots.StoredRevert>,
  epoch: number,
  { isForced, isAgain = false }: { readonly isForced: boolean; readonly isAgain?: boolean },
): Effect.Effect<ReadonlyArray<ForkedFiles>, StoreError | RunFenced | RevertUnfinished> =>
  Effect.gen(function* () {
    const restorer = Option.getOrUndefined(yield* Effect.serviceOption(Workspaces))
    const restored: Array<ForkedFiles & { readonly safety: string }> = []
    for (const { runId, root, target, safety } of intents) {
      if (root === null || target === null || safety === null) continue
      const unfinished = (problem: string) => new RevertUnfinished({ runId, root, target, safety, problem, isOfFork: true })
      if (restorer === undefined)
        return yield* unfinished("This runtime cannot restore files. Provide Workspaces, as Smithers.sqlite does.")
      const found = yield* Effect.either(restorer.restore({ root, runId, store: snapshots.storeId, target, isForced }))
      if (Either.isLeft(found)) {
        // A restore's own safety snapshot also holds files that it replaces by force, and those of an earlier restore that was cut off.
        const saved = found.left._tag === "RestoreIncomplete" && !isAgain ? found.left.safety : safety
        const last = found.left._tag === "RestoreIncomplete" || isAgain ? [{ root, safety: saved }] : []
        for (const before of [...restored, ...last].toReversed())
          yield* Effect.catchAll(
            restorer.restore({ root: before.root, runId, store: snapshots.storeId, target: before.safety, isForced: true }),
            ({ message }) => Effect.logWarning(`files below ${before.root} could not be brought back: ${message}`),
          )
        return yield* unfinished(found.left.message)
      }
      restored.push({ root, target, safety: found.right.safety.commit, changes: found.right.changes, overwrites: [] })
    }
    for (const intent of intents) yield* snapshots.putRevert({ ...intent, epoch, state: "done" })
    return restored
  })
