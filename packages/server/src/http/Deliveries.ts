/**
 * Deliveries to webhooks, loaded with the first one. The delivery is stored with the runs that it went to before they get it, so that a
 * repeated one reaches the same runs and no others.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import * as Commands from "@smithers/core/Commands"
import { Memory } from "@smithers/core/Memory"
import { RunReader } from "@smithers/core/RunReader"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { failureOf } from "./Failures.ts"
import { refuse } from "./Guard.ts"
import { type Hook, type Name, pathOf } from "./Hooks.ts"

/** Most seconds between the time of a signature and now. */
export const windowSeconds = 300

/** Time for which deliveries are known, in milliseconds: longer than services repeat one. */
const keptMs = 7 * 86_400_000

/** Signs a delivery, as its sender does. */
export const sign = (secret: string, id: string, timestamp: number, body: string): string =>
  `v1,${createHmac("sha256", Buffer.from(secret.replace(/^whsec_/, ""), "base64"))
    .update(`${id}.${timestamp}.${body}`)
    .digest("base64")}`

const isSigned = (secret: string, id: string, timestamp: number, body: string, signatures: string): boolean => {
  const wanted = createHash("sha256")
    .update(sign(secret, id, timestamp, body))
    .digest()
  // Several while a secret is changed. Hashes have one length.
  const given = signatures.split(" ").slice(0, 10)
  return given.filter((one) => timingSafeEqual(createHash("sha256").update(one).digest(), wanted)).length > 0
}

const Delivery = Schema.Struct({ digest: Schema.String, runs: Schema.Array(Schema.String) })

/** Handles deliveries to `/hooks/<workflow>/<signal>` and, for events, to `/hooks/<event>`. */
export const make = (storage: StorageShape, hooks: () => ReadonlyArray<Hook>): ((request: Request) => Promise<Response>) => {
  const unsigned = refuse(
    401,
    "BadSignature",
    "The delivery is not signed by the secret of a hook on this path, or not within the last five minutes. Headers: webhook-id, webhook-timestamp, webhook-signature.",
  )
  const deliver = ({ workflow, signal }: Name, id: string, body: string, query: URLSearchParams) =>
    Effect.gen(function* () {
      if (workflow === null) {
        const correlation = query.get("correlation")
        const { takenBy, keptUntil } = yield* Commands.publish(signal, {
          id: `hook ${signal} ${id}`,
          ...(correlation === null ? {} : { correlation }),
          ...(body === "" ? {} : { payload: JSON.parse(body) as unknown }),
        })
        return Response.json({ runs: takenBy.map(({ runId }) => runId), keptUntil })
      }
      const [reader, memory, at] = [yield* RunReader, yield* Memory, yield* Clock.currentTimeMillis]
      const payload = body === "" ? undefined : (JSON.parse(body) as unknown)
      const [runId, correlation] = [query.get("run") ?? undefined, query.get("correlation") ?? undefined]
      const digest = createHash("sha256")
        .update(JSON.stringify([body, runId, correlation]))
        .digest("hex")
      const namespace = `hook ${createHash("sha256")
        .update(JSON.stringify([workflow, signal]))
        .digest("hex")
        .slice(0, 32)}`
      const [known] = yield* memory.facts({ namespace, keys: [id], now: at, limit: 1 })
      const before = known === undefined ? undefined : Schema.decodeUnknownSync(Delivery)(known.value)
      if (before !== undefined && before.digest !== digest)
        return refuse(409, "DeliveryTaken", `Another delivery has the id "${id}". Nothing was sent.`)
      const waiting = Effect.map(reader.waits({ kind: ["signal"], isAnswered: false, limit: Number.MAX_SAFE_INTEGER }), (waits) =>
        waits
          .filter((wait) => wait.workflow === workflow && wait.name === signal && (wait.correlation ?? undefined) === correlation)
          .map((wait) => wait.runId),
      )
      const found = before?.runs ?? (runId === undefined ? [...new Set(yield* waiting)] : [runId])
      if (found.length === 0)
        return refuse(404, "NoReceiver", `No run of ${workflow} waits for "${signal}" with this correlation. Send it again later.`)
      if (before === undefined && runId !== undefined && (yield* reader.run(runId)).run.workflow !== workflow)
        return refuse(404, "NoReceiver", `Run "${runId}" is not one of ${workflow}.`)
      if (before === undefined) yield* memory.putFact({ namespace, key: id, value: { digest, runs: found }, ttlMs: keptMs, at })
      for (const each of found)
        yield* Effect.catchIf(
          Commands.signal(each, signal, { id: `hook ${id}`, ...(correlation === undefined ? {} : { correlation }), payload }),
          // It has taken the delivery before, or needs it no more.
          ({ _tag }) => before !== undefined && (_tag === "RunEnded" || _tag === "RunNotFound"),
          () => Effect.void,
        )
      return Response.json({ runs: found })
    }).pipe(
      Effect.catchAll((error) => {
        const { error: body, _tag } = failureOf(error)
        const statuses = { BadRequest: 400, Refused: 403, NotFound: 404, Conflict: 409, Unavailable: 503 } as const
        return Effect.succeed(Response.json({ error: body }, { status: statuses[_tag] }))
      }),
      Effect.provide(ports(storage)),
    )
  return async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    const hook = hooks().find((hook) => pathOf(hook) === pathname)
    const id = request.headers.get("webhook-id") ?? ""
    const timestamp = Number(request.headers.get("webhook-timestamp") ?? Number.NaN)
    const signatures = request.headers.get("webhook-signature") ?? ""
    const body = await request.text()
    const now = await Effect.runPromise(Clock.currentTimeMillis)
    const isTimely = Number.isSafeInteger(timestamp) && Math.abs(now / 1000 - timestamp) <= windowSeconds
    if (hook === undefined || !/^[\w.:-]{1,200}$/.test(id) || !isTimely) return unsigned.clone()
    if (!isSigned(hook.secret, id, timestamp, body, signatures)) return unsigned.clone()
    const fields = hook.workflow === null ? ["correlation"] : ["run", "correlation"]
    if ([...searchParams.keys()].some((name) => !fields.includes(name)))
      return refuse(400, "InvalidRequest", `A delivery to this path has only the fields ${fields.join(" and ")}.`)
    try {
      JSON.parse(body === "" ? "{}" : body)
    } catch {
      return refuse(400, "InvalidRequest", "The payload is no JSON.")
    }
    return Effect.runPromise(deliver(hook, id, body, searchParams))
  }
}
