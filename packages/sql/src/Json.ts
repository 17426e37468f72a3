/**
 * JSON text that reads back equal.
 */
import type { Json } from "@smithers/core/Codec"

const zero = /(^|[:[,])0([,\]}]|$)/

// Not in TypeScript's library yet.
const { rawJSON } = JSON as typeof JSON & { readonly rawJSON: (text: string) => unknown }

/**
 * Writes JSON text. `JSON.stringify` forgets the sign of -0, which JSON text can hold; it is asked to look only where there is
 * a zero at all.
 */
export const write = (value: Json): string => {
  const text = JSON.stringify(value)
  return zero.test(text) ? JSON.stringify(value, (_, item: Json) => (Object.is(item, -0) ? rawJSON("-0") : item)) : text
}

/** Writes what may be absent. */
export const writeOptional = (value: Json | undefined): string | null => (value === undefined ? null : write(value))

/** Reads what {@link writeOptional} wrote. */
export const readOptional = (text: string | null): Json | undefined => (text === null ? undefined : (JSON.parse(text) as Json))
