/**
 * The hooks of a server: signals and events that other services send, each signed with the secret of its hook as the Standard Webhooks
 * specification says.
 */

import { randomBytes } from "node:crypto"
import * as Later from "@smithers/core/Later"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as OwnFile from "./OwnFile.ts"

/** A signal of a workflow, or, without a workflow, an event that goes to whichever runs wait for it. */
const name = { workflow: Schema.NullOr(Schema.String), signal: Schema.String }

/** The name of a hook, as words of a command and in messages. */
const said = ({ workflow, signal }: Name) =>
  workflow === null
    ? { words: signal, text: `event "${signal}"` }
    : { words: `${workflow} ${signal}`, text: `"${signal}" of ${workflow}` }

/** There is a hook for this signal or event already. */
export class HookExists extends Later.TaggedError<HookExists>()("HookExists", name) {
  override get message(): string {
    const { words, text } = said(this)
    return `There is a hook for ${text} already. Remove it first for a new secret: smithers hook rm ${words}`
  }
}

/** There is no hook for this signal or event. */
export class NoSuchHook extends Later.TaggedError<NoSuchHook>()("NoSuchHook", name) {
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

export type Name = Pick<Hook, "workflow" | "signal">

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
