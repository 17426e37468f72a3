/**
 * The times of a cron expression in a time zone. `Cron` of Effect finds the matching wall-clock times; their instants are found here,
 * since a clock that is set back shows some times twice, and one that is set ahead leaves some out:
 *
 * - An expression of certain hours fires once for each matching time of day: a time that is shown twice at the first, one that is left
 *   out as long after the change as it would have been (02:30 becomes 03:30).
 * - An expression of every hour (`*`) goes by elapsed time: it fires at both, and not for times that are left out.
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Millis from "../Millis.ts"

/** A cron expression in a time zone. */
export interface Ticks {
  /** The first tick after a time. */
  readonly after: (time: Millis.Millis) => Millis.Millis
}

const dayMs = 86_400_000

const macros: { readonly [name: string]: string } = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
}

/** A part of a schedule that cannot be used, in words that follow its name. */
export interface Problem {
  readonly of: "cron" | "tz"
  readonly expected: string
}

const fields = "minute, hour, day of the month, month and day of the week"

/** Reads a cron expression of five fields, or a name such as `@daily`, in a zone of the IANA database. */
export const make = (cron: string, tz: string): Either.Either<Ticks, Problem> => {
  const wrong = (of: Problem["of"], expected: string) => Either.left({ of, expected })
  const zone = Option.getOrUndefined(DateTime.zoneMakeNamed(tz))
  if (zone === undefined) return wrong("tz", 'a time zone such as "Europe/Berlin" or "UTC"')
  const expression = macros[cron.trim().toLowerCase()] ?? cron.trim()
  if (expression.split(/\s+/).length !== 5)
    return wrong("cron", `five fields (${fields}), such as "30 2 * * *", or one of ${Object.keys(macros).join(", ")}`)
  const parsed = Cron.parse(expression, "UTC")
  if (Either.isLeft(parsed)) return wrong("cron", `five fields (${fields}): ${parsed.left.message}`)
  const matching = parsed.right
  const isOfEveryHour = matching.hours.size === 0 || matching.hours.size === 24

  const offsetAt = (time: number): number => DateTime.zonedOffset(DateTime.unsafeMakeZoned(time, { timeZone: zone }))
  /** The instants of a time on the wall, which is written as if it were in UTC, and the earliest that it could be. */
  const instantsOf = (wall: number): { readonly instants: ReadonlyArray<number>; readonly earliest: number } => {
    const [before, after] = [offsetAt(wall - dayMs), offsetAt(wall + dayMs)]
    if (before === after) return { instants: [wall - before], earliest: wall - before }
    const shown = [wall - before, wall - after].filter((time) => time + offsetAt(time) === wall).sort((one, other) => one - other)
    const earliest = wall - Math.max(before, after)
    if (isOfEveryHour) return { instants: shown, earliest }
    return { instants: [shown[0] ?? wall - before], earliest }
  }
  const after = (time: number): number => {
    const here = time + offsetAt(time)
    const isNearChange = new Set([-2, -1, 0, 1].map((days) => offsetAt(time + days * dayMs))).size > 1
    // Right before it the clock may have been set back or ahead, by a day at most.
    let wall = here - (isNearChange ? dayMs + 1 : 1)
    let first = Number.POSITIVE_INFINITY
    for (;;) {
      wall = Cron.next(matching, wall).getTime()
      const { instants, earliest } = instantsOf(wall)
      if (earliest >= first) return first
      for (const instant of instants) if (instant > time && instant < first) first = instant
    }
  }
  try {
    after(Date.UTC(2026, 0, 1))
  } catch {
    return wrong("cron", "an expression that matches a date: it matches none")
  }
  return Either.right({ after: (time) => Millis.make(after(time)) })
}
