/**
 * Amounts of budgets, as options give them.
 */
import * as Budget from "@smithers/core/Budget"
import * as Either from "effect/Either"

/** Reads amounts such as `cost=2`. `option` is the name that the problem begins with. */
export const readAmounts = (option: string, texts: ReadonlyArray<string>): Either.Either<Budget.Options | undefined, string> => {
  if (texts.length === 0) return Either.right(undefined)
  const amounts = texts.map((one) => {
    const [, name = one, amount = ""] = /^([^=]*)=(.*)$/.exec(one) ?? []
    return [name, /^[\d.]+$/.test(amount) ? Number(amount) : amount] as const
  })
  const budget: Budget.Options = Object.fromEntries(amounts)
  return Either.mapBoth(Budget.read(budget), {
    onLeft: (problem) => `${option} ${problem}; write it as ${option} cost=2 ${option} tokens=100000`,
    onRight: () => budget,
  })
}
