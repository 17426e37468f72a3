/**
 * Runs an Effect synchronously, on the stack of the caller, where nothing may wait.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scheduler from "effect/Scheduler"

/** Runs the tasks that fibers schedule during the call, and leaves later ones to the scheduler of the process. */
class Now extends Scheduler.SyncScheduler {
  /** Runs tasks until there are none, or until `isLate`. */
  flushUntil(isLate: () => boolean): void {
    const { tasks } = this
    while (tasks.buckets.length > 0 && !isLate()) {
      const { buckets } = tasks
      tasks.buckets = []
      for (const [, run] of buckets) for (const task of run) task()
    }
    this.deferred = true
    for (const [priority, run] of tasks.buckets) for (const task of run) this.scheduleTask(task, priority)
    tasks.buckets = []
  }
}

/**
 * Runs an Effect synchronously. If it is not done when no task is left, or when it `isLate`, it is interrupted and has no exit.
 * `isLate` is called every few thousand operations: code that never returns cannot be stopped.
 */
export const runNow = <A, E, R>(
  runtime: Runtime.Runtime<R>,
  effect: Effect.Effect<A, E, R>,
  isLate: () => boolean,
): Exit.Exit<A, E> | undefined => {
  const scheduler = new Now()
  const fiber = Runtime.runFork(runtime, effect, { scheduler, immediate: true })
  scheduler.flushUntil(isLate)
  const exit = fiber.unsafePoll()
  if (exit !== null) return exit
  fiber.unsafeInterruptAsFork(FiberId.none)
  return undefined
}
