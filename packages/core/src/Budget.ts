/**
 * Budgets: amounts that the agents of a run, a part of it, or a store may use up. Accounts are durable. A call reserves its part in a
 * transaction before it is made, and settles it with its reply, so that a crash neither charges twice nor forgets.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Digest from "./Digest.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"
import * as Thrown from "./Thrown.ts"

/** What is counted, in the order in which it is checked. `cost` is in US dollars, `agentCalls` are requests to models. */
export const dimensions = ["tokens", "inputTokens", "outputTokens", "cost", "toolCalls", "agentCalls"] as const
export type Dimension = (typeof dimensions)[number]

/** Amounts by dimension; an absent one is 0. */
export const Amounts = Schema.Struct({
  tokens: Schema.optional(Schema.Number),
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
  cost: Schema.optional(Schema.Number),
  toolCalls: Schema.optional(Schema.Number),
  agentCalls: Schema.optional(Schema.Number),
})
export interface Amounts extends Schema.Schema.Type<typeof Amounts> {}

/** Most that may be used; an absent dimension has no limit. `durationMs` counts from the first call, waits included. */
export const Limits = Schema.Struct({ ...Amounts.fields, durationMs: Schema.optional(Schema.Number) })
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * Reaction to a limit. `fail` fails the step with {@link BudgetExceeded}. `ask` waits for an approval, which allows the same amount
 * again. `finish` asks the agent for its answer once more, without tools.
 */
export const OnReached = Schema.Literal("fail", "ask", "finish")
export type OnReached = typeof OnReached.Type

/** A budget as its author writes it: at least one limit. */
export interface Options {
  /** Tokens of input and output together. */
  readonly tokens?: number
  /** Tokens of input, with those read from caches. */
  readonly inputTokens?: number
  /** Tokens of output, with those of reasoning. */
  readonly outputTokens?: number
  /** US dollars. Models without a known price are refused. */
  readonly cost?: number
  /** Calls of tools. Default, of one step in one iteration: 1,000. */
  readonly toolCalls?: number
  /** Calls of models: all attempts, corrections and rounds of tools. Default, of one step in one iteration: 200. */
  readonly agentCalls?: number
  /** Time from the first call, waits included, such as `"2 hours"`. */
  readonly duration?: Millis.DurationLike
  /**
   * Reaction to a limit: `"fail"` fails the step with `BudgetExceeded`, without a retry. `"ask"` waits for an approval, which allows the
   * same amount again. `"finish"` asks the agent once more for its answer, without tools. Default: `"fail"`.
   */
  readonly onReached?: OnReached
}

/** A budget as it was read. */
export interface Budget {
  readonly limits: Limits
  readonly onReached: OnReached
}

/** A budget that a call draws on. */
export const Claim = Schema.Struct({
  /** Identifies its account in the store. */
  key: Schema.String,
  /** Name for people, such as `run "r1"`. */
  name: Schema.String,
  /** The run whose budget it is; `null` for one of the store. */
  runId: Schema.NullOr(Schema.String),
  limits: Limits,
  onReached: OnReached,
  /** `true` if the run that draws on it does not set its limits. */
  isInherited: Schema.optional(Schema.Literal(true)),
})
export interface Claim extends Schema.Schema.Type<typeof Claim> {}

/** The account of a budget. */
export const Account = Schema.Struct({
  key: Schema.String,
  name: Schema.String,
  runId: Schema.NullOr(Schema.String),
  limits: Limits,
  /** Epoch milliseconds of the first reservation. */
  startedAt: Schema.Number,
  spent: Amounts,
  /** Reserved by calls without a reply: in flight, or cut off by a crash. */
  reserved: Amounts,
  /** Calls that were settled without a known price. */
  unpriced: Schema.Number,
  /** Amounts that approvals allowed beyond the limits, by the digest of the request. */
  extensions: Schema.Record({ key: Schema.String, value: Limits }),
})
export interface Account extends Schema.Schema.Type<typeof Account> {}

/** An amount that an approval allows beyond the limits of a budget. */
export interface Extension {
  readonly key: string
  readonly digest: string
  readonly by: Limits
}

/** A limit that is reached. */
export const Reached = Schema.Struct({
  key: Schema.String,
  budget: Schema.String,
  onReached: OnReached,
  dimension: Schema.Literal(...dimensions, "durationMs"),
  limit: Schema.Number,
  spent: Schema.Number,
  reserved: Schema.Number,
  /** `true` if a limit in money cannot be held, since calls without a known price were made. */
  isUnpriced: Schema.optional(Schema.Boolean),
  /** The model without a price. */
  model: Schema.optional(Schema.String),
})
export interface Reached extends Schema.Schema.Type<typeof Reached> {}

/** The end of a budget of time that fails its step: the time in epoch milliseconds, and the limit that is reached then. */
export interface End {
  readonly at: number
  readonly reached: Reached
}

/** The answer to a reservation. `until` is the first end of a budget of time; one that asks or finishes does not end a call in flight. */
export type Reservation =
  | { readonly _tag: "Granted"; readonly until: End | undefined }
  | { readonly _tag: "Reached"; readonly reached: Reached }

const units: { readonly [D in Reached["dimension"]]: (amount: number) => string } = {
  tokens: (amount) => `${amount} tokens`,
  inputTokens: (amount) => `${amount} input tokens`,
  outputTokens: (amount) => `${amount} output tokens`,
  cost: (amount) => `$${Number(amount.toFixed(6))}`,
  toolCalls: (amount) => `${amount} tool calls`,
  agentCalls: (amount) => `${amount} calls of models`,
  durationMs: (amount) => `${amount} ms`,
}

/** An amount with its unit, for people. */
export const show = (dimension: Reached["dimension"], amount: number): string => units[dimension](amount)

/** The limits of a budget, for people. */
export const showLimits = (limits: Limits): string =>
  [...dimensions, "durationMs" as const].flatMap((name) => (limits[name] === undefined ? [] : show(name, limits[name]))).join(", ")

/** A sentence on a limit that is reached. */
export const sentence = ({ budget, dimension, limit, spent, reserved, isUnpriced, model }: Reached): string => {
  if (isUnpriced === true)
    return `the budget of ${budget} (${show(dimension, limit)}) cannot be held: the price of ${model === undefined ? "a call" : `model "${model}"`} is not known. Add the model to "prices"`
  const held = reserved === 0 ? "" : `, and ${show(dimension, reserved)} are reserved by calls without a known outcome`
  return `the budget of ${budget} is used up: ${show(dimension, spent)} of ${show(dimension, limit)}${held}`
}

/** The names of the options of a budget. */
export const optionNames: ReadonlyArray<string> = [
  "tokens",
  "inputTokens",
  "outputTokens",
  "cost",
  "toolCalls",
  "agentCalls",
  "duration",
  "onReached",
]

/** Reads a budget. Fails with the problem, as the rest of a sentence that begins with its place. */
export const read = (value: unknown): Either.Either<Budget, string> => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return Either.left(`must be an object with limits, such as { tokens: 100_000 }`)
  const unknown = Names.problemOf(value, new Set(optionNames))
  if (unknown !== undefined) return Either.left(unknown)
  const limits: { -readonly [Name in keyof Limits]: Limits[Name] } = {}
  for (const name of dimensions) {
    const amount: unknown = Thrown.get(value, name)
    if (amount === undefined) continue
    const isValid = typeof amount === "number" && amount >= 0 && (name === "cost" ? Number.isFinite(amount) : isCount(amount))
    if (!isValid) {
      const expected = name === "cost" ? "an amount in US dollars" : "a whole number, or Infinity for no limit"
      return Either.left(`"${name}" must be ${expected}, and is ${Millis.show(amount)}`)
    }
    limits[name] = amount
  }
  const duration = Thrown.get(value, "duration")
  if (duration !== undefined) {
    const ms = Millis.positiveDuration(duration)
    if (Either.isLeft(ms)) return Either.left(`"duration" ${ms.left.problem}`)
    limits.durationMs = ms.right
  }
  const onReached: unknown = Thrown.get(value, "onReached") ?? "fail"
  if (!Schema.is(OnReached)(onReached)) return Either.left(`"onReached" must be "fail", "ask" or "finish"`)
  if (Object.keys(limits).length === 0) return Either.left(`has no limit: give one of ${optionNames.slice(0, -1).join(", ")}`)
  return Either.right({ limits, onReached })
}

const isCount = (amount: number): boolean => Number.isSafeInteger(amount) || amount === Number.POSITIVE_INFINITY

/** An account without calls. */
export const open = ({ key, name, runId, limits }: Claim, now: number): Account => ({
  key,
  name,
  runId,
  limits,
  startedAt: now,
  spent: {},
  reserved: {},
  unpriced: 0,
  extensions: {},
})

/** The limit of an account with what approvals allowed beyond it. */
export const limitOf = ({ limits, extensions }: Account, name: keyof Limits): number | undefined => {
  const limit = limits[name]
  return limit === undefined ? undefined : Object.values(extensions).reduce((sum, by) => sum + (by[name] ?? 0), limit)
}

const reachedOf = (
  account: Account,
  now: number,
): Pick<Reached, "dimension" | "limit" | "spent" | "reserved" | "isUnpriced"> | undefined => {
  for (const dimension of dimensions) {
    const limit = limitOf(account, dimension)
    if (limit === undefined) continue
    const [spent, reserved] = [account.spent[dimension] ?? 0, account.reserved[dimension] ?? 0]
    if (dimension === "cost" && account.unpriced > 0) return { dimension, limit, spent, reserved, isUnpriced: true }
    if (spent + reserved >= limit) return { dimension, limit, spent, reserved }
  }
  const durationMs = limitOf(account, "durationMs")
  if (durationMs !== undefined && now - account.startedAt >= durationMs)
    return { dimension: "durationMs", limit: durationMs, spent: now - account.startedAt, reserved: 0 }
  return undefined
}

/** The dimensions that a call of an agent, or of a tool, counts in. */
const ofKind = { model: ["tokens", "inputTokens", "outputTokens", "cost", "agentCalls"], tool: ["toolCalls"] } as const

/** Tells whether an account forbids a call of a kind. A budget that is used up for tools still lets a model answer. */
const isHeldBack = (dimension: Reached["dimension"], kind: "model" | "tool"): boolean =>
  dimension === "durationMs" || ofKind[kind].some((one) => one === dimension)

const plus = (one: Amounts, other: Amounts, sign: 1 | -1 = 1): Amounts =>
  Object.fromEntries(
    dimensions.flatMap((name) => {
      // Sums of money are kept to a billionth of a dollar, so that what is taken back leaves nothing.
      const sum = Math.round(((one[name] ?? 0) + sign * (other[name] ?? 0)) * 1e9) / 1e9
      return sum === 0 ? [] : [[name, sum]]
    }),
  )

/** The accounts of claims, opened where there is none, with their current limits. Inherited claims keep the limits of the account. */
export const current = (account: Account | undefined, claim: Claim, now: number): Account => {
  if (account === undefined) return open(claim, now)
  return claim.isInherited === true ? account : { ...account, name: claim.name, limits: claim.limits }
}

/**
 * Reserves a call in all accounts, or in none if one of them is used up. `isFinal` lets one call pass a budget whose `onReached` is
 * `finish`.
 */
export const reserve = (
  accounts: ReadonlyArray<Account>,
  claims: ReadonlyArray<Claim>,
  call: { readonly kind: "model" | "tool"; readonly estimate: Amounts; readonly now: number; readonly isFinal: boolean },
): { readonly reservation: Reservation; readonly accounts: ReadonlyArray<Account> } => {
  let until: End | undefined
  for (const [index, account] of accounts.entries()) {
    const claim = claims[index]
    const reached = reachedOf(account, call.now)
    const onReached = claim?.onReached ?? "fail"
    if (reached !== undefined && isHeldBack(reached.dimension, call.kind) && !(call.isFinal && onReached === "finish")) {
      const { key, name: budget } = account
      return { reservation: { _tag: "Reached", reached: { key, budget, onReached, ...reached } }, accounts: [] }
    }
    const durationMs = limitOf(account, "durationMs")
    if (durationMs === undefined || onReached !== "fail") continue
    const at = account.startedAt + durationMs
    const { key, name: budget } = account
    const amounts = { limit: durationMs, spent: durationMs, reserved: 0 }
    if (until === undefined || at < until.at)
      until = { at, reached: { key, budget, onReached, dimension: "durationMs", ...amounts } }
  }
  return {
    reservation: { _tag: "Granted", until },
    accounts: accounts.map((account) => ({ ...account, reserved: plus(account.reserved, call.estimate) })),
  }
}

/** Replaces a reservation by what the call has cost. A cost that is not known is counted as unpriced. */
export const settle = (account: Account, estimate: Amounts, spent: Amounts, isUnpriced: boolean): Account => ({
  ...account,
  reserved: plus(account.reserved, estimate, -1),
  spent: plus(account.spent, spent),
  unpriced: account.unpriced + (isUnpriced ? 1 : 0),
})

/** Takes a settled call off an account. */
export const unsettle = (account: Account, spent: Amounts, isUnpriced: boolean): Account => ({
  ...account,
  spent: plus(account.spent, spent, -1),
  unpriced: Math.max(0, account.unpriced - (isUnpriced ? 1 : 0)),
})

/** Adds what an approval allows, once per request: an amount that the approver gave comes first. */
export const extend = (account: Account, { digest, by }: Extension): Account => ({
  ...account,
  extensions: { [digest]: by, ...account.extensions },
  // The approval covers the calls whose price is not known.
  unpriced: digest in account.extensions ? account.unpriced : 0,
})

/** The digest of a request for more, to which an approval is bound. */
export const requestDigest = ({ key, dimension, limit }: Pick<Reached, "key" | "dimension" | "limit">): string =>
  Digest.ofValue({ budget: key, dimension, limit })

/** The name of the extension that people set, beside those of approvals. */
const setByHand = "set"

/** Sets limits of an account, with what approvals allowed so far. Dimensions without a limit stay so. */
export const setTo = (account: Account, to: Limits): Account => {
  const { [setByHand]: before = {}, ...others } = account.extensions
  const by: { -readonly [Name in keyof Limits]: Limits[Name] } = { ...before }
  for (const name of [...dimensions, "durationMs"] as const) {
    const [wanted, limit] = [to[name], limitOf({ ...account, extensions: others }, name)]
    if (wanted !== undefined && limit !== undefined) by[name] = wanted - limit
  }
  return { ...account, extensions: { ...others, [setByHand]: by } }
}

/** The same limit again, which an approval allows. */
export const sameAgain = ({ dimension, limit }: Reached): Limits => ({
  [dimension]: Math.max(limit, dimension === "cost" ? 0.01 : 1),
})
