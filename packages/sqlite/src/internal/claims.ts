/**
 * Claims of runs: creates, claims, renews and releases runs, and delivers commands to their owners.
 */
import { isDeepStrictEqual } from "node:util"
import type { Json } from "@smithers/core/Codec"
import { RunEnded, RunNotFound, WaitExpired, WorkflowMismatch } from "@smithers/core/Errors"
import { compositeKey } from "@smithers/core/Ids"
import { type Command, childCommand, type InboxMessage, type Response } from "@smithers/core/Inbox"
import * as Millis from "@smithers/core/Millis"
import * as Pauses from "@smithers/core/Pauses"
import {
  type Exclusion,
  mergeStuck,
  type NewRun,
  type OpenRequest,
  type OpenResult,
  type RunnableRun,
  type Stuck,
} from "@smithers/core/RunOwnership"
import type { Origin } from "@smithers/core/RunReader"
import type { Fork } from "@smithers/core/RunState"
import * as Status from "@smithers/core/Status"
import { readOptional, write, writeOptional } from "@smithers/sql/Json"
import { inList } from "@smithers/sql/Lists"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import * as Lapses from "./lapses.ts"
import * as Owner from "./owner.ts"
import type { Slots } from "./slots.ts"

export interface Claims {
  readonly origin: (runId: string) => Origin | undefined
  readonly open: (request: OpenRequest) => Either.Either<OpenResult, RunNotFound>
  /** Renews claims. Returns the runs whose claim was lost. */
  readonly renew: (
    claims: ReadonlyArray<{ readonly runId: string; readonly epoch: number }>,
    leaseUntil: Millis.Millis,
  ) => Array<string>
  readonly release: (runId: string, epoch: number, now: Millis.Millis, status: Status.ReleasedStatus) => void
  readonly noteStuck: (runId: string, note: Stuck, now: Millis.Millis) => void
  readonly runnable: (
    now: number,
    exclude?: Exclusion,
  ) => { readonly runs: ReadonlyArray<RunnableRun>; readonly nextAt: number | undefined }
  /** Counts the runs that no process drives and that could continue now. */
  readonly countDue: (now: number) => number
  /** Creates a run without an owner, unless one with this id exists. */
  readonly spawn: (runId: string, create: NewRun, now: Millis.Millis) => void
  /** Creates the run that another goes on as, with its tags, its source and `isFinal`. Throws if the id is taken. */
  readonly continueAs: (before: string, runId: string, create: NewRun, now: Millis.Millis) => void
  /** Returns the newest of the runs that a run goes on as, or the run itself. */
  readonly newest: (runId: string) => string
  readonly deliver: (
    command: InboxMessage,
    options?: { readonly reopen?: boolean },
  ) => Either.Either<Command, RunNotFound | RunEnded>
  readonly deliverOrCreate: (command: InboxMessage, create: NewRun) => Either.Either<Command, RunEnded | WorkflowMismatch>
  readonly deliverResponse: (command: InboxMessage<Response>) => Either.Either<Command, RunNotFound | RunEnded | WaitExpired>
  /** Returns the pending commands of a run, in order. */
  readonly told: (runId: string) => ReadonlyArray<InboxMessage>
  readonly inbox: () => ReadonlyArray<InboxMessage>
}

type RunRow = [
  workflow: string,
  status: string,
  epoch: number,
  owner: string | null,
  leaseUntil: number | null,
  input: string | null,
  inputDigest: string | null,
]

type DueRow = [
  runId: string,
  workflow: string,
  source: string | null,
  epoch: number,
  crashes: number,
  owner: string | null,
  leaseUntil: number | null,
  status: string,
]

/** Minimum number of claims that are renewed with one statement. */
const manyClaims = 32

const ended = inList(Status.endedStatuses)

const forkColumns = (fork: Fork | undefined) => {
  if (fork === undefined) return [null, null, null, null] as const
  const { runId, frame, seq, ...rest } = fork
  return [runId, frame, seq, JSON.stringify(rest)] as const
}

/** Creates the claims of a connection, for the owner `me`. Runs that rest on `slots` are due when they could have one. */
export const make = ({ prepare }: Connection, me: string, slots: Pick<Slots, "rest" | "due">): Claims => {
  const selectRun = prepare<RunRow>(
    "SELECT workflow, status, epoch, owner, lease_until, input, input_digest FROM smithers_runs WHERE run_id = ?",
  )
  const insertRun = prepare(
    `INSERT INTO smithers_runs (run_id, workflow, version, status, epoch, owner, lease_until, created_at, updated_at, tags, input,
       source, parent_run_id, parent_node_id, parent_iteration, is_attached, input_digest, is_final, budgets, deadline, depth,
       forked_from, forked_frame, forked_seq, fork, chain, chain_generation, start_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)
     ON CONFLICT DO NOTHING`,
  )
  const selectOrigin = prepare<[tags: string, source: string | null, isFinal: number | null]>(
    "SELECT tags, source, is_final FROM smithers_runs WHERE run_id = ?",
  )
  const selectLink = prepare<[continuedAs: string | null, chain: string | null]>(
    "SELECT continued_as, chain FROM smithers_runs WHERE run_id = ?",
  )
  const selectNewest = prepare<[runId: string]>(
    "SELECT run_id FROM smithers_runs WHERE chain = ? ORDER BY chain_generation DESC LIMIT 1",
  )
  const reopen = prepare(
    `UPDATE smithers_runs SET status = 'suspended', updated_at = ?2, finished_at = NULL, failure = NULL, cancel = NULL
     WHERE run_id = ?1`,
  )
  // Counts as a death until the claim makes progress.
  const claim = prepare(
    "UPDATE smithers_runs SET epoch = ?2, owner = ?3, lease_until = ?4, crashes = crashes + 1 WHERE run_id = ?1",
  )
  const selectEpoch = prepare<[number]>("SELECT epoch FROM smithers_runs WHERE run_id = ?")
  const extend = prepare("UPDATE smithers_runs SET lease_until = ?3 WHERE run_id = ?1 AND epoch = ?2 AND owner IS NOT NULL")
  const extendAll = prepare(
    "UPDATE smithers_runs SET lease_until = ?2 WHERE owner = ?1 AND run_id IN (SELECT value FROM json_each(?3))",
  )
  const selectHeld = prepare<[runId: string, epoch: number]>("SELECT run_id, epoch FROM smithers_runs WHERE owner = ?")
  const release = prepare(
    `UPDATE smithers_runs SET owner = NULL, lease_until = NULL, updated_at = ?3, crashes = max(0, crashes - 1),
       status = CASE WHEN status IN ${ended} THEN status ELSE ?4 END
     WHERE run_id = ?1 AND epoch = ?2 AND owner IS NOT NULL`,
  )
  const selectStuck = prepare<[owner: string | null, leaseUntil: number | null, stuck: string | null]>(
    `SELECT owner, lease_until, stuck FROM smithers_runs WHERE run_id = ? AND status NOT IN ${ended}`,
  )
  const setStuck = prepare("UPDATE smithers_runs SET stuck = ?2 WHERE run_id = ?1")
  const selectOwners = prepare<[owner: string]>(
    `SELECT DISTINCT owner FROM smithers_runs WHERE owner IS NOT NULL
     UNION SELECT owner FROM smithers_scores WHERE status = 'due' AND owner IS NOT NULL`,
  )
  // Each part reads a small index, and only as many rows as requested; waiting runs are not read at all. By itself, SQLite would
  // scan all runs for pending commands.
  const columns = "r.run_id, r.workflow, r.source, r.epoch, r.crashes, r.owner, r.lease_until, r.status"
  const isWanted = `r.workflow NOT IN (SELECT value FROM json_each(?3)) AND r.run_id NOT IN (SELECT value FROM json_each(?4))`
  const dueParts = [
    `SELECT ${columns} FROM smithers_runs r WHERE r.owner IS NULL AND r.status IN ${inList(Status.runnableStatuses)} AND ${isWanted}`,
    `SELECT ${columns} FROM smithers_runs r
       WHERE r.owner IS NOT NULL AND (r.lease_until <= ?1 OR r.owner IN (SELECT value FROM json_each(?2))) AND ${isWanted}`,
    `SELECT DISTINCT ${columns}
       FROM smithers_inbox i INDEXED BY smithers_inbox_pending CROSS JOIN smithers_runs r ON r.run_id = i.run_id
       WHERE i.frame IS NULL AND r.owner IS NULL AND r.status IN ${inList(Status.IdleStatus.literals)} AND ${isWanted}`,
    `SELECT DISTINCT ${columns} FROM smithers_waits w JOIN smithers_runs r ON r.run_id = w.run_id
       WHERE w.status = 'open' AND w.deadline <= ?1 AND r.owner IS NULL AND r.status = 'waiting' AND ${isWanted}`,
    `SELECT DISTINCT ${columns} FROM smithers_nodes n INDEXED BY smithers_nodes_retrying CROSS JOIN smithers_runs r ON r.run_id = n.run_id
       WHERE n.status = 'retrying' AND n.retry_at <= ?1 AND r.owner IS NULL AND r.status = 'waiting' AND ${isWanted}`,
    `SELECT ${columns} FROM smithers_runs r INDEXED BY smithers_runs_deadline
       WHERE r.deadline <= ?1 AND r.owner IS NULL AND r.status IN ${inList(Status.IdleStatus.literals)} AND ${isWanted}`,
    `SELECT ${columns} FROM smithers_runs r
       WHERE r.run_id IN (SELECT value FROM json_each(?5)) AND r.owner IS NULL AND r.status = 'waiting' AND ${isWanted}`,
    // Scores that no living process makes.
    `SELECT DISTINCT ${columns} FROM smithers_scores c INDEXED BY smithers_scores_due CROSS JOIN smithers_runs r ON r.run_id = c.run_id
       WHERE c.status = 'due' AND (c.owner IS NULL OR c.lease_until <= ?1 OR c.owner IN (SELECT value FROM json_each(?2)))
         AND r.owner IS NULL AND r.status IN ${ended} AND ${isWanted}`,
  ]
  const eachDue = dueParts.map((part) => `SELECT * FROM (${part} LIMIT 100)`).join(" UNION ")
  const selectDue = prepare<DueRow>(`${eachDue} LIMIT 100`)
  const selectDueCount = prepare<[count: number]>(
    `SELECT count(*) FROM (${dueParts.map((part) => `SELECT run_id FROM (${part})`).join(" UNION ")})`,
  )
  // The last event that is more than a resumption, and the newest pending command.
  const selectMark = prepare<[seq: number, pending: number]>(
    `SELECT
       coalesce((SELECT seq FROM smithers_events WHERE run_id = ?1 AND type <> 'RunResumed' ORDER BY seq DESC LIMIT 1), 0),
       coalesce((SELECT max(seq) FROM smithers_inbox WHERE run_id = ?1 AND frame IS NULL), 0)`,
  )
  const nextParts = [
    `SELECT w.deadline AS at FROM smithers_waits w JOIN smithers_runs r ON r.run_id = w.run_id
     WHERE w.status = 'open' AND w.deadline > ?1 AND r.owner IS NULL AND r.status = 'waiting' ORDER BY w.deadline LIMIT 1`,
    `SELECT n.retry_at AS at FROM smithers_nodes n INDEXED BY smithers_nodes_retrying CROSS JOIN smithers_runs r ON r.run_id = n.run_id
     WHERE n.status = 'retrying' AND n.retry_at > ?1 AND r.owner IS NULL AND r.status = 'waiting' ORDER BY n.retry_at LIMIT 1`,
    `SELECT r.deadline AS at FROM smithers_runs r INDEXED BY smithers_runs_deadline
     WHERE r.deadline > ?1 AND r.owner IS NULL AND r.status IN ${inList(Status.IdleStatus.literals)} ORDER BY r.deadline LIMIT 1`,
  ]
  const selectNext = prepare<[at: number | null]>(
    `SELECT min(at) FROM (${nextParts.map((part) => `SELECT * FROM (${part})`).join(" UNION ALL ")})`,
  )
  const insertCommand = prepare("INSERT OR IGNORE INTO smithers_inbox (id, run_id, at_ms, command) VALUES (?, ?, ?, ?)")
  const selectCommand = prepare<[command: string]>("SELECT command FROM smithers_inbox WHERE run_id = ? AND id = ?")
  // Starts from pending commands, which are few. By itself, SQLite would scan all runs of this owner.
  const selectInbox = prepare<[id: string, runId: string, at: Millis.Millis, command: string]>(
    `SELECT i.id, i.run_id, i.at_ms, i.command
     FROM smithers_inbox i INDEXED BY smithers_inbox_pending CROSS JOIN smithers_runs r ON r.run_id = i.run_id
     WHERE i.frame IS NULL AND r.owner = ? ORDER BY i.seq`,
  )

  const selectChain = prepare<[first: string]>("SELECT chain FROM smithers_runs WHERE run_id = ? AND chain IS NOT NULL")
  const selectSaid = prepare<[command: string]>(
    `SELECT i.command FROM smithers_runs r CROSS JOIN smithers_inbox i ON i.run_id = r.run_id AND i.id = ?1
     WHERE r.chain = ?2
     UNION ALL SELECT command FROM smithers_inbox WHERE run_id = ?2 AND id = ?1 LIMIT 1`,
  )
  const isPassedOn = `r.is_attached = 1 AND (r.status NOT IN ${ended} OR r.owner IS NOT NULL) AND (?2 OR r.is_final IS NULL)`
  const selectDescendants = prepare<[runId: string, parentRunId: string]>(
    `WITH RECURSIVE family (run_id, parent_run_id) AS (
       SELECT r.run_id, r.parent_run_id FROM smithers_runs r WHERE r.parent_run_id = ?1 AND ${isPassedOn}
       UNION ALL
       SELECT r.run_id, r.parent_run_id FROM family f CROSS JOIN smithers_runs r ON r.parent_run_id = f.run_id WHERE ${isPassedOn})
     SELECT run_id, parent_run_id FROM family`,
  )
  const selectAncestors = prepare<[runId: string, pausedAt: number | null]>(
    `WITH RECURSIVE line (run_id, above) AS (
       SELECT run_id, iif(is_attached = 1, parent_run_id, NULL) FROM smithers_runs WHERE run_id = ?
       UNION ALL
       SELECT r.run_id, iif(r.is_attached = 1, r.parent_run_id, NULL) FROM line l CROSS JOIN smithers_runs r ON r.run_id = l.above)
     SELECT run_id, paused_at FROM line JOIN smithers_runs USING (run_id) WHERE run_id <> ?1 AND status NOT IN ${ended}`,
  )
  const selectTold = prepare<[id: string, at: Millis.Millis, command: string]>(
    "SELECT id, at_ms, command FROM smithers_inbox INDEXED BY smithers_inbox_pending WHERE run_id = ? AND frame IS NULL ORDER BY seq",
  )
  const selectTime = prepare<[kind: string, since: number, deadline: Millis.Millis, pausedAt: number | null]>(
    `SELECT w.kind, w.since, w.deadline, r.paused_at FROM smithers_waits w JOIN smithers_runs r USING (run_id)
     WHERE w.run_id = ? AND w.node_id = ? AND w.iteration = ? AND w.status = 'open' AND w.deadline IS NOT NULL`,
  )

  const told = (runId: string): ReadonlyArray<InboxMessage> =>
    selectTold.values(runId).map(([id, at, command]) => ({ id, runId, at, command: JSON.parse(command) as Command }))
  /** Fails if a response to an open wait comes too late. */
  const checkDeadline = ({ runId, at, command }: InboxMessage<Response>): Either.Either<void, WaitExpired> => {
    const { nodeId, iteration } = command
    const time = selectTime.values(runId, nodeId, iteration)[0]
    if (time === undefined) return Either.void
    const [kind, since, deadline, pausedAt] = time
    const isTooLate = Pauses.isTooLate({ kind, since, deadline }, at, pausedAt ?? undefined, told(runId))
    return isTooLate ? Either.left(new WaitExpired({ runId, nodeId, iteration, deadline })) : Either.void
  }

  const isFree = (owner: string | null, leaseUntil: number | null, now: number): boolean =>
    owner === null || leaseUntil === null || leaseUntil <= now || (owner !== me && Owner.isDead(owner))

  /** The owners of runs whose processes have ended. */
  const deadOwners = (): ReadonlyArray<string> =>
    selectOwners.values().flatMap(([owner]) => (owner !== me && Owner.isDead(owner) ? [owner] : []))

  const lapses = Lapses.make()
  /** Returns the time of the next attempt to claim an owned run; `undefined` if it has no owner. */
  const ownedUntil = (
    { runId, now, leaseMs }: OpenRequest,
    epoch: number,
    owner: string | null,
    until: number | null,
  ): number | undefined => {
    if (owner === null || until === null || (owner !== me && Owner.isDead(owner))) return undefined
    if (until > now) return until
    // A live owner renews three times as often.
    const left = owner === me ? 0 : lapses.leftOf({ runId, epoch, owner, until }, Math.min(leaseMs, Lapses.graceMs))
    return left === 0 ? undefined : now + left
  }

  const insert = (
    runId: string,
    create: NewRun,
    now: Millis.Millis,
    claim: readonly [status: string, epoch: number, owner: string | null, leaseUntil: Millis.Millis | null],
  ): boolean => {
    const { workflow, version = null, tags, input, source = null, parent } = create
    const from = [parent?.runId ?? null, parent?.nodeId ?? null, parent?.iteration ?? null] as const
    const isAttached = parent === undefined ? null : Number(parent.isAttached)
    const isFinal = create.isFinal === true ? 1 : null
    const columns = [
      JSON.stringify(tags),
      writeOptional(input),
      source,
      ...from,
      isAttached,
      create.inputDigest ?? null,
      isFinal,
      create.budgets === undefined ? null : JSON.stringify(create.budgets),
      create.deadline ?? null,
      create.depth ?? null,
      ...forkColumns(create.fork),
      create.chain?.first ?? null,
      create.chain?.generation ?? null,
      create.startAt ?? null,
    ] as const
    return insertRun.run(runId, workflow, version, ...claim, now, ...columns).changes > 0
  }
  const spawn = (runId: string, create: NewRun, now: Millis.Millis): void => {
    insert(runId, create, now, ["suspended", 0, null, null])
  }
  const continueAs = (before: string, runId: string, create: NewRun, now: Millis.Millis): void => {
    const [tags = "[]", source = null, isFinal = null] = selectOrigin.values(before)[0] ?? []
    const kept = { tags: JSON.parse(tags) as ReadonlyArray<string>, source: source ?? undefined }
    const last = isFinal === null ? {} : { isFinal: true as const }
    if (!insert(runId, { ...create, ...kept, ...last }, now, ["suspended", 0, null, null]))
      throw new Error(`the run cannot go on as "${runId}", which is the id of another run`)
  }
  const newest = (runId: string): string => {
    const row = selectLink.values(runId)[0]
    if (row === undefined || row[0] === null) return runId
    return selectNewest.values(row[1] ?? runId)[0]?.[0] ?? runId
  }

  const isSameCall = (create: NewRun, input: string | null, inputDigest: string | null): boolean =>
    (create.inputDigest !== undefined && create.inputDigest === inputDigest) ||
    isDeepStrictEqual(readOptional(writeOptional(create.input)), readOptional(input))

  const find = (runId: string): Either.Either<RunRow, RunNotFound> =>
    Either.fromNullable(selectRun.values(runId)[0], () => new RunNotFound({ runId }))
  const inTime = (): Either.Either<void> => Either.void
  /** A command that an earlier generation of a run has taken. */
  const saidBefore = (runId: string, id: string): [command: string] | undefined => {
    const first = selectChain.values(runId)[0]?.[0]
    return first === undefined ? undefined : selectSaid.values(id, first)[0]
  }
  /** Stores a command in an inbox, unless its run has ended or the command comes too late. */
  const put = <E>(
    [, status, epoch, owner]: RunRow,
    { id, runId, at, command }: InboxMessage,
    isRevived: boolean,
    checkTime: () => Either.Either<void, E>,
  ): Either.Either<Command, RunEnded | E> => {
    const known = selectCommand.values(runId, id)[0] ?? saidBefore(runId, id)
    if (known !== undefined) return Either.right(JSON.parse(known[0]) as Command)
    // A run with an owner is being resumed, and receives the command.
    if (owner === null && Status.isEnded(status)) {
      if (!isRevived || !Status.isReopenable(status)) return Either.left(new RunEnded({ runId, status }))
      reopen.run(runId, at)
      pauseWithAncestors(runId, epoch, at)
    }
    return Either.map(checkTime(), () => {
      insertCommand.run(id, runId, at, write(command as Json))
      passOn({ id, runId, at, command })
      return command
    })
  }
  /** Forwards a command to the attached descendants of a run. */
  const passOn = ({ id, runId, at, command }: InboxMessage): void => {
    if (childCommand(runId, command) === undefined) return
    for (const [childRunId, parentRunId] of selectDescendants.values(runId, command._tag === "Cancel" ? 0 : 1))
      insertCommand.run(id, childRunId, at, write(childCommand(parentRunId, command) as Json))
  }
  /** Pauses a descendant that continues after its end while an ancestor is paused. */
  const pauseWithAncestors = (runId: string, epoch: number, at: Millis.Millis): void => {
    const paused = selectAncestors.values(runId).find(([above, pausedAt]) => Pauses.isPaused(pausedAt !== null, told(above)))
    if (paused === undefined) return
    insertCommand.run(compositeKey("paused-with", paused[0], epoch, at), runId, at, write({ _tag: "Pause" }))
  }

  return {
    spawn,
    origin: (runId) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return undefined
      const [workflow, status, , , , input, inputDigest] = row
      return { workflow, status: status as Origin["status"], input: readOptional(input), inputDigest: inputDigest ?? undefined }
    },
    open: (request) => {
      const { runId, create, reopen, leaseMs, now } = request
      const row = selectRun.values(runId)[0]
      if (row === undefined) {
        if (create === undefined) return Either.left(new RunNotFound({ runId }))
        insert(runId, create, now, ["running", 1, me, Millis.after(now, leaseMs)])
        return Either.right({ _tag: "Created", epoch: 1 })
      }
      const [workflow, status, epoch, owner, leaseUntil, input, inputDigest] = row
      if (create !== undefined && (create.workflow !== workflow || !isSameCall(create, input, inputDigest))) {
        return Either.right({ _tag: "Mismatch", workflow })
      }
      if (status === "continued") {
        const runId = newest(request.runId)
        return runId === request.runId ? Either.left(new RunNotFound({ runId })) : Either.right({ _tag: "Continued", runId })
      }
      // A run with an owner is being resumed, even if that owner died before its first frame.
      const isOver = owner === null && Status.isEnded(status)
      if (isOver && !reopen.some((revived) => revived === status)) return Either.right({ _tag: "Ended" })
      const until = request.isForced === true ? undefined : ownedUntil(request, epoch, owner, leaseUntil)
      if (until !== undefined) return Either.right({ _tag: "Owned", until })
      lapses.forget(runId)
      if (isOver) pauseWithAncestors(runId, epoch, now)
      claim.run(runId, epoch + 1, me, Millis.after(now, leaseMs))
      return Either.right({ _tag: "Claimed", epoch: epoch + 1 })
    },
    renew: (claims, leaseUntil) => {
      // One statement for thousands of claims costs a fraction of as many statements.
      const isMany = claims.length > manyClaims
      if (isMany) extendAll.run(me, leaseUntil, JSON.stringify(claims.map(({ runId }) => runId)))
      const held = new Map(isMany ? selectHeld.values(me) : [])
      return claims.flatMap(({ runId, epoch }) => {
        if (held.get(runId) === epoch || extend.run(runId, epoch, leaseUntil).changes > 0) return []
        // An ended run has no lease, and was not lost.
        return selectEpoch.values(runId)[0]?.[0] === epoch ? [] : [runId]
      })
    },
    release: (runId, epoch, now, status) => {
      if (release.run(runId, epoch, now, status).changes > 0 && status === "waiting") slots.rest(runId, epoch)
    },
    noteStuck: (runId, note, now) => {
      const [owner, leaseUntil, before] = selectStuck.values(runId)[0] ?? []
      if (before === undefined || !isFree(owner ?? null, leaseUntil ?? null, now)) return
      setStuck.run(runId, JSON.stringify(mergeStuck(before === null ? null : (JSON.parse(before) as Stuck), note)))
    },
    countDue: (now) => {
      const queued = JSON.stringify(slots.due(now).runIds)
      return selectDueCount.values(now, JSON.stringify(deadOwners()), "[]", "[]", queued)[0]?.[0] ?? 0
    },
    runnable: (now, { workflows = [], runIds = [] } = {}) => {
      const gone = deadOwners()
      const queued = slots.due(now)
      const due = JSON.stringify(queued.runIds)
      const rows = selectDue.values(now, JSON.stringify(gone), JSON.stringify(workflows), JSON.stringify(runIds), due)
      let nextAt = Math.min(selectNext.values(now)[0]?.[0] ?? Number.POSITIVE_INFINITY, queued.opensAt ?? Number.POSITIVE_INFINITY)
      const runs = rows.flatMap(([runId, workflow, source, epoch, crashes, owner, until, status]) => {
        const isLapsed = owner !== null && owner !== me && until !== null && !gone.includes(owner)
        const left = isLapsed ? lapses.leftOf({ runId, epoch, owner, until }, Lapses.graceMs) : 0
        if (left > 0) {
          nextAt = Math.min(nextAt, now + left)
          return []
        }
        const hasEnded = owner === null && Status.isEnded(status) ? { hasEnded: true as const } : {}
        return [{ runId, workflow, source, crashes, revision: JSON.stringify(selectMark.values(runId)[0]), ...hasEnded }]
      })
      return { runs, nextAt: Number.isFinite(nextAt) ? nextAt : undefined }
    },
    told,
    continueAs,
    newest,
    deliver: (given, { reopen = false } = {}) => {
      const command = { ...given, runId: newest(given.runId) }
      return Either.flatMap(find(command.runId), (row) => put(row, command, reopen, inTime))
    },
    deliverOrCreate: (given, create) => {
      const command = { ...given, runId: newest(given.runId) }
      const { runId, at } = command
      spawn(runId, create, at)
      const row = Either.getOrThrowWith(find(runId), (error) => error)
      const [stored] = row
      return create.workflow === stored
        ? put(row, command, false, inTime)
        : Either.left(new WorkflowMismatch({ runId, workflow: create.workflow, stored }))
    },
    deliverResponse: (command) =>
      Either.flatMap(find(command.runId), (row) => put(row, command, false, () => checkDeadline(command))),
    inbox: () =>
      selectInbox.values(me).map(([id, runId, at, command]) => ({ id, runId, at, command: JSON.parse(command) as Command })),
  }
}
