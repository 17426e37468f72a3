/**
 * Streams of events to clients: one per client, over many runs. A tailer reads each run once for all clients and encodes each
 * event once. The id of a message holds the position in each run of the stream, so that a client that connects again misses
 * nothing.
 */
import type { InboxShape } from "@smithers/core/Inbox"
import type { LoggedEvent, RunReaderShape } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { describe } from "../views/Progress.ts"

/** Events per read. */
const pageSize = 500

/** Bytes that may wait for a client before it is closed. */
const mostWaiting = 1 << 20

/** Runs of one stream, and streams of one server. */
export const mostRuns = 100
const mostStreams = 1000

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
  readonly write: (text: string) => void
}

export interface Tail {
  /** Opens a stream; `undefined` if there are too many. `lastId` is the id of the last message that the client has seen. */
  readonly open: (options: {
    readonly runs: ReadonlyArray<string>
    readonly all: boolean
    readonly inbox: boolean
    readonly lastId: string | null
  }) => Response | undefined
}

/** Time between comments that keep a silent stream open, in milliseconds. */
const keepAliveMs = 15_000

/** Starts the tailer of a store. Needs a handle of its own: a handle does not tell of its own commits. */
export const make = (store: RunReaderShape & Pick<InboxShape, "changes">): Effect.Effect<Tail, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clients = new Set<Client>()
    const heads = new Map<string, number>()
    let requests = ""

    const encoded = ({ seq, ...event }: LoggedEvent): Message => {
      const logged = { seq, ...event }
      return { seq, data: `data: ${JSON.stringify({ ...logged, text: describe(logged) })}\n\n` }
    }
    const read = (runId: string, afterSeq: number) =>
      store.events(runId, { afterSeq, limit: pageSize }).pipe(
        Effect.map((events) => events.map(encoded)),
        Effect.catchTag("RunNotFound", () => Effect.succeed<ReadonlyArray<Message>>([])),
      )
    const deliver = (client: Client, runId: string, messages: ReadonlyArray<Message>): void => {
      let at = client.at.get(runId) ?? 0
      let text = ""
      for (const { seq, data } of messages) {
        if (seq <= at) continue
        at = seq
        client.at.set(runId, seq)
        text += `event: run\nid: ${client.runs.map((run) => client.at.get(run) ?? 0).join(".")}\n${data}`
      }
      if (text !== "") client.write(text)
    }
    /** Sends what a client has missed; it is up to date once it has the last event that the tailer has read. */
    const catchUp = (client: Client, runId: string) =>
      Effect.gen(function* () {
        for (;;) {
          const page = yield* read(runId, client.at.get(runId) ?? 0)
          deliver(client, runId, page)
          if (page.length < pageSize) break
        }
        heads.set(runId, Math.max(heads.get(runId) ?? 0, client.at.get(runId) ?? 0))
      })
    const look = Effect.gen(function* () {
      const followed = new Set([...clients].flatMap(({ runs }) => runs))
      for (const runId of heads.keys()) if (!followed.has(runId)) heads.delete(runId)
      for (const runId of followed) {
        for (;;) {
          const head = heads.get(runId)
          // Its first client is still catching up.
          if (head === undefined) break
          const page = yield* read(runId, head)
          for (const client of clients) {
            if (!client.runs.includes(runId)) continue
            // A client behind the tailer gets the rest from its own pages.
            if ((client.at.get(runId) ?? 0) >= head) deliver(client, runId, page)
            else yield* catchUp(client, runId)
          }
          heads.set(runId, Math.max(head, page.at(-1)?.seq ?? head))
          if (page.length < pageSize) break
        }
      }
      const watchers = [...clients].filter(({ wantsAll }) => wantsAll)
      for (const client of watchers) client.write("event: changed\ndata: {}\n\n")
      const people = [...clients].filter(({ wantsInbox }) => wantsInbox)
      if (people.length > 0) {
        const waits = yield* store.waits({ kind: ["approval", "human"], isAnswered: false, limit: pageSize })
        const known = JSON.stringify(waits.map(({ runId, requestId }) => [runId, requestId]))
        if (known !== requests) for (const client of people) client.write(`event: inbox\ndata: {"count":${waits.length}}\n\n`)
        requests = known
      }
    })
    const tail = Effect.gen(function* () {
      for (let version = -1; ; ) {
        version = yield* store.changes(version)
        if (clients.size > 0) yield* look
      }
    })
    // A store that fails is asked again: its clients would wait for ever.
    yield* Effect.forkScoped(Effect.forever(Effect.catchAllCause(tail, () => Effect.sleep("1 second"))))
    const runtime = yield* Effect.runtime<never>()
    const timer = setInterval(() => {
      for (const client of clients) client.write(": \n\n")
    }, keepAliveMs)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))

    const positions = (lastId: string | null, count: number): ReadonlyArray<number> | undefined => {
      if (lastId === null || lastId === "") return undefined
      const numbers = /^[\d.]{1,2000}$/.test(lastId) ? lastId.split(".").map(Number) : []
      return numbers.length === count && numbers.every(Number.isSafeInteger) ? numbers : undefined
    }
    const open: Tail["open"] = ({ runs, all, inbox, lastId }) => {
      if (clients.size >= mostStreams) return undefined
      const known = positions(lastId, runs.length)
      let stop = (): void => {}
      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) => {
            const client: Client = {
              runs,
              at: new Map(runs.map((run, index) => [run, known?.[index] ?? 0])),
              wantsAll: all,
              wantsInbox: inbox,
              write: (text) => {
                if (!clients.has(client)) return
                // A client that falls behind comes again with its position.
                if ((controller.desiredSize ?? 0) <= 0) {
                  stop()
                  controller.close()
                } else controller.enqueue(encoder.encode(text))
              },
            }
            clients.add(client)
            client.write(": \n\n")
            if (lastId !== null && lastId !== "" && known === undefined) client.write("event: reset\ndata: {}\n\n")
            const missed = Effect.forEach(runs, (runId) => catchUp(client, runId), { discard: true })
            const fiber = Effect.runFork(Effect.provide(Effect.ignore(missed), runtime))
            stop = () => {
              clients.delete(client)
              Effect.runFork(Fiber.interrupt(fiber))
            }
          },
          cancel: () => stop(),
        },
        new ByteLengthQueuingStrategy({ highWaterMark: mostWaiting }),
      )
      return new Response(body, {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
      })
    }
    return { open }
  })
