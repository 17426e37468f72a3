/**
 * Snapshots of the workspace around an attempt, outside of the transactions of frames: git's commit and its ref first, then the row.
 * Nothing that goes wrong here fails the attempt.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { AgentRunner } from "../AgentRunner.ts"
import * as Millis from "../Millis.ts"
import type * as Plan from "../Plan.ts"
import type { Start } from "../Scheduler.ts"
import * as Snapshots from "../Snapshots.ts"
import { rightsIn } from "../StepProgram.ts"
import { Workspaces, type WorkspacesShape } from "../Workspaces.ts"
import * as Patience from "./patience.ts"

/** The attempt, and where its snapshots are stored. */
export interface Attempt {
  readonly snapshots: Snapshots.SnapshotsShape
  readonly onOutage: Patience.OnOutage
  readonly runId: string
  readonly epoch: number
  readonly start: Start
  /** The directory of the worktree around its step. */
  readonly worktree: string | undefined
  /** Longest time that the snapshot after an interrupted attempt may take (ms). */
  readonly graceMs: number
}

/** An attempt of this process whose workspace is captured, of any store. */
interface AtWork {
  readonly attempt: Snapshots.Sharer
  readonly root: string
  readonly sharedWith: Array<Snapshots.Sharer>
}

const atWork = new Set<AtWork>()

const enter = (attempt: Snapshots.Sharer, root: string): AtWork => {
  const own: AtWork = { attempt, root, sharedWith: [] }
  for (const other of atWork) {
    if (!Snapshots.isOverlapping(other.root, root)) continue
    own.sharedWith.push(other.attempt)
    other.sharedWith.push(attempt)
  }
  atWork.add(own)
  return own
}

/** The directory to capture, with symbolic links resolved; `undefined` where nothing is captured. */
const rootOf = (workspaces: WorkspacesShape, { start, worktree }: Attempt, wanted: boolean | undefined) =>
  Effect.gen(function* () {
    const runner = Option.getOrUndefined(yield* Effect.serviceOption(AgentRunner))
    const { id, agentSpec } = start.step
    const { agents = [], rights } = agentSpec ?? {}
    const found = runner?.workspace?.({ nodeId: id, agents, rights: rightsIn(rights, worktree) }) ?? {
      root: worktree ?? ".",
      isWritable: false,
    }
    if (wanted !== true && !found.isWritable) return undefined
    const identified = yield* Effect.either(workspaces.identify(found.root))
    if (identified._tag === "Left") {
      // It is not known to be a git work tree, and nobody has asked for snapshots outside of one.
      if (wanted === undefined && identified.left._tag === "NoGit") return undefined
      return { root: found.root, failure: identified.left.message }
    }
    const { isGit, root } = identified.right
    return wanted === true || isGit ? { root, failure: undefined } : undefined
  })

const labelOf = (step: Plan.Step, iteration: number, attempt: number, moment: Snapshots.SnapshotMoment): string =>
  `${moment} ${step.id}${iteration === 0 ? "" : `, iteration ${iteration}`}, attempt ${attempt}`

/** Tells whether snapshots may be taken around the attempts of a step. */
export const isWanted = (step: Plan.Step, usual: boolean | undefined): boolean =>
  step.snapshots ?? usual ?? step.agentSpec !== undefined

/**
 * Takes snapshots before and after an attempt, where they are wanted: by its step, otherwise by what its workflow or the engine says
 * (`usual`), otherwise if an agent of it can write in a git work tree.
 */
export const around = <A, R>(
  given: Attempt,
  usual: boolean | undefined,
  attempt: Effect.Effect<A, never, R>,
): Effect.Effect<A, never, R> => {
  const { step } = given.start
  if (!isWanted(step, usual)) return attempt
  const wanted = step.snapshots ?? usual
  return Effect.flatMap(Effect.serviceOption(Workspaces), (workspaces) =>
    Option.isNone(workspaces) ? attempt : captured(workspaces.value, given, wanted, attempt),
  )
}

const captured = <A, R>(
  workspaces: WorkspacesShape,
  given: Attempt,
  wanted: boolean | undefined,
  attempt: Effect.Effect<A, never, R>,
): Effect.Effect<A, never, R> =>
  Effect.gen(function* () {
    const { runId, epoch, snapshots, onOutage, graceMs, start } = given
    const name = { runId, nodeId: start.step.id, iteration: start.iteration, attempt: start.attempt }
    const found = yield* rootOf(workspaces, given, wanted)
    if (found === undefined) return yield* attempt
    const { root } = found
    const take = (moment: Snapshots.SnapshotMoment, own: AtWork): Effect.Effect<void> =>
      Effect.gen(function* () {
        const label = labelOf(start.step, start.iteration, start.attempt, moment)
        const taken = yield* found.failure === undefined
          ? Effect.either(workspaces.snapshot({ root, runId, store: snapshots.storeId, label }))
          : Effect.succeed(undefined)
        const at = yield* Millis.now
        const row = { ...name, epoch, moment, root, at, sharedWith: own.sharedWith }
        const write =
          taken?._tag === "Right"
            ? { ...row, commit: taken.right.commit, tree: taken.right.tree, skipped: taken.right.skipped, failure: null }
            : { ...row, commit: null, tree: null, skipped: [], failure: taken?.left.message ?? found.failure ?? null }
        if (write.failure !== null) yield* Effect.logWarning(`no snapshot ${label}: ${write.failure}`)
        yield* Patience.retryWhileBusy(snapshots.recordSnapshot(write), onOutage)
      }).pipe(Effect.catchAllCause((cause) => Effect.logDebug("a snapshot was not stored", cause)))
    return yield* Effect.acquireUseRelease(
      Effect.sync(() => enter(name, root)),
      (own) =>
        Effect.onExit(Effect.zipRight(take("before", own), attempt), (exit) => {
          const after = Effect.interruptible(take("after", own))
          const isCutShort = exit._tag === "Failure"
          return isCutShort ? Effect.ignore(Effect.timeout(Effect.disconnect(after), graceMs)) : after
        }),
      (own) => Effect.sync(() => atWork.delete(own)),
    )
  })
