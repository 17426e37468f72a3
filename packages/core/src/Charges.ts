/**
 * Charges: what each call of an agent has used, and the accounts of the budgets that it drew on. Plain functions of the rows, which
 * every store applies within one transaction.
 */
import * as Schema from "effect/Schema"
import * as Budget from "./Budget.ts"
import type * as Status from "./Status.ts"

/** Tokens of a model call, by kind. Those read from a cache, and written to one, are part of the input; reasoning is part of the output. */
export const Usage = Schema.Struct({
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
  cachedInputTokens: Schema.optional(Schema.Number),
  cacheWriteTokens: Schema.optional(Schema.Number),
  reasoningTokens: Schema.optional(Schema.Number),
  /** In US dollars, by the prices of that time; absent if the price of the model is not known. */
  cost: Schema.optional(Schema.Number),
})
export interface Usage extends Schema.Schema.Type<typeof Usage> {}

/** `reserved` has no reply: it is in flight, or was cut off, and what it cost is not known. `failed` was refused and cost nothing. */
export const ChargeStatus = Schema.Literal("reserved", "settled", "failed")
export type ChargeStatus = typeof ChargeStatus.Type

/** One call of a model or a tool. */
export const Charge = Schema.Struct({
  nodeId: Schema.String,
  iteration: Schema.Number,
  conversation: Schema.Number,
  /** The attempt that made it. */
  attempt: Schema.Number,
  /** Number of the reply that it gave, or that asked for the tool, from 1. */
  ordinal: Schema.Number,
  /** Index of a tool call among those of the reply. Of a call of a model -1, or less if the same attempt repeats it. */
  index: Schema.Number,
  kind: Schema.Literal("model", "tool"),
  status: ChargeStatus,
  agent: Schema.String,
  /** The model, or the tool. */
  name: Schema.optional(Schema.String),
  startedAt: Schema.Number,
  endedAt: Schema.optional(Schema.Number),
  ...Usage.fields,
  /** What was reserved. */
  estimate: Budget.Amounts,
  /** Keys of the budgets that it draws on. */
  budgets: Schema.Array(Schema.String),
})
export interface Charge extends Schema.Schema.Type<typeof Charge> {}

/** Use of the agents of a run, by step, agent and model. */
export const UsageRow = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  nodeId: Schema.String,
  agent: Schema.String,
  /** The model, or the tool; `null` if the agent did not name it. */
  name: Schema.NullOr(Schema.String),
  kind: Schema.Literal("model", "tool"),
  calls: Schema.Number,
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  cachedInputTokens: Schema.Number,
  cacheWriteTokens: Schema.Number,
  reasoningTokens: Schema.Number,
  /** Sum of the known costs, in US dollars. */
  cost: Schema.Number,
  /** Calls of models whose price is not known. */
  unpriced: Schema.Number,
  /** Calls of models that are in flight or were cut off, whose use is not known. */
  unknown: Schema.Number,
})
export interface UsageRow extends Schema.Schema.Type<typeof UsageRow> {}

/** Tells whether a tool call of this status was made. */
export const isMade = (status: Status.ToolCallStatus): boolean => !notMade.some((one) => one === status)

/** Statuses of tool calls that were not made. */
export const notMade = ["asked", "refused"] as const satisfies ReadonlyArray<Status.ToolCallStatus>

/** Adds up charges of one step, agent and model. */
export const usageOf = (runId: string, workflow: string, all: ReadonlyArray<Charge>): UsageRow => {
  const sum = (of: (charge: Charge) => number | undefined): number => all.reduce((total, each) => total + (of(each) ?? 0), 0)
  const { nodeId = "", agent = "", kind = "model", name = null } = all[0] ?? {}
  const isModel = kind === "model"
  return {
    ...{ runId, workflow, nodeId, agent, name, kind, calls: all.length },
    inputTokens: sum(({ inputTokens }) => inputTokens),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    cachedInputTokens: sum(({ cachedInputTokens }) => cachedInputTokens),
    cacheWriteTokens: sum(({ cacheWriteTokens }) => cacheWriteTokens),
    reasoningTokens: sum(({ reasoningTokens }) => reasoningTokens),
    cost: sum(({ cost }) => cost),
    unpriced: sum(({ status, cost }) => (isModel && status === "settled" && cost === undefined ? 1 : 0)),
    unknown: sum(({ status }) => (isModel && status === "reserved" ? 1 : 0)),
  }
}

/** What a call counts in budgets. */
export const amountsOf = ({ kind, inputTokens = 0, outputTokens = 0, cost }: Charge): Budget.Amounts =>
  kind === "tool"
    ? { toolCalls: 1 }
    : {
        tokens: inputTokens + outputTokens,
        inputTokens,
        outputTokens,
        agentCalls: 1,
        ...(cost === undefined ? {} : { cost }),
      }

/** Access to the accounts of a store, within a transaction. */
export interface Accounts {
  readonly find: (key: string) => Budget.Account | undefined
  readonly put: (account: Budget.Account) => void
}

/** Reserves a charge in the accounts of its claims, or changes nothing. */
export const reserve = (
  accounts: Accounts,
  charge: Charge,
  claims: ReadonlyArray<Budget.Claim>,
  {
    now,
    isFinal,
    extension,
  }: { readonly now: number; readonly isFinal: boolean; readonly extension?: Budget.Extension | undefined },
): Budget.Reservation => {
  const found = claims.map((claim) => {
    const account = Budget.current(accounts.find(claim.key), claim, now)
    return extension?.key === claim.key ? Budget.extend(account, extension) : account
  })
  const { kind, estimate } = charge
  const reserved = Budget.reserve(found, claims, { kind, estimate, now, isFinal })
  for (const account of reserved.accounts) accounts.put(account)
  return reserved.reservation
}

/** An account without some charges that it has counted under a key. */
export const without = (account: Budget.Account, key: string, charges: ReadonlyArray<Charge>): Budget.Account => {
  let left = account
  for (const charge of charges) {
    if (charge.status !== "settled" || !charge.budgets.includes(key)) continue
    left = Budget.unsettle(left, amountsOf(charge), charge.kind === "model" && charge.cost === undefined)
  }
  return left
}

/** A change of a budget by a person: more by the request that asked for it, or other limits. */
export interface BudgetChange {
  readonly key: string
  /** Opens the account if no call has drawn on it. */
  readonly claim?: Budget.Claim | undefined
  /** Epoch milliseconds. */
  readonly now: number
  readonly change: Budget.Extension | { readonly to: Budget.Limits }
}

/** Changes a budget. Returns its account, or `undefined` if there is none. */
export const adjust = (accounts: Accounts, { key, claim, now, change }: BudgetChange): Budget.Account | undefined => {
  const account = accounts.find(key) ?? (claim === undefined ? undefined : Budget.open(claim, now))
  if (account === undefined) return undefined
  const changed = "to" in change ? Budget.setTo(account, change.to) : Budget.extend(account, change)
  accounts.put(changed)
  return changed
}

/** Settles a charge, once. `before` is its row, if it was reserved. Returns the row to store; `undefined` if it is settled already. */
export const settle = (accounts: Accounts, before: Charge | undefined, charge: Charge): Charge | undefined => {
  if (before !== undefined && before.status !== "reserved") return undefined
  const { estimate, budgets, startedAt } = before ?? charge
  const spent = charge.status === "failed" ? {} : amountsOf(charge)
  const isUnpriced = charge.status === "settled" && charge.kind === "model" && charge.cost === undefined
  for (const key of budgets) {
    const account = accounts.find(key)
    if (account !== undefined) accounts.put(Budget.settle(account, before === undefined ? {} : estimate, spent, isUnpriced))
  }
  return { ...charge, estimate, budgets, startedAt }
}
