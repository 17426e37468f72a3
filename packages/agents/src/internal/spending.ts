/**
 * The calls of one conversation as budgets see them: reserved before they are made, settled with their outcome.
 */
import { type AttemptJournal, AttemptSuspended, type JournalError } from "@smithers/core/AgentJournal"
import { limitOf } from "@smithers/core/Bounds"
import * as Budget from "@smithers/core/Budget"
import type { Charge, Usage } from "@smithers/core/Charges"
import { BudgetExceeded } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Prices from "../Prices.ts"

/** Most calls of a step in one iteration, as far as its budget does not say. */
export interface Bounds {
  readonly agentCalls: number
  readonly toolCalls: number
}

/** The default bounds of a step. What its budget limits is held by the budget. */
export const boundsOf = (budget: Budget.Budget | undefined): Bounds => {
  const { agentCalls, toolCalls } = budget?.limits ?? {}
  return {
    agentCalls: agentCalls === undefined ? limitOf("agentCalls") : Number.POSITIVE_INFINITY,
    toolCalls: toolCalls === undefined ? limitOf("toolCalls") : Number.POSITIVE_INFINITY,
  }
}

/** A call to be made. */
interface Asked {
  readonly kind: "model" | "tool"
  readonly ordinal: number
  readonly index: number
  /** The model, or the tool. */
  readonly name: string | undefined
  /** Tokens that it is expected to use. */
  readonly estimate?: Pick<Usage, "inputTokens" | "outputTokens">
  /** `true` for the last call of a conversation beyond its budget. */
  readonly isFinal?: boolean
}

/** The answer: go on, or answer with what there is. `charge` is to be settled; `until` is when a budget of time ends. */
type Permission =
  | { readonly _tag: "Granted"; readonly charge: Charge; readonly until: Budget.End | undefined }
  | { readonly _tag: "Finish"; readonly reached: Budget.Reached }

/** A conversation of the step. */
interface Caller {
  readonly conversation: number
  readonly agent: string
}

export interface Spending {
  /** Asks for a call. The rows are written with its reservation. */
  readonly reserve: (
    caller: Caller,
    asked: Asked,
    rows?: Parameters<AttemptJournal["record"]>[0],
  ) => Effect.Effect<Permission, BudgetExceeded | AttemptSuspended | JournalError>
  /** A settled charge, to be written with the outcome. */
  readonly settled: (charge: Charge, now: number, usage: Usage, model?: string | undefined) => Charge
  /** `true` if budgets are to be asked. Otherwise calls are only counted. */
  readonly hasBudgets: boolean
}

/** The shared state of the conversations of an attempt. */
export interface Options {
  readonly journal: AttemptJournal
  readonly prices: Prices.Prices
  readonly bounds: Bounds
  /** Calls of the step in this iteration before this attempt. */
  readonly before: { readonly model: number; readonly tool: number }
  /** The decision of a person about a request, if it was made and is not used up. Looking uses it up. */
  readonly decisionAbout: (digest: string) => AttemptJournal["decision"]
}

/** Makes the spending of an attempt. */
export const make = ({ journal, prices, bounds, before, decisionAbout }: Options): Spending => {
  const { nodeId, iteration, attempt } = journal.attempt
  const made = { model: before.model, tool: before.tool }
  const hasBudgets = journal.budgets.length > 0
  const isPriced = journal.budgets.some(({ limits }) => limits.cost !== undefined)

  const boundOf = (kind: Asked["kind"]): Budget.Reached | undefined => {
    const dimension = kind === "model" ? "agentCalls" : "toolCalls"
    const [spent, limit] = [made[kind], bounds[dimension]]
    if (spent < limit) return undefined
    return { key: "", budget: `step "${nodeId}"`, onReached: "fail", dimension, limit, spent, reserved: 0 }
  }

  const chargeOf = ({ conversation, agent }: Caller, asked: Asked, now: number): Charge => {
    const { kind, ordinal, index, name, estimate = {} } = asked
    const { inputTokens = 0, outputTokens = 0 } = estimate
    const price = Prices.of(prices, name)
    const tokens = { tokens: inputTokens + outputTokens, inputTokens, outputTokens, agentCalls: 1 }
    const cost = price === undefined ? {} : { cost: Prices.costOf(price, estimate) }
    return {
      ...{ nodeId, iteration, conversation, attempt, ordinal, index, kind, agent },
      status: "reserved",
      ...defined({ name }),
      startedAt: now,
      estimate: kind === "tool" ? { toolCalls: 1 } : { ...tokens, ...cost },
      budgets: [],
    }
  }

  const reserve: Spending["reserve"] = (caller, asked, rows = {}) =>
    Effect.gen(function* () {
      const now = yield* Millis.now
      const charge = chargeOf(caller, asked, now)
      const bound = asked.isFinal === true ? undefined : boundOf(asked.kind)
      if (bound !== undefined) return yield* new BudgetExceeded({ nodeId, ...bound })
      if (!hasBudgets) {
        if (Object.keys(rows).length > 0) yield* journal.record(rows)
        made[asked.kind]++
        return { _tag: "Granted", charge, until: undefined }
      }
      if (isPriced && asked.kind === "model" && asked.name !== undefined && Prices.of(prices, asked.name) === undefined)
        return yield* new BudgetExceeded({ nodeId, ...unpriced(asked.name) })
      let extension: Budget.Extension | undefined
      for (;;) {
        const reservation = yield* journal.reserve({ ...rows, charge, ...defined({ isFinal: asked.isFinal, extension }) })
        if (reservation._tag === "Granted") {
          made[asked.kind]++
          return { _tag: "Granted", charge, until: reservation.until }
        }
        const { reached } = reservation
        if (reached.onReached === "finish" && reached.isUnpriced !== true) return { _tag: "Finish", reached }
        if (reached.onReached !== "ask") return yield* new BudgetExceeded({ nodeId, ...reached })
        const digest = Budget.requestDigest(reached)
        const decision = decisionAbout(digest)
        if (decision === undefined) return yield* suspended(reached, digest)
        if (!decision.approved) return yield* new BudgetExceeded({ nodeId, ...reached })
        extension = { key: reached.key, digest, by: moreOf(reached) }
      }
    })

  /** The amount that an approval allows: that of the limit as it was declared. */
  const moreOf = (reached: Budget.Reached): Budget.Limits => {
    const limit = journal.budgets.find(({ key }) => key === reached.key)?.limits[reached.dimension]
    return Budget.sameAgain({ ...reached, limit: limit ?? reached.limit })
  }

  const unpriced = (model: string): Budget.Reached => {
    const claim = journal.budgets.find(({ limits }) => limits.cost !== undefined)
    const about = { key: claim?.key ?? "", budget: claim?.name ?? "", onReached: claim?.onReached ?? "fail" }
    return { ...about, dimension: "cost", limit: claim?.limits.cost ?? 0, spent: 0, reserved: 0, isUnpriced: true, model }
  }

  const suspended = (reached: Budget.Reached, digest: string): AttemptSuspended => {
    const more = moreOf(reached)[reached.dimension] ?? reached.limit
    const title = `Allow ${Budget.show(reached.dimension, more)} more for ${reached.budget}?`
    const summary = `Step "${nodeId}" waits, since ${Budget.sentence(reached)}.`
    return new AttemptSuspended({ request: { kind: "approval", request: { title, summary, budget: reached }, digest } })
  }

  const settled: Spending["settled"] = (charge, now, usage, model) => {
    const name = model ?? charge.name
    const price = Prices.of(prices, name)
    const cost = usage.cost ?? (price === undefined || usage.inputTokens === undefined ? undefined : Prices.costOf(price, usage))
    return { ...charge, ...usage, status: "settled", endedAt: now, ...defined({ name, cost }) }
  }

  return { reserve, settled, hasBudgets }
}
