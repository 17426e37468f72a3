/**
 * The words for how a run stops.
 */
import { expect, it } from "@effect/vitest"
import { waitingStatus } from "@smithers/core/RunResult"

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
  expect(waitingStatus(kinds.map((kind) => ({ kind })))).toBe(status)
})
