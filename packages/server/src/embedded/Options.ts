/**
 * Options of the server in a program of its users, and their check.
 */
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Secrets from "@smithers/core/Secrets"
import * as Settings from "@smithers/core/Settings"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type Bounds, bounds as usual } from "../http/Guard.ts"
import { Hook } from "../http/Hooks.ts"
import { hashOf, type Token } from "../http/Tokens.ts"
import { type CallerShape, scopes } from "../operations/Caller.ts"
import type { Value } from "./Values.ts"

/** A token, and whom it stands for. */
export interface TokenOptions extends CallerShape {
  /** At least 20 characters of `A-Z a-z 0-9 _ -`. */
  readonly token: string | Redacted.Redacted<string>
}

/** A hook: the signal of a workflow, or with `workflow: null` an event, and the secret that deliveries are signed with. */
export interface HookOptions extends Omit<Hook, "createdAt"> {}

/** Options of the server. */
export interface ServerOptions<out W extends Value<unknown> = Value<never>> {
  /** Workflows that can be started and resumed. Runs of others are shown. */
  readonly workflows: ReadonlyArray<W>
  /** Tokens that are let in, each with a name of its own. */
  readonly tokens: ReadonlyArray<TokenOptions>
  /** Names of hosts that the server answers for, without ports, beside those of this machine. Default: none. */
  readonly allowHosts?: ReadonlyArray<string>
  /** Path before all paths, such as `"/smithers"`. Default: none. */
  readonly prefix?: string
  /** `true` also serves the page on all paths that are not of the program. Not with a prefix. Default: false. */
  readonly page?: boolean
  /** Hooks by which other services send signals and events. Default: none. */
  readonly hooks?: ReadonlyArray<HookOptions>
  /** Bounds of requests. Default: those of `smithers serve`. */
  readonly bounds?: Partial<Bounds>
}

const names: Settings.Names<ServerOptions> = {
  workflows: true,
  tokens: true,
  allowHosts: true,
  prefix: true,
  page: true,
  hooks: true,
  bounds: true,
}

const invalid = (setting: string, received: unknown, expected: string): InvalidSetting =>
  new InvalidSetting({ setting, received: Millis.show(received), expected })

const isObject = (value: unknown): value is { readonly [name: string]: unknown } => typeof value === "object" && value !== null

const workflowsOf = (workflows: ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    if (!Array.isArray(workflows)) return yield* invalid("workflows", workflows, "a list of workflows")
    for (const [index, workflow] of workflows.entries()) {
      const isWorkflow = isObject(workflow) && isObject(workflow.definition) && typeof workflow.start === "function"
      if (!isWorkflow) return yield* invalid(`workflows.${index}`, workflow, "a workflow")
      if (workflows.findIndex((other) => other.name === workflow.name) !== index)
        return yield* invalid(`workflows.${index}`, workflow.name, "a workflow whose name no other one has")
    }
  })

/** Reads tokens. Names are who has decided something. Their values are in no log afterwards. */
const tokensOf = (tokens: ReadonlyArray<TokenOptions>): Effect.Effect<ReadonlyArray<Token>, InvalidSetting> =>
  Effect.gen(function* () {
    if (!Array.isArray(tokens) || tokens.length === 0) return yield* invalid("tokens", tokens, "a list of at least one token")
    const read: Array<Token> = []
    for (const [index, given] of tokens.entries()) {
      const of = `tokens.${index}`
      if (!isObject(given)) return yield* invalid(of, given, "name, scope and token")
      const { name, scope, runId, token, ...others } = given
      const other = Object.keys(others)[0]
      if (other !== undefined)
        return yield* invalid(`${of}.${other}`, "there", "left out: a token has name, scope, runId and token")
      const isNamed = typeof name === "string" && name.trim() !== "" && !read.some((one) => one.name === name)
      if (!isNamed) return yield* invalid(`${of}.name`, name, "a name that no other token has")
      const granted = scopes.find((one) => one === scope)
      if (granted === undefined) return yield* invalid(`${of}.scope`, scope, scopes.join(" or "))
      if (runId !== undefined && typeof runId !== "string") return yield* invalid(`${of}.runId`, runId, "the id of a run")
      const plain: unknown = Redacted.isRedacted(token) ? Redacted.value(token) : token
      if (typeof plain !== "string" || !/^[\w-]{20,200}$/.test(plain))
        return yield* invalid(`${of}.token`, undefined, "20 to 200 characters of A-Z a-z 0-9 _ -")
      Secrets.add("SMITHERS_TOKEN", plain)
      read.push({ name, scope: granted, hash: hashOf(plain), ...(runId === undefined ? {} : { runId }) })
    }
    return read
  })

const boundsOf = (bounds: Partial<Bounds> = {}) =>
  Effect.gen(function* () {
    if (!isObject(bounds) || Array.isArray(bounds)) return yield* invalid("bounds", bounds, "an object of bounds")
    for (const [name, value] of Object.entries(bounds)) {
      if (!Object.hasOwn(usual, name))
        return yield* invalid(`bounds.${name}`, value, `left out: the bounds are ${Object.keys(usual).join(", ")}`)
      yield* Settings.count(`bounds.${name}`, value, usual[name as keyof Bounds])
    }
    return { ...usual, ...bounds }
  })

const Hooks = Schema.Array(Hook.omit("createdAt"))

const hooksOf = (hooks: ReadonlyArray<HookOptions> = []): Effect.Effect<ReadonlyArray<Hook>, InvalidSetting> =>
  Effect.mapBoth(Schema.decodeUnknown(Hooks)(hooks), {
    // The error would hold the secrets.
    onFailure: () =>
      new InvalidSetting({
        ...{ setting: "hooks", received: "another value" },
        expected: 'a list of workflow, signal and secret, which is "whsec_" and 32 bytes in base64',
      }),
    onSuccess: (list) => list.map((hook) => ({ ...hook, createdAt: 0 })),
  })

/** Reads the options. Fails with `InvalidSetting` for the first that is invalid or unknown. */
export const read = (options: ServerOptions<Value<unknown>>) =>
  Effect.gen(function* () {
    yield* Settings.only("Server", options, names)
    yield* workflowsOf(options.workflows)
    const prefix = (yield* Settings.text("prefix", options.prefix)) ?? ""
    if (!/^(\/[\w.~-]+)*$/.test(prefix)) return yield* invalid("prefix", prefix, 'a path such as "/smithers"')
    const hasPage = yield* Settings.flag("page", options.page, false)
    if (hasPage && prefix !== "")
      return yield* invalid("page", true, "left out where there is a prefix: the page stands at the root")
    return {
      ...{ prefix, hasPage, tokens: yield* tokensOf(options.tokens), hooks: yield* hooksOf(options.hooks) },
      allowHosts: yield* Settings.texts("allowHosts", options.allowHosts),
      bounds: yield* boundsOf(options.bounds),
    }
  })
