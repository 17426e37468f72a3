/**
 * Shows a run while it goes on: what it shows is what is committed, read through a connection of its own.
 */
import * as PlanText from "@smithers/core/PlanText"
import type { LoggedEvent, RunDetails } from "@smithers/core/RunReader"
import type { StorageShape } from "@smithers/core/Storage"
import * as Owners from "@smithers/sqlite/Owners"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import { open } from "../Database.ts"
import * as Follow from "../Follow.ts"
import * as LiveView from "../LiveView.ts"
import * as PlanTree from "../PlanTree.ts"
import * as Progress from "../Progress.ts"
import { redirectConsole, Screen } from "../Screen.ts"
import { oneLine } from "../Text.ts"

interface Shown {
  readonly file: string
  readonly runId: string
  /** The run, where it is one that was taken up. */
  readonly existing: RunDetails | undefined
}

/** Shows events as they come; what it gives shows those that are left. */
export const show = ({ file, runId, existing }: Shown, began: number) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (screen.isJson) return Effect.void
    const storage = yield* open(file, "read")
    const isKnown = existing !== undefined || (yield* exists(storage, runId))
    const details = existing ?? (isKnown ? yield* storage.inspect(runId) : undefined)
    const { last, between } =
      details === undefined ? { last: 0, between: [] } : yield* missed(storage, runId, details.run.updatedAt, began)
    const seen = yield* Ref.make(last)
    const waits = isKnown ? yield* storage.waits({ runId }) : []
    let progress = details === undefined ? Progress.begin(began) : Progress.resume(details.run.createdAt, details.nodes, waits)
    progress = between.reduce(Progress.apply, progress)
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const view = screen.isLive ? yield* LiveView.make(screen, now, progress) : undefined
    if (view !== undefined) {
      redirectConsole(view.line)
      screen.sayThrough(view)
      yield* Effect.addFinalizer(() => Effect.sync(() => screen.sayThrough(undefined)))
    }
    const owner = details?.run.owner ?? null
    if (owner !== null && details !== undefined && Owners.isAlive(details.run, now()) && !Owners.isMine(owner)) {
      const { pid, host } = Owners.placeOf(owner) ?? { pid: undefined, host: undefined }
      const who = pid === undefined ? "Another process" : `Process ${pid} on ${oneLine(host)}`
      const text = `${who} works on run ${oneLine(runId)}. This one follows it, and takes over should that one stop.`
      yield* view === undefined ? screen.say(text) : Effect.sync(() => view.line(text))
    }
    let total: number | undefined
    let held: ReadonlyArray<string> = []
    const write = (text: string) => (view === undefined ? screen.say(text) : Effect.sync(() => view.line(text)))
    let isFirst = true
    const each = Effect.fnUntraced(function* (events: Parameters<Parameters<typeof Follow.drain>[3]>[0]) {
      for (const event of events) {
        const { _tag } = event.event
        if (_tag === "RunStarted") progress = { ...progress, createdAt: event.at }
        progress = Progress.apply(progress, event)
        view?.update(progress, total, held)
        if (isFirst) yield* write(`▶ run ${oneLine(runId)}`)
        isFirst = false
        yield* write(Progress.line(event, progress.createdAt))
        if (view !== undefined && (_tag === "RunStarted" || _tag === "PlanChanged" || _tag === "RunResumed")) {
          const plan = PlanText.decode(yield* storage.plan(runId))
          total = PlanText.count(plan)
          held = PlanTree.heldBySiblings(plan)
        }
      }
      view?.update(progress, total, held)
    })
    const fiber = yield* Effect.forkScoped(Effect.catchAll(Follow.follow(storage, runId, seen, each), () => Effect.void))
    return Effect.gen(function* () {
      yield* Fiber.interrupt(fiber)
      yield* Effect.ignore(Follow.drain(storage, runId, seen, each))
    })
  })

const exists = (storage: StorageShape, runId: string) =>
  Effect.map(storage.events(runId, { limit: 1 }), (events) => events.length > 0).pipe(
    Effect.catchTag("RunNotFound", () => Effect.succeed(false)),
  )

/**
 * The number of the last event before `until`: what there was before we began is not shown again. `since` is the time up to which it is known
 * how the run stood; what happened between the two, while a workflow was loaded, counts for how it is shown.
 */
const missed = (storage: StorageShape, runId: string, since: number, until: number) =>
  Effect.gen(function* () {
    const seen = yield* Ref.make(0)
    let last = 0
    const between: Array<LoggedEvent> = []
    yield* Follow.drain(storage, runId, seen, (events) =>
      Effect.sync(() => {
        for (const event of events) {
          if (event.at >= until) continue
          last = event.seq
          if (event.at >= since) between.push(event)
        }
      }),
    )
    return { last, between }
  })
