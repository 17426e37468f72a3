/**
 * The slots of limits that the runs of this process hold and wait for. Requests and returns are transactions of the store, made by
 * fibers of the engine, so that whoever asks is not held up. One fiber looks for all that wait.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { SlotError } from "../AgentJournal.ts"
import type { StoreError } from "../Errors.ts"
import type { InboxShape } from "../Inbox.ts"
import type * as Limits from "../Limits.ts"
import * as Millis from "../Millis.ts"
import type { Place, SlotRequest, SlotsShape } from "../Slots.ts"
import * as Jumps from "./jumps.ts"
import { liveClock } from "./liveClock.ts"
import * as Patience from "./patience.ts"
import * as VersionSignal from "./versionSignal.ts"

/** Whose slot it is. */
export type Wanted = Omit<SlotRequest, "now" | "place">

/** A slot, or a place in its queue. */
export interface Ticket {
  readonly queue: Limits.Queue
  /** `waiting` until there is a slot, or a reason why there is none. */
  readonly state: () => "waiting" | "granted" | "refused"
  readonly refusal: () => SlotError | undefined
  /** Gives the slot back, or leaves the queue. `isUsed` is `false` if nothing has begun under it. Returns the place, to return to it. */
  readonly leave: (isUsed: boolean) => number | undefined
  /** Waits no longer, and keeps the place for the next claim of the run. */
  readonly keep: () => void
  /** When it got its place (epoch ms). */
  readonly since: () => number | undefined
}

export interface SlotQueue {
  /** Takes a place in a queue; `place` is the one that it had before. Calls `told` once the state has changed. */
  readonly enter: (wanted: Wanted, told: (ticket: Ticket) => void, place?: number) => Ticket
}

/** Longest time between two looks (ms). Slots of a process that has died come back without a change of the store. */
const lookMs = 1000

interface Waiter {
  readonly place: Place
  readonly grant: () => void
  readonly lose: () => void
}

/** Makes the slots of an engine. */
export const make = (slots: SlotsShape, inbox: Pick<InboxShape, "changes">): Effect.Effect<SlotQueue, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const run = yield* FiberSet.makeRuntime<never>()
    const waiters = new Set<Waiter>()
    const entered = VersionSignal.make()
    let isLooking = false
    const now = (): Millis.Millis => Millis.unsafeNow(clock)
    const patiently = <A, E>(operation: Effect.Effect<A, E | StoreError>) => Patience.retryWhileBusy(operation, () => Effect.void)

    const lookOnce = Effect.gen(function* () {
      const looked = [...waiters]
      const { granted, lost, opensAt } = yield* patiently(
        Effect.suspend(() =>
          slots.pollSlots(
            looked.map(({ place }) => place),
            now(),
          ),
        ),
      )
      const isIn =
        (places: ReadonlyArray<Place>) =>
        ({ place }: Waiter): boolean =>
          places.some((one) => one.name === place.name && one.place === place.place)
      for (const waiter of looked) {
        if (!waiters.has(waiter)) continue
        if (isIn(granted)(waiter)) waiter.grant()
        else if (isIn(lost)(waiter)) waiter.lose()
      }
      return opensAt
    })
    /** Looks for slots as long as anybody waits: at each change, when a window opens, and now and then. */
    const look: Effect.Effect<void> = Effect.gen(function* () {
      let seen = yield* patiently(inbox.changes(-1))
      while (waiters.size > 0) {
        const before = yield* entered.after(-1)
        const opensAt = yield* lookOnce
        if (waiters.size === 0) return
        const at = Math.min(opensAt ?? Number.POSITIVE_INFINITY, clock === liveClock ? now() + lookMs : Number.POSITIVE_INFINITY)
        const news = Effect.map(patiently(inbox.changes(seen)), (version) => {
          seen = version
        })
        const due = Number.isFinite(at) ? Jumps.pauseUntil(at) : Effect.never
        yield* Effect.raceAll([news, due, Effect.asVoid(entered.after(before))])
      }
    }).pipe(
      Effect.catchAllCause((cause) =>
        Effect.zipRight(Effect.logWarning("the slots of limits could not be read", cause), Effect.sleep(lookMs)),
      ),
      Effect.repeat({ while: () => waiters.size > 0 }),
      Effect.ensuring(
        Effect.sync(() => {
          isLooking = false
          if (waiters.size > 0) startLooking()
        }),
      ),
    )
    const startLooking = (): void => {
      if (isLooking) return
      isLooking = true
      run(look)
    }
    const wait = (waiter: Waiter): void => {
      waiters.add(waiter)
      entered.bump()
      startLooking()
    }

    const enter: SlotQueue["enter"] = (wanted, told, before) => {
      let state: "waiting" | "granted" | "refused" = "waiting"
      let refusal: SlotError | undefined
      let place = before
      let since: number | undefined
      let hasLeft = false
      let isKept = false
      let waiter: Waiter | undefined
      const settle = (next: "granted" | "refused"): void => {
        if (waiter !== undefined) waiters.delete(waiter)
        state = next
        told(ticket)
      }
      const give = (isUsed: boolean) =>
        place === undefined
          ? Effect.void
          : patiently(
              Effect.suspend(() =>
                slots.leaveSlots([{ name: wanted.name, place: place as number, epoch: wanted.epoch }], isUsed, now()),
              ),
            ).pipe(
              // It lapses with the claim of its run.
              Effect.catchAll((error) => Effect.logDebug("a slot could not be given back", error)),
            )
      const request = (again: number | undefined): Effect.Effect<void> =>
        patiently(
          Effect.suspend(() => slots.requestSlot({ ...wanted, now: now(), ...(again === undefined ? {} : { place: again }) })),
        ).pipe(
          Effect.matchEffect({
            onSuccess: ({ place: received, isGranted }) => {
              place = received
              since ??= now()
              if (isKept) return Effect.void
              if (hasLeft) return give(false)
              if (isGranted) return Effect.sync(() => settle("granted"))
              waiter = {
                place: { name: wanted.name, place: received },
                grant: () => settle("granted"),
                lose: () => {
                  if (waiter !== undefined) waiters.delete(waiter)
                  run(request(received))
                },
              }
              return Effect.sync(() => waiter !== undefined && wait(waiter))
            },
            onFailure: (error) =>
              Effect.sync(() => {
                // The driver hears itself that its claim is lost.
                if (hasLeft || isKept || error._tag === "RunFenced") return
                refusal = error
                settle("refused")
              }),
          }),
        )
      const ticket: Ticket = {
        queue: { name: wanted.name, key: wanted.key },
        state: () => state,
        refusal: () => refusal,
        since: () => since,
        keep: () => {
          isKept = true
          if (waiter !== undefined) waiters.delete(waiter)
        },
        leave: (isUsed) => {
          if (hasLeft || isKept) return place
          hasLeft = true
          if (waiter !== undefined) waiters.delete(waiter)
          if (place !== undefined) run(give(isUsed))
          return place
        },
      }
      run(request(before))
      return ticket
    }
    return { enter }
  })
