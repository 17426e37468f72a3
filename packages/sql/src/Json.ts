/**
 * JSON text that decodes to equal values.
 */
import type { Json } from "@smithers/core/Codec"

const zero = /(^|[:[,])0([,\]}]|$)/

// Missing in TypeScript's library.
const { rawJSON } = JSON as typeof JSON & { readonly rawJSON: (text: string) => unknown }

/**
 * Encodes JSON text. `JSON.stringify` drops the sign of -0, which JSON can represent. The check for it runs only if the text
 * contains a zero.
 */
export const write = (value: Json): string => {
  const text = JSON.stringify(value)
  return zero.test(text) ? JSON.stringify(value, (_, item: Json) => (Object.is(item, -0) ? rawJSON("-0") : item)) : text
}

/** Encodes an optional value. */
export const writeOptional = (value: Json | undefined): string | null => (value === undefined ? null : write(value))

/** Decodes the result of {@link writeOptional}. */
export const readOptional = (text: string | null): Json | undefined => (text === null ? undefined : (JSON.parse(text) as Json))
