/**
 * The row of an approval: what was decided, by whom and when. Both front ends give the same row; an author's own schema may leave
 * fields out, or know what is not there as absent instead of null.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Codec } from "./Codec.ts"

/**
 * Gives who approved or denied, when (ISO 8601), and what they said. Where nobody decided in time, `timedOut` is true, and `decidedBy` and `decidedAt` are
 * null. A person who gives no name has `decidedBy: null` as well.
 */
export const Decision = Schema.Struct({
  approved: Schema.Boolean,
  note: Schema.NullOr(Schema.String),
  decidedBy: Schema.NullOr(Schema.String),
  decidedAt: Schema.NullOr(Schema.String),
  // Rows of an older version do not say.
  timedOut: Schema.optionalWith(Schema.Boolean, { default: () => false }),
})
export type Decision = typeof Decision.Type

/**
 * The forms of a row that an author's schema may take, the preferred one last: with null for what is not there, or without it; and with `timedOut`, or
 * without it.
 */
export const formsOf = (decision: Decision): ReadonlyArray<object> => {
  const { approved, timedOut, ...fields } = decision
  let forms: ReadonlyArray<object> = [{ approved }]
  for (const [name, value] of Object.entries(fields))
    forms = forms.flatMap((form) => (value === null ? [form, { ...form, [name]: null }] : [{ ...form, [name]: value }]))
  return forms.flatMap((form) => [form, { ...form, timedOut }])
}

/** One of each kind of row. */
const samples = (approved: boolean): ReadonlyArray<Decision> => [
  { approved, note: "a note", decidedBy: "someone", decidedAt: "2026-01-01T00:00:00.000Z", timedOut: false },
  { approved, note: null, decidedBy: null, decidedAt: "2026-01-01T00:00:00.000Z", timedOut: false },
  { approved, note: null, decidedBy: null, decidedAt: null, timedOut: true },
]

/**
 * Finds out whether a schema takes what can be decided: only approvals, or denials too. Answers with the first row that it refuses and why.
 * A schema that cannot be asked at once is not asked.
 */
export const refusedBy = (
  codec: Codec<unknown, unknown>,
  canBeDenied: boolean,
): { readonly row: Decision; readonly issues: ReadonlyArray<string> } | undefined => {
  for (const row of canBeDenied ? [true, false].flatMap(samples) : samples(true)) {
    let issues: ReadonlyArray<string> | undefined
    const isTaken = formsOf(row).some((form) => {
      const accepted = codec.accept(form)
      if (!Either.isEither(accepted) || Either.isRight(accepted)) return true
      issues = accepted.left as ReadonlyArray<string>
      return false
    })
    if (!isTaken) return { row, issues: issues ?? [] }
  }
  return undefined
}
