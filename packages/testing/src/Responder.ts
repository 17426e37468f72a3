/**
 * What a run is told by the world in a test that decides nothing by itself: people, and whoever sends signals.
 */
import * as Commands from "@smithers/core/Commands"
import type { Inbox } from "@smithers/core/Inbox"
import type { RunReader, WaitSummary } from "@smithers/core/RunReader"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import { sample } from "./internal/sample.ts"
import * as Random from "./Random.ts"

/** What is said to a wait: a decision, an answer, or what a signal carries. */
export type Response =
  | { readonly approved: boolean; readonly by?: string; readonly note?: string }
  | { readonly answer: unknown; readonly by?: string }
  | { readonly payload: unknown }

/** Says something to a wait, or nothing (`undefined`), so that its time passes. It must say the same to the same wait. */
export type Respond = (wait: WaitSummary) => Response | undefined

/** The JSON Schema that an answer is asked with. */
const schemaOf = ({ request }: WaitSummary): { readonly [keyword: string]: unknown } | undefined => {
  const schema = typeof request === "object" && request !== null && "schema" in request ? request.schema : undefined
  return typeof schema === "object" && schema !== null ? { ...schema } : undefined
}

/** Approves, and answers what is asked with a value of its schema. Signals are not sent, since nothing says what they carry. */
export const agreeing: Respond = (wait) => {
  if (wait.kind === "approval") return { approved: true }
  if (wait.kind !== "human") return undefined
  return { answer: sample(schemaOf(wait) ?? {}, Random.hash(wait.nodeId, wait.iteration)) }
}

/** Tells a run what was said. What it does not wait for any more is not told. */
export const tell = (wait: WaitSummary, said: Response): Effect.Effect<unknown, never, Inbox | RunReader> => {
  const { runId, nodeId, iteration, name, correlation, asked } = wait
  if ("payload" in said) {
    const id = `${nodeId} ${iteration} ${asked}`
    const options = { payload: said.payload, id, ...defined({ correlation: correlation ?? undefined }) }
    return Effect.ignore(Commands.signal(runId, name ?? nodeId, options))
  }
  const options = { iteration, ...defined({ by: said.by }) }
  if ("answer" in said) return Effect.ignore(Commands.answer(runId, nodeId, said.answer, options))
  const decide = said.approved ? Commands.approve : Commands.deny
  return Effect.ignore(decide(runId, nodeId, { ...options, ...defined({ note: said.note }) }))
}
