/**
 * Decodes rows of the log as events.
 */
import type { ErrorInfo } from "@smithers/core/Errors"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { LoggedEvent } from "@smithers/core/RunReader"
import * as Rows from "./Rows.ts"

export type Row = [
  seq: number,
  frame: number,
  at: number,
  type: string,
  nodeId: string | null,
  iteration: number | null,
  attempt: number | null,
  payload: string | null,
  error: string | null,
]

/** Columns of `smithers_events e`, with the error of an attempt. */
export const columns = `seq, frame, at_ms, type, node_id, iteration, attempt, payload, CASE type WHEN 'AttemptFailed' THEN (
  SELECT a.error FROM smithers_attempt_rows a WHERE a.run_id = e.run_id AND a.node_id = e.node_id
    AND a.iteration = e.iteration AND a.attempt = e.attempt) END`

/** Decodes a row. */
export const read = ([seq, frame, at, type, nodeId, iteration, attempt, payload, error]: Row): Omit<LoggedEvent, "runId"> => {
  const { failure, ...fields } = JSON.parse(payload ?? "{}") as { readonly failure?: unknown }
  const event = {
    _tag: type,
    ...(nodeId === null ? {} : { nodeId }),
    ...(iteration === null ? {} : { iteration }),
    ...(attempt === null ? {} : { attempt }),
    ...fields,
    ...(error === null ? {} : { error: JSON.parse(error) as ErrorInfo }),
    ...(failure === undefined ? {} : { failure: Rows.readFailure(JSON.stringify(failure)) }),
  }
  // It was a valid event when written.
  return { seq, frame, at, event: event as unknown as RunEvent }
}
