/**
 * Shows what agents have used, and the budgets that they draw on.
 */
import * as Budget from "@smithers/core/Budget"
import type { UsageRow } from "@smithers/core/Charges"
import * as Millis from "@smithers/core/Millis"
import { oneLine, plural } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { connect, findRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"

interface CostsOptions {
  readonly db: string | undefined
  readonly run: string | undefined
  readonly since: string | undefined
}

/** What some calls have used. */
export interface Total {
  readonly calls: number
  readonly tokens: number
  readonly cost: number
  readonly unpriced: number
  readonly unknown: number
}

/** Adds up the calls of models. */
export const totalOf = (rows: ReadonlyArray<UsageRow>): Total => {
  const models = rows.filter(({ kind }) => kind === "model")
  const sum = (of: (row: UsageRow) => number): number => models.reduce((total, row) => total + of(row), 0)
  return {
    calls: sum(({ calls }) => calls),
    tokens: sum(({ inputTokens, outputTokens }) => inputTokens + outputTokens),
    cost: sum(({ cost }) => cost),
    unpriced: sum(({ unpriced }) => unpriced),
    unknown: sum(({ unknown }) => unknown),
  }
}

/** An amount of money, for people. What is not known is said, and is not 0. */
export const money = ({ calls, cost, unpriced, unknown }: Pick<Total, "calls" | "cost" | "unpriced" | "unknown">): string => {
  if (unpriced + unknown >= calls && cost === 0) return calls === 0 ? "" : "unknown"
  const digits = cost !== 0 && cost < 0.01 ? 6 : 2
  return `${unpriced + unknown > 0 ? "≥ " : ""}$${cost.toFixed(digits)}`
}

const startOf = (since: string | undefined) =>
  Effect.gen(function* () {
    if (since === undefined) return undefined
    const ago = Millis.parseDuration(since, "s")
    const day = /^\d{4}-\d{2}-\d{2}$/.test(since) ? Date.parse(since) : Number.NaN
    if (!Number.isNaN(day)) return day
    if (Either.isLeft(ago)) {
      const problem = `--since must be a time such as 12h or 7d, or a day such as 2026-01-31, not "${since}"`
      return yield* new InvalidUsage({ problem, command: "costs" })
    }
    return (yield* Clock.currentTimeMillis) - ago.right
  })

/** Rows without their runs and steps, added up by workflow, agent and model. */
const byWorkflow = (rows: ReadonlyArray<UsageRow>): ReadonlyArray<UsageRow> => {
  const groups = Map.groupBy(rows, ({ workflow, agent, kind, name }) => JSON.stringify([workflow, agent, kind, name]))
  return [...groups.values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [others.reduce((sum, row) => addedUp(sum, row), first)],
  )
}

const addedUp = (one: UsageRow, other: UsageRow): UsageRow => ({
  ...one,
  calls: one.calls + other.calls,
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens,
  cachedInputTokens: one.cachedInputTokens + other.cachedInputTokens,
  cacheWriteTokens: one.cacheWriteTokens + other.cacheWriteTokens,
  reasoningTokens: one.reasoningTokens + other.reasoningTokens,
  cost: one.cost + other.cost,
  unpriced: one.unpriced + other.unpriced,
  unknown: one.unknown + other.unknown,
})

const cells = (row: UsageRow): ReadonlyArray<string> => [
  oneLine(row.agent),
  oneLine(row.name ?? "unknown"),
  String(row.calls),
  ...(row.kind === "tool" ? ["", "", ""] : [row.inputTokens, row.cachedInputTokens, row.outputTokens].map(String)),
  row.kind === "tool" ? "" : money(row),
]
const titles = ["AGENT", "MODEL OR TOOL", "CALLS", "INPUT", "CACHED", "OUTPUT", "COST"]

const remarksOf = ({ unpriced, unknown }: Total): ReadonlyArray<string> => [
  ...(unpriced === 0 ? [] : [`The price of ${plural(unpriced, "call")} is not known: add the model to "prices".`]),
  ...(unknown === 0 ? [] : [`${plural(unknown, "call")} in flight or cut off: what they cost is not known.`]),
]

export const leftOf = (account: Budget.Account): ReadonlyArray<ReadonlyArray<string>> =>
  Budget.dimensions.flatMap((dimension) => {
    const limit = Budget.limitOf(account, dimension)
    if (limit === undefined) return []
    const [spent, reserved] = [account.spent[dimension] ?? 0, account.reserved[dimension] ?? 0]
    const shown = [spent, reserved, limit].map((amount) => Budget.show(dimension, amount))
    return [[oneLine(account.name), ...shown]]
  })

/** Lists what the agents of a run, or of all runs since a time, have used. */
export const costs = ({ db, run, since }: CostsOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const from = yield* startOf(since)
      const screen = yield* Screen
      const database = yield* connect(db, "read")
      const { storage } = database
      const runId = run === undefined ? undefined : yield* findRun(database, run)
      const usage = yield* storage.usage({
        ...(runId === undefined ? {} : { runIds: [runId] }),
        ...(from === undefined ? {} : { since: from }),
      })
      const budgets = runId === undefined ? [] : yield* storage.budgets(runId)
      const total = totalOf(usage)
      const value = { ...(runId === undefined ? {} : { runId }), usage, total, budgets }
      if (usage.length === 0) return { value, text: run === undefined ? "No agent was asked." : "No agent of this run was asked." }
      const columns = widthOf(screen)
      const shown =
        runId === undefined
          ? table(
              ["WORKFLOW", ...titles],
              byWorkflow(usage).map((row) => [oneLine(row.workflow), ...cells(row)]),
              columns,
            )
          : table(
              ["RUN", "STEP", ...titles],
              usage.map((row) => [row.runId, oneLine(row.nodeId), ...cells(row)]),
              columns,
            )
      const accounts = budgets.flatMap(leftOf)
      const limits = accounts.length === 0 ? [] : ["", table(["BUDGET", "SPENT", "RESERVED", "LIMIT"], accounts, columns)]
      const sum = `${plural(total.calls, "call")} of models, ${total.tokens} tokens, ${money(total)}`
      return { value, text: [shown, "", `In all ${sum}.`, ...remarksOf(total), ...limits].join("\n") }
    }),
  )
