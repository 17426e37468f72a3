/**
 * The passage of virtual time. Time stands still while anything can happen without it, and while nobody waits for what comes later: then it
 * goes on to the next sleeper at once. Code of steps that works in real time, such as a request to a server, is waited for.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Scheduler from "effect/Scheduler"
import * as VirtualClock from "../VirtualClock.ts"

/** The code of a step that is at work. */
interface Body {
  /** What of it waits for virtual time, or for another run. */
  waits: number
}

/** The body that a fiber is of. */
const currentBody = globalValue("@smithers/testing/currentBody", () => FiberRef.unsafeMake<Body | undefined>(undefined))

export interface Passage {
  readonly clock: Clock.Clock
  /** Runs fibers, and knows whether any of them is about to go on. */
  readonly scheduler: Scheduler.Scheduler
  readonly now: () => number
  /** Waits for something while time goes on. Code of a step waits so for another run, and does not let time pass by itself. */
  readonly letting: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Marks an effect as the code of a step: unless it sleeps, time waits for it. */
  readonly working: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same for a promise, until it ends or its attempt is interrupted. */
  readonly workingOn: (promise: PromiseLike<unknown>, signal: AbortSignal) => void
  /** Lets so much time pass, one sleeper after the other, whatever goes on meanwhile (ms). */
  readonly advance: (ms: number) => Effect.Effect<void>
  /** Lets everything happen that needs no time. */
  readonly settle: Effect.Effect<void>
  /** Goes on to whoever sleeps next, once nothing more happens without that; `false` where nobody does. */
  readonly step: Effect.Effect<boolean>
  /** Completes when somebody lets time pass, and nothing can happen any more however much of it does. */
  readonly stalled: Effect.Effect<void>
  /** Forgets the code that is at work: its process is dead. */
  readonly forget: () => void
}

/** Makes the passage of time from a moment (epoch ms). For `patienceMs` of real time code is waited for in which nothing happens. */
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
  /** Goes on to whoever sleeps next. */
  const goOn = (): void => {
    if (jump()) return touch()
    for (const stall of [...stalls]) stall()
  }
  /** Something happens: whether time can go on shows once it is over. */
  const touch = (): void => {
    activity++
    if (isLooking || waiters === 0) return
    isLooking = true
    setImmediate(look)
  }
  /** Gives real time to code that works in it, as long as anything happens and for a while longer. */
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

  /** Counts something among the waits of the body that the fiber is of; otherwise does what else is to be done. */
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
  const nothing = { begin: () => {}, end: () => {} }

  const settle: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(
      VirtualClock.rest,
      Effect.suspend(() => (ready > 0 ? settle : Effect.void)),
    ),
  )

  return {
    clock: { ...virtual.clock, sleep: (duration) => counted(virtual.clock.sleep(duration), nothing) },
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

/** Whole milliseconds of a duration. */
export const millis = (duration: Duration.DurationInput): number => Math.ceil(Duration.toMillis(duration))
