/**
 * Bounds on what ignores its abort. An attempt that is interrupted waits for its agent to end, so that the agent's cleanup does not
 * overlap with later work, but no longer than the grace period. The same holds for a tool whose call is aborted.
 *
 * Timers are of the platform, since promises do not stop with a test clock.
 */
import type { ToolSet } from "ai"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Default grace period of an attempt, in milliseconds: that of the engine. */
export const attemptMs = 5000

/** Grace period of a tool, in milliseconds: enough to end its processes. */
const toolMs = 1000

/** Waits until something has ended, but no longer than the grace period. */
const ended = (subscribe: (end: () => void) => void, graceMs: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), graceMs)
    subscribe(() => {
      clearTimeout(timer)
      resume(Effect.void)
    })
  })

/**
 * The outcome of a promise. Aborting `signal` interrupts it, once the promise has settled or the grace period has passed. An
 * interruption without an abort does not wait.
 */
export const ofPromise = (promised: PromiseLike<unknown>, signal: AbortSignal, graceMs: number): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const onAbort = (): void => {
      timer = setTimeout(() => resume(Effect.interrupt), graceMs)
    }
    const settle = (outcome: Effect.Effect<unknown, unknown>): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
      resume(outcome)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener("abort", onAbort, { once: true })
    promised.then(
      (value) => settle(Effect.succeed(value)),
      (reason: unknown) => settle(Effect.fail(reason)),
    )
    return Effect.suspend(() => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
      if (!signal.aborted) return Effect.void
      return ended((end) => void promised.then(end, end), graceMs)
    })
  })

/** Runs an Effect whose interruption takes no longer than the grace period, also if it cannot be interrupted. */
export const ofEffect = <A, E, R>(effect: Effect.Effect<A, E, R>, graceMs: number): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
        Effect.zipRight(
          Fiber.interruptFork(fiber),
          ended((end) => fiber.addObserver(end), graceMs),
        ),
      ),
    ),
  )

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

/** A promise that rejects a grace period after its signal is aborted, if it has not settled by then. */
const raced = (promised: PromiseLike<unknown>, signal: AbortSignal, tool: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const give = (): void =>
      reject(new Error(`Tool "${tool}" was stopped and goes on regardless: its outcome is not known.`, { cause: signal.reason }))
    const onAbort = (): void => {
      timer = setTimeout(give, toolMs)
    }
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener("abort", onAbort)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener("abort", onAbort, { once: true })
    promised.then(resolve, reject)
    promised.then(settle, settle)
  })

/** Tools whose calls end a grace period after they are aborted, however deaf they are: the AI SDK waits for them. */
export const ofTools = (tools: ToolSet): ToolSet =>
  Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => {
      const { execute } = tool
      if (execute === undefined) return [name, tool]
      const bounded: typeof execute = (input, options) => {
        const returned: unknown = execute.call(tool, input, options)
        return isThenable(returned) && options.abortSignal !== undefined ? raced(returned, options.abortSignal, name) : returned
      }
      // With its getters and its rules, which stand under a symbol.
      const execution = { value: bounded, enumerable: true, configurable: true, writable: true }
      return [name, Object.create(Object.getPrototypeOf(tool), { ...Object.getOwnPropertyDescriptors(tool), execute: execution })]
    }),
  )
