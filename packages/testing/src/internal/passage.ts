/**
 * Passage of virtual time. Time stands still while anything can happen without it, and while no one waits for a later event; then
 * it jumps to the next sleeper. Code of steps that works in real time, such as a request to a server, is awaited.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Scheduler from "effect/Scheduler"
import * as VirtualClock from "../VirtualClock.ts"

/** Running code of a step. */
interface Body {
  /** Number of its waits for virtual time or for another run. */
  waits: number
}

/** Body of the current fiber. */
const currentBody = globalValue("@smithers/testing/currentBody", () => FiberRef.unsafeMake<Body | undefined>(undefined))

export interface Passage {
  readonly clock: Clock.Clock
  /** Runs fibers, and detects pending ones. */
  readonly scheduler: Scheduler.Scheduler
  readonly now: () => number
  /** Waits for an effect while time passes. Code of a step that waits for another run does not let time pass by itself. */
  readonly letting: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Marks an effect as the code of a step: unless it sleeps, time waits for it. */
  readonly working: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Marks a promise in the same way, until it settles or its attempt is interrupted. */
  readonly workingOn: (promise: PromiseLike<unknown>, signal: AbortSignal) => void
  /** Advances time by milliseconds, one sleeper after the other, whatever happens meanwhile. */
  readonly advance: (ms: number) => Effect.Effect<void>
  /** Runs everything that needs no time. */
  readonly settle: Effect.Effect<void>
  /** Moves to the next sleeper once nothing happens without that; `false` if there is none. */
  readonly step: Effect.Effect<boolean>
  /** Completes when time may pass and nothing can happen any more. */
  readonly stalled: Effect.Effect<void>
  /** Forgets running code, whose process is dead. */
  readonly forget: () => void
}

/** Creates the passage of time from a start time (epoch ms). Idle code is awaited for `patienceMs` of real time. */
export const make = (startAt: number, patienceMs: number): Passage => {
  const virtual = VirtualClock.make(startAt)
  const inner = new Scheduler.MixedScheduler(2048)
  let ready = 0
  let waiters = 0
  let activity = 0
  let jumps = 0
  let isLooking = false
  let patience: ReturnType<typeof setTimeout> | undefined
  const bodies = new Set<Body>()
  const stalls = new Set<() => void>()

  const jump = (): boolean => {
    if (!virtual.jump()) return false
    jumps++
    return true
  }
  const isAtWork = (): boolean => [...bodies].some(({ waits }) => waits === 0)

  const look = (): void => {
    isLooking = false
    if (waiters === 0) return
    if (ready > 0) return touch()
    if (isAtWork()) return wait()
    goOn()
  }
  /** Moves to the next sleeper. */
  const goOn = (): void => {
    if (jump()) return touch()
    for (const stall of [...stalls]) stall()
  }
  /** Records activity. Time can continue only after it. */
  const touch = (): void => {
    activity++
    if (isLooking || waiters === 0) return
    isLooking = true
    setImmediate(look)
  }
  /** Waits in real time for running code, as long as it is active, and for a while longer. */
  const wait = (): void => {
    if (patience !== undefined) return
    const seen = activity
    patience = setTimeout(() => {
      patience = undefined
      if (waiters === 0) return
      if (activity !== seen || ready > 0 || !isAtWork()) return touch()
      goOn()
    }, patienceMs)
  }

  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) => inner.shouldYield(fiber),
    scheduleTask: (task, priority) => {
      ready++
      touch()
      inner.scheduleTask(() => {
        ready--
        task()
      }, priority)
    },
  }

  /** Counts an effect among the waits of the current body; without one, runs `otherwise`. */
  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>, otherwise: { readonly begin: () => void; readonly end: () => void }) =>
    Effect.flatMap(FiberRef.get(currentBody), (body) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          if (body === undefined) otherwise.begin()
          else body.waits++
          touch()
        }),
        () => effect,
        () =>
          Effect.sync(() => {
            if (body === undefined) otherwise.end()
            else body.waits--
            touch()
          }),
      ),
    )
  const noop = { begin: () => {}, end: () => {} }

  const settle: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(
      VirtualClock.rest,
      Effect.suspend(() => (ready > 0 ? settle : Effect.void)),
    ),
  )

  return {
    clock: { ...virtual.clock, sleep: (duration) => counted(virtual.clock.sleep(duration), noop) },
    scheduler,
    now: virtual.clock.unsafeCurrentTimeMillis,
    letting: (effect) =>
      counted(effect, {
        begin: () => {
          waiters++
        },
        end: () => {
          waiters--
        },
      }),
    working: (effect) =>
      Effect.suspend(() => {
        const body: Body = { waits: 0 }
        bodies.add(body)
        const over = Effect.sync(() => {
          bodies.delete(body)
          touch()
        })
        return Effect.ensuring(Effect.locally(effect, currentBody, body), over)
      }),
    workingOn: (promise, signal) => {
      const body: Body = { waits: 0 }
      bodies.add(body)
      const end = (): void => {
        bodies.delete(body)
        touch()
      }
      signal.addEventListener("abort", end)
      promise.then(end, end)
    },
    advance: (ms) =>
      Effect.gen(function* () {
        const until = virtual.clock.unsafeCurrentTimeMillis() + ms
        for (;;) {
          yield* settle
          const next = virtual.next()
          if (next === undefined || next > until) break
          jump()
        }
        virtual.moveTo(until)
        touch()
      }),
    settle,
    step: Effect.suspend(() => {
      const before = jumps
      const jumped = Effect.sync(() => jump() || jumps > before)
      return Effect.zipRight(settle, Effect.zipLeft(jumped, settle))
    }),
    stalled: Effect.async((resume) => {
      const stall = (): void => {
        stalls.delete(stall)
        resume(Effect.void)
      }
      stalls.add(stall)
      touch()
      return Effect.sync(() => stalls.delete(stall))
    }),
    forget: () => bodies.clear(),
  }
}

/** Converts a duration to whole milliseconds. */
export const millis = (duration: Duration.DurationInput): number => Math.ceil(Duration.toMillis(duration))
