/**
 * Renewal of the claims of the runs that this process drives.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Millis from "../Millis.ts"
import type { RunOwnershipShape } from "../RunOwnership.ts"
import type { Active } from "./active.ts"
import * as Jumps from "./jumps.ts"

/** Renews leases until the scope closes. Fences runs that another process has claimed; if the store is gone, notifies all. */
export const renewing = (
  ownership: Pick<RunOwnershipShape, "renew">,
  actives: ReadonlyMap<string, Active>,
  leaseMs: Millis.Millis,
): Effect.Effect<unknown, never, Scope.Scope> => {
  // A lease without an end is not renewed.
  if (leaseMs === Millis.longest) return Effect.void
  const renew = Effect.gen(function* () {
    const claims = [...actives].flatMap(([runId, { control }]) =>
      control.epoch === undefined ? [] : [{ runId, epoch: control.epoch }],
    )
    if (claims.length === 0) return
    const now = yield* Millis.now
    for (const runId of yield* ownership.renew(claims, Millis.after(now, leaseMs))) actives.get(runId)?.control.fence()
  })
  return renew.pipe(
    Effect.catchTag("StoreRemoved", (error) =>
      Effect.sync(() => {
        for (const { control } of actives.values()) control.lose(error)
      }),
    ),
    Effect.catchAllCause((cause) => Effect.logWarning("leases could not be renewed", cause)),
    // After a jump of the clock leases may have ended for others, so they are renewed at once.
    Effect.zipLeft(Jumps.pause(leaseMs / 3)),
    Effect.forever,
    Effect.forkScoped,
  )
}
