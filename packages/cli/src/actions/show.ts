/**
 * Shows the progress of a run from its committed events.
 */
import * as PlanText from "@smithers/core/PlanText"
import * as RunLog from "@smithers/core/RunLog"
import type { LoggedEvent, RunDetails } from "@smithers/core/RunReader"
import type { StorageShape } from "@smithers/core/Storage"
import type { RunHandle } from "@smithers/core/Workflow"
import * as PlanTree from "@smithers/server/views/PlanTree"
import * as Progress from "@smithers/server/views/Progress"
import { oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as LiveTree from "../LiveTree.ts"
import * as LiveView from "../LiveView.ts"
import { redirectConsole, Screen } from "../Screen.ts"
import { owners } from "../Stores.ts"

interface Shown {
  readonly storage: StorageShape
  readonly handle: RunHandle<unknown>
  /** State of an existing run before this process resumed it. */
  readonly before: RunDetails | undefined
}

/** Shows events as they are committed. The returned effect shows the remaining ones. */
export const show = ({ storage, handle, before }: Shown, began: number) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (screen.isJson) return Effect.void
    /** The run that is shown: the newest that it goes on as. */
    let { runId } = handle
    let seen = before?.seq ?? 0
    const waits = before === undefined ? [] : yield* storage.waits({ runId })
    let progress = before === undefined ? Progress.begin(began) : Progress.resume(before.run.createdAt, before.nodes, waits)
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const view = screen.isLive ? yield* LiveView.make(screen, now, progress) : undefined
    if (view !== undefined) {
      redirectConsole(view.line)
      screen.redirectOutput(view)
      yield* Effect.addFinalizer(() => Effect.sync(() => screen.redirectOutput(undefined)))
    }
    const owner = before?.run.owner ?? null
    if (owner !== null && before !== undefined && owners.isAlive(before.run, now()) && !owners.isMine(owner)) {
      const { pid, host } = owners.placeOf(owner) ?? { pid: undefined, host: undefined }
      const who = pid === undefined ? "Another process" : `Process ${pid} on ${oneLine(host)}`
      const text = `${who} works on run ${oneLine(runId)}. This process follows it, and takes over if that one stops.`
      yield* view === undefined ? screen.log(text) : Effect.sync(() => view.line(text))
    }
    let tree: LiveTree.LiveTree | undefined
    let held: ReadonlyArray<string> = []
    const picture = () => ({ progress, tree, held })
    const readPlan = Effect.gen(function* () {
      const plan = PlanText.decode(yield* storage.plan(runId))
      tree = LiveTree.make(plan, progress)
      held = PlanTree.heldBySiblings(plan)
      view?.update(picture())
    })
    if (view !== undefined && before !== undefined) yield* readPlan
    const write = (text: string) => (view === undefined ? screen.log(text) : Effect.sync(() => view.line(text)))
    let isFirst = true
    const each = Effect.fnUntraced(function* (event: LoggedEvent) {
      const { _tag } = event.event
      seen = event.seq
      if (event.runId !== runId) {
        runId = event.runId
        progress = Progress.begin(event.at)
        tree = undefined
        isFirst = true
      }
      const then = progress
      progress = Progress.apply(_tag === "RunStarted" ? { ...progress, createdAt: event.at } : progress, event)
      tree?.apply(event.event, progress)
      view?.update(picture())
      // Events committed while the workflow loaded change the view and are not printed.
      if (event.at < began) return
      if (isFirst) yield* write(`▶ run ${oneLine(runId)}`)
      isFirst = false
      const line =
        view === undefined
          ? Progress.line(event, progress.createdAt)
          : Progress.outcome(event, { ...then, createdAt: progress.createdAt }, (nodeId) => tree?.nameOf(nodeId) ?? nodeId)
      for (const one of line?.split("\n") ?? []) yield* write(one)
      if (
        view !== undefined &&
        (_tag === "RunStarted" || _tag === "PlanChanged" || _tag === "RunResumed" || _tag === "CodeReloaded")
      )
        yield* readPlan
    })
    const following = Stream.runForEach(handle.eventsAfter(seen), each)
    const fiber = yield* Effect.forkScoped(Effect.catchAll(following, () => Effect.void))
    return Effect.gen(function* () {
      yield* Fiber.interrupt(fiber)
      yield* Effect.ignore(Stream.runForEach(RunLog.follow(storage, runId, { afterSeq: seen, until: Effect.void }), each))
    })
  })
