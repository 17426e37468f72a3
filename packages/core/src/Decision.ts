/**
 * The row of an approval: the decision, its author and its time. Both front ends give the same row. An author's schema may omit
 * fields, or use absent fields for null ones.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Codec } from "./Codec.ts"

/**
 * The decision, its author, its time (ISO 8601) and the note. After a timeout `timedOut` is true, and `decidedBy` and
 * `decidedAt` are null. `decidedBy` is also null for an anonymous decision.
 */
export const Decision = Schema.Struct({
  approved: Schema.Boolean,
  note: Schema.NullOr(Schema.String),
  decidedBy: Schema.NullOr(Schema.String),
  decidedAt: Schema.NullOr(Schema.String),
  // Rows of an older version lack it.
  timedOut: Schema.optionalWith(Schema.Boolean, { default: () => false }),
})
export type Decision = typeof Decision.Type

/** An option of an approval that selects one. */
export interface SelectOption<Key extends string = string> {
  readonly key: Key
  /** Display name. Default: the key. */
  readonly label?: string
  readonly summary?: string
}

/** The row of an approval that selects an option. `selected` is the key of that option, or null after a denial or a timeout. */
export interface Selection<Key extends string = string> extends Decision {
  readonly selected: Key | null
}

/** The schema of a {@link Selection}, of these keys or of any. */
export const selectionOf = (keys: ReadonlyArray<string> | undefined) =>
  Schema.Struct({
    ...Decision.fields,
    selected: Schema.NullOr(keys === undefined || keys.length === 0 ? Schema.String : Schema.Literal(...keys)),
  })

/** The options that a request shows; `undefined` for a request that selects nothing. */
export const optionsIn = (request: unknown): ReadonlyArray<SelectOption> | undefined => {
  const options = typeof request === "object" && request !== null && "options" in request ? request.options : undefined
  return Array.isArray(options) && options.every(isOption) ? options : undefined
}

const isOption = Schema.is(
  Schema.Struct({
    key: Schema.String,
    label: Schema.optionalWith(Schema.String, { exact: true }),
    summary: Schema.optionalWith(Schema.String, { exact: true }),
  }),
)

/** Variants of a row for an author's schema, the preferred one last: with null or absent fields, and with or without `timedOut`. */
export const formsOf = (decision: Decision | Selection): ReadonlyArray<object> => {
  const { approved, timedOut, ...fields } = decision
  let forms: ReadonlyArray<object> = [{ approved }]
  for (const [name, value] of Object.entries(fields))
    forms = forms.flatMap((form) => (value === null ? [form, { ...form, [name]: null }] : [{ ...form, [name]: value }]))
  return forms.flatMap((form) => [form, { ...form, timedOut }])
}

/** One row of each kind. */
const samples = (approved: boolean): ReadonlyArray<Decision> => [
  { approved, note: "a note", decidedBy: "someone", decidedAt: "2026-01-01T00:00:00.000Z", timedOut: false },
  { approved, note: null, decidedBy: null, decidedAt: "2026-01-01T00:00:00.000Z", timedOut: false },
  { approved, note: null, decidedBy: null, decidedAt: null, timedOut: true },
]

/** One row of each kind and option. */
const selections = (keys: ReadonlyArray<string>, canBeDenied: boolean): ReadonlyArray<Selection> => [
  ...samples(true).flatMap((row) => (row.timedOut ? [] : keys.map((selected) => ({ ...row, selected })))),
  ...(canBeDenied ? samples(false).map((row) => ({ ...row, selected: null })) : []),
]

/**
 * Checks whether a schema accepts every possible decision: only approvals, or denials too. Returns the first row it rejects,
 * with the issues. Asynchronous schemas are not checked.
 */
export const refusedBy = (
  codec: Codec<unknown, unknown>,
  canBeDenied: boolean,
  keys?: ReadonlyArray<string>,
): { readonly row: Decision; readonly issues: ReadonlyArray<string> } | undefined => {
  const rows = keys === undefined ? [true, ...(canBeDenied ? [false] : [])].flatMap(samples) : selections(keys, canBeDenied)
  for (const row of rows) {
    let issues: ReadonlyArray<string> | undefined
    const isTaken = formsOf(row).some((form) => {
      const accepted = codec.encode(form)
      if (!Either.isEither(accepted) || Either.isRight(accepted)) return true
      issues = accepted.left as ReadonlyArray<string>
      return false
    })
    if (!isTaken) return { row, issues: issues ?? [] }
  }
  return undefined
}
