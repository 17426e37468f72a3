/**
 * SQL lists of words, derived from their declarations.
 */

/** Returns the right side of an `IN`. The words are ours and contain no quotes. */
export const inList = <A extends string>(words: ReadonlyArray<A>): string => `(${words.map((word) => `'${word}'`).join(", ")})`
