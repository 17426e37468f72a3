/**
 * Where the secrets of a process come from:
 *
 * - variables of the environment that hold keys of providers ({@link providerVariables});
 * - variables that `SMITHERS_SECRETS` lists, and those that the setting `secrets` of a runtime names;
 * - values that are registered: {@link secret}, or the setting `secrets`.
 *
 * They are read when a store is opened. A value that is short or common is refused with a warning that names it.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { InvalidSetting } from "./Errors.ts"
import * as Millis from "./Millis.ts"
import { add } from "./Secrets.ts"
import * as Thrown from "./Thrown.ts"

/** Variables of the environment that are secrets by default, where they are set: keys of providers, and tokens of their tools. */
export const providerVariables: ReadonlyArray<string> = [
  "AI_GATEWAY_API_KEY",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "AWS_BEARER_TOKEN_BEDROCK",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AZURE_API_KEY",
  "AZURE_OPENAI_API_KEY",
  "CEREBRAS_API_KEY",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CODEX_API_KEY",
  "COHERE_API_KEY",
  "CURSOR_API_KEY",
  "DEEPSEEK_API_KEY",
  "FIREWORKS_API_KEY",
  "GEMINI_API_KEY",
  "GH_TOKEN",
  "GITHUB_TOKEN",
  "GOOGLE_API_KEY",
  "GOOGLE_GENERATIVE_AI_API_KEY",
  "GROQ_API_KEY",
  "HF_TOKEN",
  "MISTRAL_API_KEY",
  "NPM_TOKEN",
  "OPENAI_API_KEY",
  "OPENROUTER_API_KEY",
  "PERPLEXITY_API_KEY",
  "REPLICATE_API_TOKEN",
  "TOGETHER_API_KEY",
  "XAI_API_KEY",
]

/** The variable that lists names of further variables, separated by commas or spaces. */
export const listVariable = "SMITHERS_SECRETS"

type Environment = { readonly [name: string]: string | undefined }

const environment = (): Environment => {
  const found = Thrown.get(Thrown.get(globalThis, "process"), "env")
  return typeof found === "object" && found !== null ? (found as Environment) : {}
}

/** A secret that is not protected, and the reason. */
export interface Refused {
  readonly name: string
  readonly reason: string
}

/** Adds the values of variables. Returns those that are refused; with `isNamed`, also those that are not set. */
const addVariables = (names: ReadonlyArray<string>, isNamed: boolean): ReadonlyArray<Refused> => {
  const variables = environment()
  return names.flatMap((name) => {
    const found = variables[name]
    const reason = found === undefined || found === "" ? (isNamed ? "is not set" : undefined) : add(name, found)
    return reason === undefined ? [] : [{ name, reason }]
  })
}

/** Adds what the environment holds: the keys of providers, and what `SMITHERS_SECRETS` lists. Returns what is refused of the list. */
export const addEnvironment = (): ReadonlyArray<Refused> => {
  addVariables(providerVariables, false)
  const listed =
    environment()
      [listVariable]?.split(/[\s,]+/)
      .filter((name) => name !== "") ?? []
  return addVariables(listed, true)
}

/** Names of variables, or values by names. */
export type Settings = ReadonlyArray<string> | { readonly [name: string]: string | Redacted.Redacted<string> }

/** Adds what a setting names. Returns what is refused. */
export const addSettings = (value: unknown): Either.Either<ReadonlyArray<Refused>, InvalidSetting> => {
  const wrong = (setting: string, received: unknown) =>
    Either.left(
      new InvalidSetting({
        setting,
        received: Redacted.isRedacted(received) || typeof received === "string" ? "a value" : Millis.show(received),
        expected: 'names of variables, such as ["STRIPE_KEY"], or values by name, such as { STRIPE_KEY: Redacted.make(…) }',
      }),
    )
  if (value === undefined) return Either.right([])
  if (Array.isArray(value)) {
    const bad = value.findIndex((name) => typeof name !== "string" || name === "")
    return bad >= 0 ? wrong(`secrets.${bad}`, value[bad]) : Either.right(addVariables(value, true))
  }
  if (typeof value !== "object" || value === null || Redacted.isRedacted(value)) return wrong("secrets", value)
  const refused: Array<Refused> = []
  for (const [name, one] of Object.entries(value)) {
    const plain: unknown = Redacted.isRedacted(one) ? Redacted.value(one) : one
    if (typeof plain !== "string") return wrong(`secrets.${name}`, one)
    const reason = add(name, plain)
    if (reason !== undefined) refused.push({ name, reason })
  }
  return Either.right(refused)
}

/** Ends of names of variables that hold secrets. */
const secretName = /(^|[_-])(key|token|secret|password|passwd|passphrase|credentials?|auth|authorization)$/i

/** Adds the values of a program's variables, or of headers, whose names say that they are secrets. Weak values are left out. */
export const addNamed = (variables: { readonly [name: string]: string | undefined } | undefined): void => {
  for (const [name, value] of Object.entries(variables ?? {}))
    if (typeof value === "string" && secretName.test(name)) add(name, value.replace(/^(bearer|basic|token) +/i, ""))
}

/** Adds each `Redacted` text in what a `Config` gives. */
const addRedacted = (name: string, value: unknown): void => {
  if (Redacted.isRedacted(value)) {
    const plain: unknown = Redacted.value(value)
    if (typeof plain === "string") add(name, plain)
  } else if (Option.isOption(value)) Option.map(value, (inner) => addRedacted(name, inner))
  else if (Array.isArray(value)) for (const inner of value) addRedacted(name, inner)
  else if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    for (const [field, inner] of Object.entries(value)) addRedacted(field, inner)
}

/** The name of a `Config` of one variable. */
const nameOf = (config: unknown): string => {
  const name = Thrown.get(Thrown.get(config, "original"), "name") ?? Thrown.get(config, "name")
  return typeof name === "string" ? name : "a redacted setting"
}

const providers = new WeakMap<object, ConfigProvider.ConfigProvider>()

/** The same settings, of which each `Config.redacted` is a secret from when it is read. */
const noticed = (provider: ConfigProvider.ConfigProvider): ConfigProvider.ConfigProvider => {
  const known = providers.get(provider)
  if (known !== undefined) return known
  const made = ConfigProvider.make({
    load: (config) => Effect.tap(provider.load(config), (value) => Effect.sync(() => addRedacted(nameOf(config), value))),
    flattened: provider.flattened,
  })
  providers.set(provider, made)
  providers.set(made, made)
  return made
}

/** The same as {@link noticing} for the rest of this fiber, which is cheaper. */
export const notice: Effect.Effect<void> = FiberRef.update(DefaultServices.currentServices, (services) =>
  Context.add(services, ConfigProvider.ConfigProvider, noticed(Context.get(services, ConfigProvider.ConfigProvider))),
)

/** Runs an effect in which the values of `Config.redacted` are secrets from when they are read. */
export const noticing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.configProviderWith((provider) => Effect.withConfigProvider(effect, noticed(provider)))

/**
 * Makes secrets of the values of `Config.redacted` that are read below it: by the services that it is provided to while they are
 * built, and by the rest of a program.
 */
export const layer: Layer.Layer<never> = Layer.unwrapEffect(
  Effect.configProviderWith((provider) => Effect.succeed(Layer.setConfigProvider(noticed(provider)))),
)

/**
 * Makes secrets of the values of `Config.redacted` that anything in this process reads by the default settings, also before a run
 * and outside of Effect programs of ours. Changes the default provider: only for a process that is ours, such as that of the command.
 */
export const noticeDefault = (): void => {
  const provider = Effect.runSync(Effect.configProviderWith(Effect.succeed))
  if (changed.has(provider)) return
  changed.add(provider)
  const { load, flattened } = provider
  const original = ConfigProvider.make({ load: load.bind(provider), flattened })
  Object.assign(provider, { load: noticed(original).load })
}

/** Providers that {@link noticeDefault} has changed. */
const changed = new WeakSet<object>()

/** Warnings that were given, by their text. */
const warned = globalValue("@smithers/core/Secrets/warned", () => new Set<string>())

/** Warns of secrets that are not protected, once each. */
export const warn = (refused: ReadonlyArray<Refused>): Effect.Effect<void> =>
  Effect.forEach(
    refused.map(({ name, reason }) =>
      `The secret ${name} is not protected: its value ${reason}.`.replace("its value is not set", "it is not set"),
    ),
    (line) => {
      if (warned.has(line)) return Effect.void
      warned.add(line)
      return Effect.logWarning(line)
    },
    { discard: true },
  )

/**
 * Registers a value as a secret: from now on its name stands for it in everything that this process stores, logs, traces and prints. Returns the value, to be used like
 * one of `Config.redacted`. A value that is shorter than eight characters or a common word is refused with a warning that names it: replacing it would destroy other texts.
 */
export const secret = (name: string, value: string | Redacted.Redacted<string>): Effect.Effect<Redacted.Redacted<string>> =>
  Effect.suspend(() => {
    const reason = add(name, value)
    const kept = Redacted.isRedacted(value) ? value : Redacted.make(value)
    return Effect.as(reason === undefined ? Effect.void : warn([{ name, reason }]), kept)
  })
