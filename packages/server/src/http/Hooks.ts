/**
 * Webhooks: signals that other services send, each signed with the secret of its hook as the Standard Webhooks specification says. The
 * delivery is stored with the runs that it went to before they get it, so that a repeated one reaches the same runs and no others.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import * as Commands from "@smithers/core/Commands"
import { Memory } from "@smithers/core/Memory"
import { RunReader } from "@smithers/core/RunReader"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { failureOf } from "./Failures.ts"
import { refuse } from "./Guard.ts"
import * as OwnFile from "./OwnFile.ts"

/** A signal of a workflow, or, without a workflow, an event that goes to whichever runs wait for it. */
const name = { workflow: Schema.NullOr(Schema.String), signal: Schema.String }

/** The name of a hook, as words of a command and in messages. */
const said = ({ workflow, signal }: Name) =>
  workflow === null
    ? { words: signal, text: `event "${signal}"` }
    : { words: `${workflow} ${signal}`, text: `"${signal}" of ${workflow}` }

/** There is a hook for this signal or event already. */
export class HookExists extends Schema.TaggedError<HookExists>()("HookExists", name) {
  override get message(): string {
    const { words, text } = said(this)
    return `There is a hook for ${text} already. Remove it first for a new secret: smithers hook rm ${words}`
  }
}

/** There is no hook for this signal or event. */
export class NoSuchHook extends Schema.TaggedError<NoSuchHook>()("NoSuchHook", name) {
  override get message(): string {
    return `There is no hook for ${said(this).text}. List them: smithers hook list`
  }
}

/** A hook as its file holds it. */
export const Hook = Schema.Struct({
  ...name,
  createdAt: Schema.Number,
  /** `whsec_` and the key in base64. */
  secret: Schema.String.pipe(Schema.pattern(/^whsec_[A-Za-z0-9+/]{43}=$/)),
})
export interface Hook extends Schema.Schema.Type<typeof Hook> {}

const hooks = OwnFile.list(Hook)

type Name = Pick<Hook, "workflow" | "signal">

const isNamed =
  ({ workflow, signal }: Name) =>
  (hook: Hook): boolean =>
    hook.workflow === workflow && hook.signal === signal

/** Path of a hook on a server. */
export const pathOf = ({ workflow, signal }: Name): string =>
  ["/hooks", ...(workflow === null ? [] : [workflow]), signal]
    .map((part, index) => (index === 0 ? part : encodeURIComponent(part)))
    .join("/")

/** Reads the hooks of a file. */
export const list = (path: string): Effect.Effect<ReadonlyArray<Hook>, OwnFile.UnsafeToken> =>
  OwnFile.attempt(path, () => hooks.read(path))

/** Adds a hook, and completes with its secret. */
export const add = (path: string, hook: Omit<Hook, "secret">): Effect.Effect<string, OwnFile.UnsafeToken | HookExists> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    const { workflow, signal } = hook
    if (known.some(isNamed(hook))) return yield* new HookExists({ workflow, signal })
    const secret = `whsec_${randomBytes(32).toString("base64")}`
    yield* OwnFile.attempt(path, () => hooks.write(path, [...known, { ...hook, secret }]))
    return secret
  })

/** Removes a hook. Servers refuse its deliveries from the next one on. */
export const remove = (path: string, name: Name): Effect.Effect<void, OwnFile.UnsafeToken | NoSuchHook> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    const rest = known.filter((hook) => !isNamed(name)(hook))
    if (rest.length === known.length) return yield* new NoSuchHook(name)
    yield* OwnFile.attempt(path, () => hooks.write(path, rest))
  })

/** Makes the function that returns the hooks of a file now. */
export const current = (path: string): (() => ReadonlyArray<Hook>) => hooks.current(path)

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
