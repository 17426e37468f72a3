/**
 * Commands that change budgets: more than a request asks for, or other limits. Each is one transaction on the account, and counts from
 * the next call on, whichever process makes it.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { AgentJournal } from "./AgentJournal.ts"
import * as Budget from "./Budget.ts"
import { type ApproveOptions, approve, type CommandError, type DecisionReceipt } from "./Commands.ts"
import { InvalidCommand, type RunNotFound, type StoreError } from "./Errors.ts"
import type { Inbox } from "./Inbox.ts"
import * as Millis from "./Millis.ts"
import { RunReader } from "./RunReader.ts"
import { RunStore } from "./RunStore.ts"

/** Limits of a budget, as {@link setBudget} sets them. */
export interface SetBudgetOptions extends Omit<Budget.Options, "onReached"> {
  /** The id of the part, or of the step (`step "write"`), whose budget it is. Default: the budget of the run. */
  readonly name?: string
}

/**
 * Sets limits of a budget of a run, with what was used so far counted in. Only limits that the budget declares can be set. Fails with
 * `InvalidCommand` if the run has no such budget, or a part of it that no call has drawn on yet.
 */
export const setBudget = Effect.fn("BudgetCommands.setBudget")(function* (
  runId: string,
  { name, ...options }: SetBudgetOptions,
): Effect.fn.Return<ReadonlyArray<Budget.Account>, InvalidCommand | StoreError | RunNotFound, AgentJournal | RunStore> {
  const refuse = (problem: string) => new InvalidCommand({ runId, problem })
  const read = Budget.read(options)
  if (Either.isLeft(read)) return yield* refuse(`the budget ${read.left}`)
  const [journal, store] = [yield* AgentJournal, yield* RunStore]
  const claims = (yield* store.load(runId)).budgets.filter((claim) => claim.runId === runId)
  const accounts = yield* journal.budgets(runId)
  const known = [...accounts, ...claims.filter(({ key }) => accounts.every((account) => account.key !== key))]
  const ofRun = `run "${runId}"`
  const meant = known.filter((one) =>
    name === undefined ? one.name === ofRun : [name, `"${name}"`, `step "${name}"`].includes(one.name),
  )
  const names = [...new Set(known.map((one) => (one.name === ofRun ? "the run" : one.name)))].join(", ")
  if (meant.length === 0) {
    const others = names === "" ? "its calls have drawn on none so far" : `it has those of ${names}`
    return yield* refuse(`it has no budget ${name === undefined ? "of its own" : `named "${name}"`}: ${others}`)
  }
  const { limits } = read.right
  const undeclared = Object.keys(limits).find((dimension) => meant.every((one) => !(dimension in one.limits)))
  if (undeclared !== undefined)
    return yield* refuse(
      `its budget has no limit of ${undeclared}, but of ${meant.map((one) => Budget.showLimits(one.limits)).join(", ")}`,
    )
  const now = yield* Millis.now
  const changed = yield* Effect.forEach(meant, ({ key }) =>
    journal.adjustBudget({ key, claim: claims.find((claim) => claim.key === key), now, change: { to: limits } }),
  )
  return changed.flatMap((account) => account ?? [])
})

/** Options of {@link allow}. */
export interface AllowOptions extends ApproveOptions {
  /** What is allowed beyond the limit, in the unit of the budget: tokens, US dollars, calls, or milliseconds. Default: the declared limit again. */
  readonly amount?: number
}

const isReached = Schema.is(Schema.Struct({ budget: Budget.Reached }))

/** Approves a request for more budget, by an amount. Fails like `approve`, and with `InvalidCommand` for a request that is of no budget. */
export const allow = Effect.fn("BudgetCommands.allow")(function* (
  runId: string,
  node: string,
  { amount, ...options }: AllowOptions = {},
): Effect.fn.Return<DecisionReceipt, CommandError, AgentJournal | Inbox | RunReader> {
  if (amount === undefined) return yield* approve(runId, node, options)
  const refuse = (problem: string) => new InvalidCommand({ runId, problem })
  const waits = yield* (yield* RunReader).waits({ runId, kind: ["approval"] })
  const wait = waits.find(
    ({ nodeId, requestId, isAnswered }) => nodeId === node && !isAnswered && (options.request ?? requestId) === requestId,
  )
  if (wait === undefined || !isReached(wait.request))
    return yield* refuse(`"${node}" asks for no budget: an amount is only for a request of one that is used up`)
  const { budget } = wait.request
  const { dimension } = budget
  if (!(amount > 0) || !(dimension === "cost" ? Number.isFinite(amount) : Number.isSafeInteger(amount)))
    return yield* refuse(
      `the amount must be ${dimension === "cost" ? "US dollars" : "a whole number"} above 0: ${Millis.show(amount)}`,
    )
  const change = { key: budget.key, digest: Budget.requestDigest(budget), by: { [dimension]: amount } }
  yield* (yield* AgentJournal).adjustBudget({ key: budget.key, now: yield* Millis.now, change })
  return yield* approve(runId, node, options)
})
