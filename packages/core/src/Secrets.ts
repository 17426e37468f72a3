/**
 * The secrets of this process, and the one `Redactor` of them. All that the runtime stores, logs, traces, prints or tells a model
 * passes it. `SecretSettings` tells where secrets come from. A secret is known until the process ends.
 */
import { globalValue } from "effect/GlobalValue"
import * as Redacted from "effect/Redacted"
import * as Redactor from "./Redactor.ts"

/** Shared by all copies of this module, so that a secret which one of them knows is known to all. */
const registry = globalValue("@smithers/core/Secrets", () => ({
  names: new Map<string, string>(),
  redactor: Redactor.none,
  isStale: false,
}))

/** The redactor of all secrets that are known now. */
export const redactor = (): Redactor.Redactor => {
  if (registry.isStale) {
    registry.redactor = Redactor.make(Array.from(registry.names, ([value, name]) => ({ name, value })))
    registry.isStale = false
  }
  return registry.redactor
}

/** Replaces the secrets in a text. */
export const text = (value: string): string => redactor().text(value)

/** Replaces the secrets in the texts and keys of arrays and plain objects. The same value where there are none. */
export const value = <A>(value: A): A => redactor().value(value)

/** A stream that knows secrets which are registered while it is open, too. */
export const stream = (): Redactor.Stream => {
  let [known, inner] = [redactor(), redactor().stream()]
  return {
    push: (chunk) => {
      if (known === redactor()) return inner.push(chunk)
      const held = inner.end()
      known = redactor()
      inner = known.stream()
      return inner.push(held + chunk)
    },
    end: () => inner.end(),
  }
}

/** Describes the secret in a value, to complete "the output …"; `undefined` if there is none. */
export const problemIn = (value: unknown): { readonly secret: Redactor.Found; readonly problem: string } | undefined => {
  const secret = redactor().find(value)
  return secret && { secret, problem: sentenceOf(secret) }
}

const sentenceOf = ({ name, path }: Redactor.Found): string =>
  `${path === "" ? "it" : path} holds the secret ${name}, which is never stored: give its name instead, and read its value where it is used`

/** Adds a secret. Returns the reason for which it is refused, if it is {@link Redactor.weakness weak}. */
export const add = (name: string, secret: string | Redacted.Redacted<string>): string | undefined => {
  const plain = Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  const weakness = Redactor.weakness(plain)
  if (weakness !== undefined || registry.names.has(plain)) return weakness
  registry.names.set(plain, name)
  registry.isStale = true
  return undefined
}
