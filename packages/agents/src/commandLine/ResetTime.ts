/**
 * Reads the time at which a limit ends from the text of an agent, which is written for people: "try again at 1:33 PM", "resets 3pm
 * (Europe/Berlin)", "in 2 hours 13 minutes", "|1767225600".
 */

/** Milliseconds by the first letters of a unit. */
const units: ReadonlyArray<readonly [unit: RegExp, ms: number]> = [
  [/^(?:milliseconds?|millis|ms)$/i, 1],
  [/^(?:seconds?|secs?|s)$/i, 1000],
  [/^(?:minutes?|mins?|m)$/i, 60_000],
  [/^(?:hours?|hrs?|h)$/i, 3_600_000],
  [/^(?:days?|d)$/i, 86_400_000],
  [/^(?:weeks?|w)$/i, 604_800_000],
]

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const amount = String.raw`\d+(?:\.\d+)?\s*(?:milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)(?![a-z])`
const span = new RegExp(String.raw`\b(?:in|after|within)\s+(${amount}(?:(?:\s*,\s*|\s+and\s+|\s*)${amount})*)`, "i")
const clock = String.raw`(\d{1,2})(?::(\d{2}))?\s*(am|pm)?`
const month = String.raw`(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?`
const dated = new RegExp(
  String.raw`\b(?:at|until|resets?|on|after)\b[^\d\n]{0,12}${month}\s+(\d{1,2})(?:st|nd|rd|th)?,?(?:\s+(\d{4}))?,?(?:\s+at)?\s+${clock}\b`,
  "i",
)
const timed = new RegExp(String.raw`\b(?:at|until|resets?|after)\s+(?:at\s+)?${clock}\b`, "i")
const iso = /\b(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)/
const zone = /\(([A-Za-z_]+(?:\/[A-Za-z_+-]+)*)\)/
const day = 86_400_000

/** Returns the end of a limit in epoch milliseconds; `undefined` if the text does not say. A time of day is the next one after `now`. */
export const find = (text: string, now: number): number | undefined => {
  const [, epoch] = /\|\s*(\d{10}|\d{13})\b/.exec(text) ?? []
  if (epoch !== undefined) return epoch.length === 10 ? Number(epoch) * 1000 : Number(epoch)
  const [, date] = iso.exec(text) ?? []
  const parsed = date === undefined ? Number.NaN : Date.parse(date)
  if (!Number.isNaN(parsed)) return parsed
  const [, spanned] = span.exec(text) ?? []
  if (spanned !== undefined) return now + spanOf(spanned)
  const named = zone.exec(text)?.[1]
  const timeZone = named !== undefined && isZone(named) ? named : undefined
  const [, monthName, dayOfMonth, year, ...time] = dated.exec(text) ?? []
  if (monthName !== undefined) {
    const index = months.indexOf(monthName.toLowerCase())
    const of = (year: number) => inZone([year, index, Number(dayOfMonth)], hourOf(time), timeZone)
    const current = partsOf(now, timeZone).year
    if (year !== undefined) return of(Number(year))
    return of(current) < now ? of(current + 1) : of(current)
  }
  const at = timed.exec(text)
  if (at === null || (at[2] === undefined && at[3] === undefined)) return undefined
  const today = partsOf(now, timeZone)
  const next = (days: number) => inZone([today.year, today.month, today.day + days], hourOf(at.slice(1)), timeZone)
  return next(0) <= now ? next(1) : next(0)
}

const spanOf = (text: string): number => {
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/gi)) {
    const found = units.find(([name]) => name.test(unit ?? ""))
    total += Number(count) * (found?.[1] ?? 0)
  }
  return total
}

/** Hour and minute of a time as it is written. */
const hourOf = ([hour, minute, half]: ReadonlyArray<string | undefined>): readonly [hour: number, minute: number] => {
  const hours = Number(hour)
  const isHalf = half !== undefined
  const isAfternoon = half?.toLowerCase() === "pm"
  return [isHalf ? (hours % 12) + (isAfternoon ? 12 : 0) : hours, Number(minute ?? 0)]
}

const isZone = (name: string): boolean => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** The parts of an instant as a clock in a zone shows it. Default: the zone of this machine. */
const partsOf = (instant: number, timeZone: string | undefined) => {
  const format = new Intl.DateTimeFormat("en-US", {
    ...(timeZone === undefined ? {} : { timeZone }),
    ...{
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
      hourCycle: "h23",
    },
  })
  const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
  const of = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0
  return { year: of("year"), month: of("month") - 1, day: of("day"), hour: of("hour"), minute: of("minute"), second: of("second") }
}

/** The instant at which a clock in a zone shows a time. */
const inZone = (
  [year, monthIndex, date]: readonly [year: number, month: number, day: number],
  [hour, minute]: readonly [hour: number, minute: number],
  timeZone: string | undefined,
): number => {
  const wanted = Date.UTC(year, monthIndex, date, hour, minute)
  const offsetAt = (instant: number): number => {
    const shown = partsOf(instant, timeZone)
    return Date.UTC(shown.year, shown.month, shown.day, shown.hour, shown.minute, shown.second) - Math.floor(instant / 1000) * 1000
  }
  // Twice, since the offset may differ between the two instants, where the clocks change.
  const first = wanted - offsetAt(wanted)
  const second = wanted - offsetAt(first)
  return Math.abs(second - first) > day ? first : second
}
