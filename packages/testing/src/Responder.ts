/**
 * Responses of people and of senders of signals, for tests that make no decisions themselves.
 */
import * as Commands from "@smithers/core/Commands"
import { optionsIn } from "@smithers/core/Decision"
import type { Inbox } from "@smithers/core/Inbox"
import type { RunReader, WaitSummary } from "@smithers/core/RunReader"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import { sample } from "./internal/sample.ts"
import * as Random from "./Random.ts"

/** Response to a wait: a decision, an answer, or the payload of a signal. */
export type Response =
  | { readonly approved: boolean; readonly choose?: string; readonly by?: string; readonly note?: string }
  | { readonly answer: unknown; readonly by?: string }
  | { readonly payload: unknown }

/** Returns the response to a wait; `undefined` lets its time expire. Must return the same for the same wait. */
export type Respond = (wait: WaitSummary) => Response | undefined

/** Returns the JSON Schema of an answer. */
const schemaOf = ({ request }: WaitSummary): { readonly [keyword: string]: unknown } | undefined => {
  const schema = typeof request === "object" && request !== null && "schema" in request ? request.schema : undefined
  return typeof schema === "object" && schema !== null ? { ...schema } : undefined
}

/** Approves, with the first of the options if there are any, and answers with values of the schema. Sends no signals, since their payload is unknown. */
export const agreeing: Respond = (wait) => {
  if (wait.kind === "approval") return { approved: true, ...defined({ choose: optionsIn(wait.request)?.[0]?.key }) }
  if (wait.kind !== "human") return undefined
  return { answer: sample(schemaOf(wait) ?? {}, Random.hash(wait.nodeId, wait.iteration)) }
}

/** Sends a response to a run. Ignores waits that are no longer open. */
export const tell = (wait: WaitSummary, said: Response): Effect.Effect<unknown, never, Inbox | RunReader> => {
  const { runId, nodeId, iteration, name, correlation, requestSeq } = wait
  if ("payload" in said) {
    const id = `${nodeId} ${iteration} ${requestSeq}`
    const options = { payload: said.payload, id, ...defined({ correlation: correlation ?? undefined }) }
    return Effect.ignore(Commands.signal(runId, name ?? nodeId, options))
  }
  const options = { iteration, ...defined({ by: said.by }) }
  if ("answer" in said) return Effect.ignore(Commands.answer(runId, nodeId, said.answer, options))
  const noted = { ...options, ...defined({ note: said.note }) }
  if (!said.approved) return Effect.ignore(Commands.deny(runId, nodeId, noted))
  return Effect.ignore(Commands.approve(runId, nodeId, { ...noted, ...defined({ choose: said.choose }) }))
}
