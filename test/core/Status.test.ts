/**
 * The words for how a run stops.
 */
import { expect, it } from "@effect/vitest"
import * as Status from "@smithers/core/Status"

it.each([
  [["timer"], "waiting-timer"],
  [["signal", "timer"], "waiting-event"],
  [["timer", "human", "signal"], "waiting-approval"],
  [["approval"], "waiting-approval"],
  [["subflow", "timer"], "waiting-timer"],
  [["subflow", "approval"], "waiting-approval"],
  [["subflow"], "waiting-event"],
  [[], "waiting-event"],
])("a run that waits for %j is said to be %s", (kinds, status) => {
  expect(Status.ofWaits(kinds.map((kind) => ({ kind })))).toBe(status)
})
