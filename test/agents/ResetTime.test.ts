import * as ResetTime from "@smithers/agents/commandLine/ResetTime"
import { describe, expect, it } from "vitest"

const now = Date.parse("2026-11-26T10:00:00Z")
const at = (text: string) => {
  const found = ResetTime.find(text, now)
  return found === undefined ? undefined : new Date(found).toISOString()
}

describe("the end of a limit", () => {
  it.each([
    ["Claude AI usage limit reached|1893456000", "2030-01-01T00:00:00.000Z"],
    ["limit|1893456000123", "2030-01-01T00:00:00.123Z"],
    ["You've hit your limit · resets 3pm (America/New_York)", "2026-11-26T20:00:00.000Z"],
    ["5-hour limit reached ∙ resets 4am (America/New_York)", "2026-11-27T09:00:00.000Z"],
    ["resets 5:30am (Europe/Berlin)", "2026-11-27T04:30:00.000Z"],
    ["resets 11:30 (Europe/Berlin)", "2026-11-26T10:30:00.000Z"],
    ["weekly limit reached, resets Nov 30 at 3pm (UTC)", "2026-11-30T15:00:00.000Z"],
    ["limit reached, resets Jan 2, 10am (UTC)", "2027-01-02T10:00:00.000Z"],
    ["try again at Nov 30th, 2026 1:33 PM (UTC)", "2026-11-30T13:33:00.000Z"],
    ["try again in 2 hours 13 minutes", "2026-11-26T12:13:00.000Z"],
    ["try again in 3 days and 4 hours.", "2026-11-29T14:00:00.000Z"],
    ["retry after 30 seconds", "2026-11-26T10:00:30.000Z"],
    ["Please retry in 5m30.5s.", "2026-11-26T10:05:30.500Z"],
    ["quota resets at 2026-12-01T00:00:00Z", "2026-12-01T00:00:00.000Z"],
    ["resets 12am (UTC)", "2026-11-27T00:00:00.000Z"],
    ["resets 12pm (UTC)", "2026-11-26T12:00:00.000Z"],
  ])("is read from %j", (text, expected) => {
    expect(at(text)).toBe(expected)
  })

  it("by a clock of this machine is the next time that it shows", () => {
    const found = ResetTime.find("You've hit your usage limit. Upgrade to Pro, or try again at 1:33 PM.", now) ?? 0
    expect(new Date(found).toLocaleTimeString("en-US", { hour: "numeric", minute: "2-digit" })).toBe("1:33 PM")
    expect(found).toBeGreaterThan(now)
    expect(found - now).toBeLessThanOrEqual(86_400_000)
  })

  it("is found on the day on which the clocks change", () => {
    const eve = Date.parse("2026-03-28T20:00:00Z")
    expect(new Date(ResetTime.find("resets 3:30am (Europe/Berlin)", eve) ?? 0).toISOString()).toBe("2026-03-29T01:30:00.000Z")
  })

  it.each(["Too many requests", "limit of 3 reached", "error at line 12", "exit after 2", ""])("is not read from %j", (text) => {
    expect(at(text)).toBeUndefined()
  })
})
