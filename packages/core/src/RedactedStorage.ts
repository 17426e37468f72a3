/**
 * A store that no secret gets into: the one function that all rows of every store pass. Texts and keys of what is written are
 * redacted; a secret in an output refuses the event that holds it, so that its node fails. What is read is redacted
 * too, since rows may be older than the knowledge of a secret. Costs nothing while no secret is known.
 */
import * as Effect from "effect/Effect"
import { StoreRefused } from "./Errors.ts"
import type { Command, InboxMessage } from "./Inbox.ts"
import type { RunEvent } from "./RunEvent.ts"
import type { NewRun } from "./RunOwnership.ts"
import type { Frame } from "./RunStore.ts"
import type { Schedule } from "./Schedules.ts"
import * as SecretSettings from "./SecretSettings.ts"
import * as Secrets from "./Secrets.ts"
import type { StorageShape } from "./Storage.ts"

/** The content of an event that is never stored with a secret: a later reader would take the replacement for the value. */
const contentOf = (event: RunEvent): unknown => {
  switch (event._tag) {
    case "AttemptSucceeded":
    case "WaitEnded":
    case "SubflowEnded":
    case "RunFinished":
      return event.output
    default:
      return undefined
  }
}

/** The frame without secrets, or the refusal of an event whose value holds one. */
const clean = (frame: Frame): Frame | StoreRefused => {
  const secrets = Secrets.redactor()
  if (secrets.isEmpty) return frame
  for (const [index, event] of frame.events.entries()) {
    const found = Secrets.problemIn(contentOf(event))
    if (found !== undefined)
      return new StoreRefused({ operation: "commit", detail: `the output: ${found.problem}`, event: index, secret: found.secret })
  }
  for (const { create } of frame.spawned ?? []) {
    const found = Secrets.problemIn(create.input)
    const event = frame.events.findIndex((one) => one._tag === "WaitStarted" && one.kind === "subflow")
    if (found !== undefined)
      return new StoreRefused({
        operation: "commit",
        detail: `the input of the child run: ${found.problem}`,
        event,
        secret: found.secret,
      })
  }
  return secrets.value(frame)
}

/** The value that a command brings into a run. */
const broughtBy = (command: Command): unknown => {
  if (command._tag === "Answer") return command.value
  return command._tag === "Signal" ? [command.payload, command.correlation] : undefined
}

/** Refuses a new run whose input holds a secret. */
const created = (operation: string, create: NewRun | undefined): Effect.Effect<void, StoreRefused> => {
  const found = create === undefined ? undefined : Secrets.problemIn(create.input)
  return found === undefined
    ? Effect.void
    : new StoreRefused({ operation, detail: `the input of the run: ${found.problem}`, secret: found.secret })
}

/** Refuses a schedule whose runs would have an input with a secret. */
const scheduled = ({ input }: Schedule): Effect.Effect<void, StoreRefused> => {
  const found = Secrets.problemIn(input)
  return found === undefined
    ? Effect.void
    : new StoreRefused({ operation: "writeSchedule", detail: `the input of the schedule: ${found.problem}`, secret: found.secret })
}

/** Makes a store that no secret gets into. Reads the secrets of the environment. */
export const make = (storage: StorageShape): StorageShape => {
  SecretSettings.addEnvironment()
  /** What is read, without secrets. */
  const read = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> => Effect.map(effect, Secrets.value)
  /** Delivers a command. Callers know their own by identity. */
  const delivering = <C extends Command, E>(
    message: InboxMessage<C>,
    deliver: (message: InboxMessage<C>) => Effect.Effect<Command, E>,
  ): Effect.Effect<Command, E | StoreRefused> =>
    Effect.suspend((): Effect.Effect<Command, E | StoreRefused> => {
      // Values are computed with: texts for people are stored without the secret, and a value with one is refused.
      const found = Secrets.problemIn(broughtBy(message.command))
      if (found !== undefined)
        return new StoreRefused({ operation: "deliver", detail: `what was sent: ${found.problem}`, secret: found.secret })
      const cleaned = Secrets.value(message)
      return Effect.map(deliver(cleaned), (kept) => (kept === cleaned.command ? message.command : kept))
    })
  // Each method by its name, so that a new one cannot be forgotten.
  const {
    storeId,
    origin,
    renew,
    runnable,
    release,
    find,
    newest,
    changes,
    load,
    history,
    prepareOutputs,
    cached,
    transact,
    progress,
    configureLimits,
  } = storage
  return {
    ...{
      storeId,
      origin,
      renew,
      runnable,
      release,
      find,
      newest,
      changes,
      load,
      history,
      prepareOutputs,
      cached,
      transact,
      progress,
      configureLimits,
    },
    open: (request) => Effect.suspend(() => Effect.zipRight(created("open", request.create), storage.open(Secrets.value(request)))),
    commit: (frame) =>
      Effect.suspend(() => {
        const cleaned = clean(frame)
        return cleaned instanceof StoreRefused ? Effect.fail(cleaned) : storage.commit(cleaned)
      }),
    fork: (request) =>
      Effect.suspend(() => {
        const cleaned = clean(request.frame)
        return cleaned instanceof StoreRefused
          ? Effect.fail(cleaned)
          : Effect.zipRight(created("fork", request.create), storage.fork(Secrets.value(request)))
      }),
    heartbeat: (heartbeat) => Effect.suspend(() => storage.heartbeat(Secrets.value(heartbeat))),
    reserve: (write) => Effect.suspend(() => storage.reserve(Secrets.value(write))),
    usage: (filter) => read(storage.usage(filter)),
    adjustBudget: (change) => storage.adjustBudget(change),
    budgets: (runId) => read(storage.budgets(runId)),
    limits: read(storage.limits),
    requestSlot: (request) => Effect.suspend(() => storage.requestSlot(Secrets.value(request))),
    leaveSlots: (places, isUsed, now) => Effect.suspend(() => storage.leaveSlots(Secrets.value(places), isUsed, now)),
    pollSlots: (places, now) => Effect.suspend(() => storage.pollSlots(Secrets.value(places), now)),
    slotWaits: (runId) => read(storage.slotWaits(runId)),
    scores: (filter) => read(storage.scores(filter)),
    claimScore: (request) => Effect.suspend(() => storage.claimScore(Secrets.value(request))),
    endScore: (request) => Effect.suspend(() => storage.endScore(Secrets.value(request))),
    releaseScore: (key) => Effect.suspend(() => storage.releaseScore(Secrets.value(key))),
    recordSnapshot: (write) => Effect.suspend(() => storage.recordSnapshot(Secrets.value(write))),
    snapshots: (filter) => read(storage.snapshots(filter)),
    putRevert: (write) => Effect.suspend(() => storage.putRevert(Secrets.value(write))),
    reverts: (runId) => read(storage.reverts(runId)),
    facts: (query) => read(storage.facts(query)),
    putFact: (fact) => Effect.suspend(() => storage.putFact(Secrets.value(fact))),
    deleteFacts: storage.deleteFacts,
    record: (write) => Effect.suspend(() => storage.record(Secrets.value(write))),
    schedules: (filter) => read(storage.schedules(filter)),
    dueSchedules: (now) => read(storage.dueSchedules(now)),
    writeSchedule: (write) =>
      Effect.suspend(() => Effect.zipRight(scheduled(write.schedule), storage.writeSchedule(Secrets.value(write)))),
    deleteSchedule: storage.deleteSchedule,
    scheduleTicks: (scheduleId, limit) => read(storage.scheduleTicks(scheduleId, limit)),
    noteStuck: (runId, note, now) => Effect.suspend(() => storage.noteStuck(runId, Secrets.value(note), now)),
    // The command has looked for secrets, and says where; what is stored has none in any case.
    publish: (event) => Effect.suspend(() => storage.publish(Secrets.value(event))),
    deliverPublished: storage.deliverPublished,
    published: (filter) => read(storage.published(filter)),
    deliver: (message, options) => delivering(message, (cleaned) => storage.deliver(cleaned, options)),
    deliverOrCreate: (message, create) =>
      Effect.zipRight(
        Effect.suspend(() => created("deliverOrCreate", create)),
        delivering(message, (cleaned) => storage.deliverOrCreate(cleaned, Secrets.value(create))),
      ),
    deliverResponse: (message) => delivering(message, storage.deliverResponse),
    pending: read(storage.pending),
    conversations: (filter) => read(storage.conversations(filter)),
    runs: (filter) => read(storage.runs(filter)),
    waits: (filter) => read(storage.waits(filter)),
    statistics: read(storage.statistics),
    plan: (runId, frame) => read(storage.plan(runId, frame)),
    run: (runId) => read(storage.run(runId)),
    wait: (name) => read(storage.wait(name)),
    inspect: (runId) => read(storage.inspect(runId)),
    generations: (runId) => read(storage.generations(runId)),
    events: (runId, options) => read(storage.events(runId, options)),
  }
}
