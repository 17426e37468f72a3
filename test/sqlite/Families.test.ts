/**
 * Families of runs over three generations, under two supervisors in processes of their own that are killed at any moment, while their parents are
 * cancelled, paused, unpaused and retried.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { undoneBy } from "@smithers/core/Records"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import { Effect } from "effect"
import { newFile } from "./Fixture.ts"

const script = path.join(import.meta.dirname, "fixtures", "families.ts")

/** Families of each kind. */
const each = 3
/** Processes that are killed: too few for a step that is cut short to be taken for what kills them. */
const kills = 8

const kinds = ["plain", "cancel", "pause", "both", "retry"] as const
type Kind = (typeof kinds)[number]

/** A process that supervises; another takes its place when it is killed. */
const supervising = (filename: string, journal: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const spawn = () => Bun.spawn([process.execPath, script, filename, journal], { stdout: "inherit", stderr: "inherit" })
      let child = spawn()
      const kill = async () => {
        child.kill("SIGKILL")
        await child.exited
      }
      const again = async () => {
        await kill()
        child = spawn()
      }
      return { kill, again }
    }),
    ({ kill }) => Effect.promise(kill),
  )

/** A run and its descendants, with the number of the last event of each. */
const seqs = (runId: string) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const found = new Map<string, number>()
    for (const id of yield* storage.find(runId, 100)) found.set(id, (yield* storage.run(id)).seq)
    return found
  })

/** Steps of a family that began between two moments, compensations aside. */
const begunBetween = (runId: string, from: ReadonlyMap<string, number>, to?: ReadonlyMap<string, number>) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const begun: Array<string> = []
    for (const id of yield* storage.find(runId, 100)) {
      for (const { seq, event } of yield* storage.events(id, { afterSeq: from.get(id) ?? 0 })) {
        if (seq > (to === undefined ? Number.POSITIVE_INFINITY : (to.get(id) ?? 0))) continue
        if (event._tag === "AttemptStarted" && undoneBy(event.nodeId) === undefined) begun.push(`${event.nodeId} of ${id}`)
      }
    }
    return begun
  })

const untilEnded = (runId: string) =>
  Effect.gen(function* () {
    const storage = yield* Storage
    for (;;) {
      const { run } = yield* storage.run(runId)
      if (run.finishedAt !== null) return run.status
      yield* Effect.sleep("50 millis")
    }
  })

/** Does to a family what its kind says, and answers with what began when nothing might, and with how the family ended. */
const treat = (kind: Kind, runId: string, delay: number) =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    if (kind === "retry") {
      expect(yield* untilEnded(runId)).toBe("failed")
      fs.writeFileSync(`${process.env.FAMILIES_JOURNAL}.${runId}`, "")
      yield* Commands.retryNode(runId, "close")
    }
    if (kind === "pause" || kind === "both") {
      yield* Effect.sleep(delay)
      yield* Commands.pause(runId)
      const from = yield* seqs(runId)
      yield* Effect.sleep("1 second")
      const to = yield* seqs(runId)
      wrong.push(...(yield* begunBetween(runId, from, to)))
      if (kind === "pause") yield* Commands.unpause(runId)
    }
    if (kind === "cancel" || kind === "both") {
      yield* Effect.sleep(delay)
      yield* Commands.cancel(runId)
      const from = yield* seqs(runId)
      const status = yield* untilEnded(runId)
      wrong.push(...(yield* begunBetween(runId, from)))
      return { wrong, status }
    }
    return { wrong, status: yield* untilEnded(runId) }
  })

it.scopedLive(
  "families end as they must, whoever is killed: each step once, none after a cancellation, each saga undone, and no run left",
  () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const journal = `${filename}.journal`
      process.env.FAMILIES_JOURNAL = journal
      fs.writeFileSync(journal, "")
      yield* Effect.gen(function* () {
        const storage = yield* Storage
        const families = kinds.flatMap((kind) => Array.from({ length: each }, (_, index) => ({ kind, runId: `${kind}${index}` })))
        for (const { runId } of families)
          yield* Commands.signalOrCreate(runId, "begin", {}, { workflow: "top", version: undefined, input: {}, tags: [] })
        const supervisors = [yield* supervising(filename, journal), yield* supervising(filename, journal)]
        const killing = Effect.gen(function* () {
          for (let index = 0; index < kills; index++) {
            yield* Effect.sleep(900 + Math.random() * 600)
            const supervisor = supervisors[index % 2]
            if (supervisor !== undefined) yield* Effect.promise(supervisor.again)
          }
        })
        const treated = Effect.forEach(
          families,
          ({ kind, runId }) =>
            treat(kind, runId, 300 + Math.random() * 1700).pipe(
              Effect.map((came) => ({ kind, runId, isLate: false, ...came })),
              // Nothing can be told to a family that was faster.
              Effect.catchTag("RunEnded", ({ status }) => Effect.succeed({ kind, runId, isLate: true, wrong: [], status })),
            ),
          { concurrency: "unbounded" },
        )
        const [ended] = yield* Effect.all([treated, killing], { concurrency: "unbounded" })

        expect(ended.filter(({ isLate }) => isLate).length).toBeLessThan(families.length / 3)
        for (const { kind, runId, wrong, status, isLate } of ended) {
          expect([runId, wrong]).toEqual([runId, []])
          const wanted = !isLate && (kind === "cancel" || kind === "both") ? "cancelled" : "finished"
          expect([runId, status]).toEqual([runId, wanted])
        }
        const lines = fs.readFileSync(journal, "utf8").trim().split("\n")
        // No attempt is made twice, whoever has the run.
        expect(new Set(lines).size).toBe(lines.length)
        const runs = yield* storage.runs({ limit: 1000 })
        for (const { runId, status, finishedAt } of runs) {
          expect([runId, finishedAt === null ? status : "ended"]).toEqual([runId, "ended"])
          const { nodes, attempts } = yield* storage.inspect(runId)
          const isUndone = (nodeId: string) => nodes.some((node) => undoneBy(node.nodeId) === nodeId && node.status === "finished")
          const isLeftInOrder = nodes.some((node) => node.kind === "boundary" && node.status === "finished")
          for (const { nodeId, status: stood } of nodes) {
            const tried = attempts.filter((attempt) => attempt.nodeId === nodeId)
            // A step that has finished did so once; whatever else was tried of it a kill had cut short.
            if (stood === "finished" && tried.length > 0) {
              const succeeded = tried.filter((attempt) => attempt.status === "succeeded")
              expect([runId, nodeId, succeeded.length]).toEqual([runId, nodeId, 1])
            }
            const isUndoable = ["open", "reserve", "book", "pay"].includes(nodeId) && !isLeftInOrder
            if (status === "cancelled" && isUndoable && stood === "finished")
              expect([runId, nodeId, isUndone(nodeId)]).toEqual([runId, nodeId, true])
            if (status === "finished") expect([runId, nodeId, isUndone(nodeId)]).toEqual([runId, nodeId, false])
          }
        }
        expect(yield* storage.runnable(Date.now() + 1e9)).toEqual({ runs: [], nextAt: undefined })
      }).pipe(Effect.provide(SqliteStorage.layer({ filename })))
    }),
  300_000,
)
