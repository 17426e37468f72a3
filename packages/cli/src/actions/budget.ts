/**
 * Shows the budgets of a run, and sets their limits.
 */
import * as BudgetCommands from "@smithers/core/BudgetCommands"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readAmounts } from "../Amounts.ts"
import { connectNewestRun, connectRun } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"
import { leftOf } from "./costs.ts"

export const budget = (options: {
  readonly db: string | undefined
  readonly run: string
  readonly set: ReadonlyArray<string>
  readonly name: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { db, run, name } = options
      const to = readAmounts("--set", options.set)
      if (Either.isLeft(to)) return yield* new InvalidUsage({ problem: to.left, command: "budget" })
      if (to.right === undefined && name !== undefined)
        return yield* new InvalidUsage({ problem: "--name is for the limits that --set gives", command: "budget" })
      const { storage, runId } = yield* to.right === undefined ? connectRun(db, run) : connectNewestRun(db, run)
      if (to.right !== undefined)
        yield* Effect.provide(BudgetCommands.setBudget(runId, { ...to.right, ...defined({ name }) }), ports(storage))
      const budgets = yield* storage.budgets(runId)
      const rows = budgets.flatMap(leftOf)
      const text =
        rows.length === 0
          ? `No call of run ${oneLine(runId)} has drawn on a budget.`
          : table(["BUDGET", "SPENT", "RESERVED", "LIMIT"], rows, widthOf(yield* Screen))
      return { value: { runId, budgets }, text }
    }),
  )
