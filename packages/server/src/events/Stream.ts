/**
 * Streams of events to clients: one per client, over many runs. A tailer reads each run once for all clients and encodes each
 * event once. The id of a message holds the position in each run of the stream, so that a client that connects again misses
 * nothing.
 */

import type { StoreError } from "@smithers/core/Errors"
import type { InboxShape } from "@smithers/core/Inbox"
import type { LoggedEvent, RunReaderShape } from "@smithers/core/RunReader"
import * as Secrets from "@smithers/core/Secrets"
import * as Status from "@smithers/core/Status"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { describe } from "../views/Progress.ts"

/** Events per read. */
const pageSize = 500

/** Most runs of one stream. */
export const mostRuns = 100

/** Events of a run that are kept for clients that come again. */
const mostRecent = 1000

/** Bounds of streams. */
export interface StreamBounds {
  /** Bytes that may wait for a client before it is closed. Default: 1 MiB. */
  readonly waitingBytes: number
  /** Streams of one server, and of one caller. Default: 1000 and 300. */
  readonly streams: number
  readonly streamsOfCaller: number
  /** Age at which a stream is closed, in milliseconds. Its client comes again with its position. Default: an hour. */
  readonly longestMs: number
  /** Time between comments that keep a silent stream open, in milliseconds. Tokens are checked again then. Default: 15 s. */
  readonly keepAliveMs: number
}

export const bounds: StreamBounds = {
  waitingBytes: 1 << 20,
  streams: 1000,
  streamsOfCaller: 300,
  longestMs: 3_600_000,
  keepAliveMs: 15_000,
}

/** Least time between two looks at all runs, in milliseconds. Running workflows write all the time. */
const gatherMs = 100

/** Runs that have not ended of which each is told by itself. Beyond that, clients have to read everything again. */
const mostWatched = 200

const open: ReadonlyArray<Status.ShownStatus> = Status.ShownStatus.literals.filter((status) => !Status.isEnded(status))

const encoder = new TextEncoder()

interface Message {
  readonly seq: number
  readonly data: string
}

interface Client {
  readonly runs: ReadonlyArray<string>
  /** Number of the last event sent, by run. */
  readonly at: Map<string, number>
  readonly wantsAll: boolean
  readonly wantsInbox: boolean
  readonly caller: string
  readonly openedAt: number
  /** `true` until it has been sent what happened before it came. */
  isBehind: boolean
  readonly isAllowed: () => boolean
  readonly write: (text: string) => void
  readonly send: (bytes: Uint8Array) => void
  /** Resolves once it has room for more. */
  readonly drained: () => Promise<void>
  /** Sends what it has missed, as fast as it reads. */
  readonly rejoin: () => void
  readonly close: () => void
}

export interface Tail {
  /** Opens a stream; `undefined` if there are too many. `lastId` is the id of the last message that the client has seen. */
  readonly open: (options: {
    readonly runs: ReadonlyArray<string>
    readonly all: boolean
    readonly inbox: boolean
    readonly lastId: string | null
    /** Name of the caller. */
    readonly caller: string
    /** Returns `false` once the caller's token counts no more, which closes the stream. */
    readonly isAllowed: () => boolean
  }) => Effect.Effect<Response | undefined, StoreError>
}

/** Starts the tailer of a store. Needs a handle of its own: a handle does not tell of its own commits. */
export const make = (
  store: RunReaderShape & Pick<InboxShape, "changes">,
  given: Partial<StreamBounds> = {},
): Effect.Effect<Tail, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { waitingBytes, streams, streamsOfCaller, longestMs, keepAliveMs } = { ...bounds, ...given }
    const clients = new Set<Client>()
    const heads = new Map<string, number>()
    /** The last events of the runs that are followed, encoded. */
    const recent = new Map<string, ReadonlyArray<Message>>()
    /** When each of them was created; 0 if it was not there. */
    const origins = new Map<string, number>()

    const encoded = ({ seq, ...event }: LoggedEvent): Message => {
      const logged = { seq, ...event }
      // Errors are instances of classes, which are not looked into.
      const plain: unknown = JSON.parse(JSON.stringify({ ...logged, text: describe(logged) }))
      return { seq, data: `data: ${JSON.stringify(Secrets.value(plain))}\n\n` }
    }
    const read = (runId: string, afterSeq: number) =>
      store.events(runId, { afterSeq, limit: pageSize }).pipe(
        Effect.map((events) => events.map(encoded)),
        Effect.catchTag("RunNotFound", () => Effect.succeed<ReadonlyArray<Message>>([])),
      )
    /** Bytes of the events of a page that a client has not got, and its position after them. Clients with one position share them. */
    const bytesOf = (client: Client, runId: string, messages: ReadonlyArray<Message>) => {
      const at = new Map(client.at)
      let text = ""
      for (const { seq, data } of messages) {
        if (seq <= (at.get(runId) ?? 0)) continue
        at.set(runId, seq)
        text += `event: run\nid: ${client.runs.map((run) => at.get(run) ?? 0).join(".")}\n${data}`
      }
      return { bytes: encoder.encode(text), last: at.get(runId) ?? 0 }
    }
    const deliver = (
      client: Client,
      runId: string,
      messages: ReadonlyArray<Message>,
      shared = new Map<string, ReturnType<typeof bytesOf>>(),
    ): void => {
      const position = client.runs.map((run) => `${run} ${client.at.get(run) ?? 0}`).join("\n")
      const known = shared.get(position) ?? bytesOf(client, runId, messages)
      shared.set(position, known)
      if (known.bytes.length === 0) return
      client.at.set(runId, known.last)
      client.send(known.bytes)
    }
    /** Keeps what was read of a run, newest last and without a gap. */
    const keep = (runId: string, page: ReadonlyArray<Message>): void => {
      const kept = recent.get(runId) ?? []
      const last = kept.at(-1)?.seq
      const more = last === undefined ? page : page.filter(({ seq }) => seq > last)
      if (more.length === 0) return
      const isNext = last === undefined || more[0]?.seq === last + 1
      recent.set(runId, isNext ? [...kept, ...more].slice(-mostRecent) : [...more])
    }
    /** Events of a run after one, from what is kept if that is enough. */
    const pageOf = (runId: string, after: number) => {
      const kept = recent.get(runId) ?? []
      const [first, last] = [kept[0]?.seq ?? 0, kept.at(-1)?.seq ?? 0]
      return after >= first - 1 && after < last
        ? Effect.succeed(kept.slice(after - first + 1, after - first + 1 + pageSize))
        : read(runId, after)
    }
    /** Sends what a client has missed; it is up to date once it has the last event that the tailer has read. */
    const catchUp = (client: Client, runId: string) =>
      Effect.gen(function* () {
        for (;;) {
          yield* Effect.promise(client.drained)
          const page = yield* pageOf(runId, client.at.get(runId) ?? 0)
          deliver(client, runId, page)
          if (page.length < pageSize) break
        }
        // What it has read before the tailer, the tailer reads for all others.
        if (!heads.has(runId)) heads.set(runId, client.at.get(runId) ?? 0)
      })
    const lookOnce = Effect.gen(function* () {
      isDue = false
      const followed = new Set([...clients].flatMap(({ runs }) => runs))
      for (const runId of heads.keys())
        if (!followed.has(runId)) {
          heads.delete(runId)
          recent.delete(runId)
          origins.delete(runId)
        }
      for (const runId of followed) {
        for (;;) {
          const head = heads.get(runId)
          // Its first client is still catching up.
          if (head === undefined) break
          const kept = recent.get(runId)?.at(-1)?.seq ?? 0
          const from = Math.max(head, kept)
          const page = yield* read(runId, from)
          keep(runId, page)
          const shared = new Map<string, ReturnType<typeof bytesOf>>()
          for (const client of clients) {
            if (client.isBehind || !client.runs.includes(runId)) continue
            // A client behind the tailer gets the rest from its own pages.
            if ((client.at.get(runId) ?? 0) >= from) deliver(client, runId, page, shared)
            else client.rejoin()
          }
          heads.set(runId, Math.max(from, page.at(-1)?.seq ?? from))
          if (page.length < pageSize) break
        }
      }
    })
    const look = (yield* Effect.makeSemaphore(1)).withPermits(1)(lookOnce)
    let isDue = false
    /** Looks, unless that is about to happen: many clients may come at once. */
    const lookSoon = Effect.suspend(() => {
      if (isDue) return Effect.void
      isDue = true
      return look
    })
    /** When each run that has not ended was changed; a run that is not among them any more has ended. */
    const changedAt = Effect.map(
      store.runs({ status: open, limit: mostWatched + 1 }),
      (runs) => new Map(runs.map(({ runId, updatedAt }) => [runId, updatedAt])),
    )
    const asked = Effect.map(store.waits({ kind: ["approval", "human"], isAnswered: false, limit: pageSize }), (waits) => ({
      count: waits.length,
      text: JSON.stringify(waits.map(({ runId, requestId }) => [runId, requestId])),
    }))
    const watchers = () => [...clients].filter(({ wantsAll }) => wantsAll)
    const people = () => [...clients].filter(({ wantsInbox }) => wantsInbox)
    let known: ReadonlyMap<string, number> = new Map()
    let requests = ""
    const inTurn = (yield* Effect.makeSemaphore(1)).withPermits(1)
    /** Tells which runs have changed, and when the requests to people have. */
    const overview = inTurn(
      Effect.gen(function* () {
        if (watchers().length > 0) {
          const now = yield* changedAt
          const changed = [...new Set([...now.keys(), ...known.keys()])].filter((runId) => known.get(runId) !== now.get(runId))
          known = now
          const text =
            now.size > mostWatched
              ? "event: reset\ndata: {}\n\n"
              : changed.map((runId) => `event: changed\ndata: ${JSON.stringify(Secrets.value({ runId }))}\n\n`).join("")
          if (text !== "") for (const client of watchers()) client.write(text)
        }
        if (people().length > 0) {
          const { count, text } = yield* asked
          if (text !== requests) for (const client of people()) client.write(`event: inbox\ndata: {"count":${count}}\n\n`)
          requests = text
        }
      }),
    )
    /** Notes how things stand for the first client that wants to be told of changes. It reads everything once its stream is open. */
    const begin = (all: boolean, inbox: boolean) =>
      inTurn(
        Effect.gen(function* () {
          if (all && watchers().length === 0) known = yield* changedAt
          if (inbox && people().length === 0) requests = (yield* asked).text
        }),
      )
    const following = <E, R>(effect: Effect.Effect<void, E, R>, pause: number) => {
      const tail = Effect.gen(function* () {
        for (let version = -1; ; ) {
          version = yield* store.changes(version)
          if (clients.size > 0) yield* effect
          if (pause > 0) yield* Effect.sleep(pause)
        }
      })
      // A store that fails is asked again: its clients would wait for ever.
      return Effect.forkScoped(Effect.forever(Effect.catchAllCause(tail, () => Effect.sleep("1 second"))))
    }
    yield* following(look, 0)
    yield* following(overview, gatherMs)
    const runtime = yield* Effect.runtime<never>()
    const timer = setInterval(() => {
      const now = performance.now()
      for (const client of clients)
        if (now - client.openedAt > longestMs || !client.isAllowed()) client.close()
        else client.write(": \n\n")
    }, keepAliveMs)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))

    const positions = (lastId: string | null, count: number): ReadonlyArray<number> | undefined => {
      if (lastId === null || lastId === "") return undefined
      const numbers = /^[\d.]{1,2000}$/.test(lastId) ? lastId.split(".").map(Number) : []
      return numbers.length === count && numbers.every(Number.isSafeInteger) ? numbers : undefined
    }
    const respond = ({ runs, all, inbox, lastId, caller, isAllowed }: Parameters<Tail["open"]>[0]): Response | undefined => {
      if (clients.size >= streams) return undefined
      if ([...clients].filter((client) => client.caller === caller).length >= streamsOfCaller) return undefined
      const known = positions(lastId, runs.length)
      let stop = (): void => {}
      let room = (): void => {}
      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            const client: Client = {
              runs,
              at: new Map(runs.map((run, index) => [run, known?.[index] ?? 0])),
              wantsAll: all,
              wantsInbox: inbox,
              ...{ caller, isAllowed, openedAt: performance.now(), isBehind: true },
              write: (text) => client.send(encoder.encode(text)),
              send: (bytes) => {
                if (!clients.has(client)) return
                // A client that falls behind comes again with its position.
                if ((controller.desiredSize ?? 0) <= 0) client.close()
                else controller.enqueue(bytes)
              },
              drained: () =>
                new Promise((resolve) => {
                  if (!clients.has(client) || (controller.desiredSize ?? 0) > 0) resolve()
                  else room = resolve
                }),
              rejoin: () => {
                client.isBehind = true
                // A client that cannot be told what it has missed comes again.
                const told = Effect.catchAllCause(missed, () => Effect.sync(() => client.close()))
                fiber = Effect.runFork(Effect.provide(told, runtime))
              },
              close: () => {
                if (!clients.has(client)) return
                stop()
                controller.close()
              },
            }
            /** Begins anew where the position of a client is not one of the run: another run or database may stand in its place. */
            const checked = Effect.gen(function* () {
              let isLost = false
              for (const runId of runs) {
                const found = yield* Effect.catchTag(Effect.asSome(store.run(runId)), "RunNotFound", () => Effect.succeedNone)
                const [length, origin] = Option.isSome(found) ? [found.value.seq, found.value.run.createdAt] : [0, 0]
                if (origins.get(runId) !== origin) {
                  recent.delete(runId)
                  heads.delete(runId)
                }
                origins.set(runId, origin)
                if ((client.at.get(runId) ?? 0) <= length) continue
                client.at.set(runId, 0)
                isLost = true
              }
              if (isLost) client.write("event: reset\ndata: {}\n\n")
            })
            const missed = Effect.gen(function* () {
              yield* checked
              for (const runId of runs) yield* catchUp(client, runId)
              client.isBehind = false
              // What happened between its last page and now was told to nobody, or to others.
              yield* lookSoon
            })
            let fiber: Fiber.RuntimeFiber<void> = Effect.runFork(Effect.void)
            clients.add(client)
            client.write(": \n\n")
            if (lastId !== null && lastId !== "" && known === undefined) client.write("event: reset\ndata: {}\n\n")
            stop = () => {
              clients.delete(client)
              room()
              Effect.runFork(Fiber.interrupt(fiber))
            }
            client.rejoin()
          },
          pull: () => room(),
          cancel: () => stop(),
        },
        new ByteLengthQueuingStrategy({ highWaterMark: waitingBytes }),
      )
      return new Response(body, {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
      })
    }
    return { open: (options) => Effect.map(begin(options.all, options.inbox), () => respond(options)) }
  })
