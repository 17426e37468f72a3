/**
 * Forks of runs: a new run that begins as a copy of another, as of one of its events. Its records are copied, its earlier history is
 * that of the original, and nothing of the original is changed or committed again. The new run is planned with today's code.
 */
import * as Effect from "effect/Effect"
import { AgentJournal } from "./AgentJournal.ts"
import * as Changes from "./Changes.ts"
import type { Definition } from "./Definition.ts"
import {
  InvalidFork,
  type InvalidInput,
  InvalidRunId,
  type InvalidSetting,
  type InvalidWorkflow,
  type NodeNotFound,
  type RenderFailed,
  type RevertUnfinished,
  type RunFenced,
  RunIdTaken,
  type RunNotFound,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import { generateRunId, isDerivedRunId, isId } from "./Ids.ts"
import * as Accounts from "./internal/fork/accounts.ts"
import * as Cut from "./internal/fork/cut.ts"
import * as Draft from "./internal/fork/draft.ts"
import * as Files from "./internal/fork/files.ts"
import * as Given from "./internal/fork/given.ts"
import * as Lists from "./internal/fork/lists.ts"
import * as Unfinished from "./internal/fork/unfinished.ts"
import * as Millis from "./Millis.ts"
import { RunOwnership } from "./RunOwnership.ts"
import { RunReader } from "./RunReader.ts"
import type * as RunState from "./RunState.ts"
import { RunStore } from "./RunStore.ts"
import * as Secrets from "./Secrets.ts"
import * as Settings from "./Settings.ts"
import { Snapshots } from "./Snapshots.ts"
import { defined } from "./Struct.ts"
import type { NoGit, RestoreRefused, SnapshotMissing, WorkspaceFailed } from "./Workspaces.ts"

export type { ForkMoment } from "./internal/fork/cut.ts"
export type { ForkedFiles } from "./internal/fork/files.ts"
export type { ForkedNode } from "./internal/fork/lists.ts"

/** Options of a fork. */
export interface ForkOptions extends Cut.ForkMoment {
  /** Another input. Steps that are kept have read the old one. */
  readonly input?: unknown
  /** Outputs of steps by node id, as JSON in the stored form of their schemas. What has read them runs again. */
  readonly set?: { readonly [nodeId: string]: unknown }
  /** `true` to ask people again what they had decided or answered by then. Default: false. */
  readonly reask?: boolean
  /** `"adopt"` takes the result of a child run that was at work, if it has ended since; `"new"` starts a new one. Default: `"new"`. */
  readonly children?: "new" | "adopt"
  /** `true` to send the signals to the fork, too, that the original got after the cut. Default: false. */
  readonly replaySignals?: boolean
  /** `true` to keep the times at which timers and waits end. Default: false, they have as long as they had at the cut. */
  readonly keepDeadlines?: boolean
  /** `true` if sagas of the fork also undo steps that the original did. Default: false, the original undoes its own. */
  readonly ownEffects?: boolean
  /**
   * `true` to restore the files of its tasks, too, as they were at the cut. Steps that have worked on them since run again. Fails without a
   * snapshot. Default: false, files are left alone.
   */
  readonly files?: boolean
  /** `true` to replace files, too, that no snapshot holds, such as ignored ones; the snapshot of the files before then holds them. Default: false. */
  readonly force?: boolean
  /** Id of the new run. Default: a new one. */
  readonly runId?: string
  /** Author, for the log. */
  readonly by?: string
  /** `true` to change nothing, and only return what the fork would keep and run again. Default: false. */
  readonly dryRun?: boolean
}

const optionNames: Settings.Names<ForkOptions> = {
  frame: true,
  before: true,
  iteration: true,
  fromFailure: true,
  input: true,
  set: true,
  reask: true,
  children: true,
  replaySignals: true,
  keepDeadlines: true,
  ownEffects: true,
  files: true,
  force: true,
  runId: true,
  by: true,
  dryRun: true,
}

/** A fork, and what is to come of it. */
export interface Forked extends Lists.ForkLists {
  readonly runId: string
  /** The run that holds its history, and the last frame and event of it. */
  readonly from: string
  readonly frame: number
  readonly seq: number
  /** Files that are restored, by directory; empty without `files`. */
  readonly files: ReadonlyArray<Files.ForkedFiles>
  readonly isDryRun: boolean
}

/** The ports that a fork is made with. */
export type ForkPorts = RunStore | RunReader | AgentJournal | Snapshots | RunOwnership

/** The errors of a fork. Nothing was changed, but by `RevertUnfinished`: the fork is there then, and does not go on without its files. */
export type ForkError =
  | StoreError
  | NoGit
  | WorkspaceFailed
  | SnapshotMissing
  | RestoreRefused
  | RevertUnfinished
  | RunFenced
  | RunNotFound
  | RunIdTaken
  | InvalidFork
  | InvalidInput
  | InvalidRunId
  | InvalidSetting
  | InvalidWorkflow
  | NodeNotFound
  | RenderFailed
  | WorkflowMismatch

const adoptingProblem =
  'results of child runs cannot be adopted (children: "adopt") where files are restored, which takes back their changes'

/** Lease of a fork whose files are being restored: longer than any restore, since nothing renews it. A process that dies is noticed at once. */
const leaseMs = Millis.make(15 * 60_000)

/**
 * Makes a run that begins as a copy of another, and leaves it suspended: resume it, or let a supervisor do so. The original is not
 * changed, and may be at work. Steps in flight at the cut run again with a fresh retry budget, open requests to people are made again,
 * child runs at work are started again under the fork, and budgets have what was left of them. Neither a pause nor a cancellation is
 * inherited. One transaction: a crash leaves the whole fork or none of it. Files are restored after it; if a crash cuts that off, the next
 * claim of the fork completes it, before any step begins.
 */
export const fork = <R>(
  definition: Definition<R>,
  from: string,
  options: ForkOptions = {},
): Effect.Effect<Forked, ForkError, ForkPorts | R> =>
  Effect.gen(function* () {
    yield* Settings.only("fork", options, optionNames)
    const children = yield* Settings.word("children", options.children, ["new", "adopt"])
    const isDryRun = yield* Settings.flag("dryRun", options.dryRun, false)
    const by = yield* Settings.text("by", options.by)
    const hasFiles = yield* Settings.flag("files", options.files, false)
    const force = yield* Settings.flag("force", options.force, false)
    const [store, reader, journal] = [yield* RunStore, yield* RunReader, yield* AgentJournal]
    const [snapshots, ownership] = [yield* Snapshots, yield* RunOwnership]
    if (hasFiles && children === "adopt") return yield* new InvalidFork({ runId: from, problem: adoptingProblem })
    const runId = options.runId === undefined ? yield* generateRunId : options.runId
    if (!isId(runId) || isDerivedRunId(runId) || Secrets.problemIn(runId) !== undefined)
      return yield* new InvalidRunId({ runId: Secrets.text(String(runId)) })

    // Also before anything is saved under its name.
    if ((yield* reader.origin(runId)) !== undefined) return yield* new RunIdTaken({ runId })
    const latest = yield* store.load(from)
    const { workflow } = latest
    if (definition.name !== undefined && definition.name !== workflow)
      return yield* new WorkflowMismatch({ runId: from, workflow: definition.name, stored: workflow })
    const cut = yield* Cut.find(reader, store, latest, options)
    const [last] = yield* reader.events(cut.runId, { afterSeq: cut.seq - 1, limit: 1 })
    const now = yield* Millis.now
    const at = Millis.make(last?.at ?? now)
    /** A time that is as far away as it was at the cut; for what stands still in a pause, as at its beginning. */
    const later = (time: Millis.Millis, since: number = at): Millis.Millis =>
      options.keepDeadlines === true || time < since ? time : Millis.after(now, Millis.make(time - since))
    const origin: RunState.Fork = {
      ...{ runId: cut.runId, frame: cut.frame, seq: cut.seq, at },
      lineage: [...(cut.fork?.lineage ?? []), { runId: cut.runId, seq: cut.seq }],
      ...(options.ownEffects === true ? { ownsEffects: true } : {}),
    }
    const input = options.input === undefined ? cut.input : yield* Given.inputOf(definition, workflow, options.input)
    const budgets = Accounts.claimsOf(cut, runId)
    const { version } = definition
    const begun = { ...cut, runId, version, input, parent: undefined, budgets, depth: 0, fork: origin }
    const deadline = cut.deadline === undefined ? undefined : later(cut.deadline)
    const planned = yield* reader.plan(cut.runId, cut.frame)
    const draft = yield* Draft.make({
      ...{ definition, begun, planned, now },
      first: { _tag: "RunForked", from: cut.runId, frame: cut.frame, seq: cut.seq, at, ...defined({ deadline, by }) },
    })
    const pausedAt = Math.min(at, cut.pausedAt ?? at)
    yield* Unfinished.append(draft, cut, { reader, isAdopting: children === "adopt", later, pausedAt })
    if (options.reask === true) {
      const decided = Lists.stepsOf(draft.state(), Lists.isDecided)
      if (decided.length > 0) yield* draft.rerun(decided.map(({ nodeId }) => nodeId))
      for (const { nodeId, iteration, approved } of decided)
        if (approved !== undefined) draft.append({ _tag: "NodeReset", nodeId, iteration, isUnapproved: true })
    }
    const set = yield* Given.setOutputs(draft, from, options.set ?? {})
    const targets = hasFiles ? yield* Files.targetsOf({ store, reader, snapshots }, { cut, at, draft, from }) : []
    yield* draft.plan
    const state = draft.state()
    const workspaces = yield* hasFiles ? Files.workspaces(from) : Effect.succeed(undefined)
    const forked: Forked = {
      ...{ runId, from: cut.runId, frame: cut.frame, seq: cut.seq, isDryRun },
      files: isDryRun && workspaces !== undefined ? yield* Files.preview(runId, targets, workspaces) : [],
      ...Lists.of(state, latest, set, draft.incompatible),
    }
    if (isDryRun) return forked

    const log = Cut.eventsOf(reader, cut.runId)
    const accounts = yield* Accounts.opened(journal, cut, runId, { at, now }, log)
    const messages = options.replaySignals === true ? Given.signalsAfter(cut, yield* log, runId, now) : []
    const { run: original } = yield* reader.run(cut.runId)
    const { inputDigest } = (yield* reader.origin(cut.runId)) ?? {}
    yield* store.prepareOutputs(workflow, definition.tables)
    yield* store.prepareOutputs(workflow, draft.tables())
    const frame = cut.frame + 1
    const intents =
      workspaces === undefined
        ? []
        : yield* Files.intend(targets, workspaces, { runId, store: snapshots.storeId, frame, by, at: now, force })
    const made = store.fork({
      runId,
      create: {
        ...{ workflow, version, input, tags: original.tags, budgets, fork: origin },
        ...defined({ source: original.source ?? undefined, deadline: state.deadline, startAt: state.startAt }),
        ...(options.input === undefined ? defined({ inputDigest }) : {}),
      },
      inherited: begun,
      frame: {
        ...{ runId, epoch: 0, frame, firstSeq: cut.seq + 1, at: now },
        ...{ events: draft.events, changes: Changes.of(state) },
        ...{ plan: { text: planned, base: undefined }, cache: [], consumed: [] },
      },
      ...{ accounts, messages, restores: { intents, leaseMs } },
    })
    if (intents.length === 0) return yield* Effect.as(made, forked)
    const files = yield* Effect.acquireUseRelease(
      made,
      () => Files.restore(snapshots, intents, 1, { isForced: force }),
      () =>
        Effect.flatMap(Millis.now, (at) => ownership.release(runId, 1, at, "suspended")).pipe(
          Effect.catchAll((error) => Effect.logWarning(`run ${runId} could not be released`, error)),
        ),
    )
    return { ...forked, files }
    // Codecs are untyped in a definition; their requirements are those of its steps.
  }) as Effect.Effect<Forked, ForkError, ForkPorts | R>
