/**
 * Lists of words in SQL, made from where the words are declared.
 */

/** The right side of an `IN`. The words are our own, and hold no quotes. */
export const inList = <A extends string>(words: ReadonlyArray<A>): string => `(${words.map((word) => `'${word}'`).join(", ")})`
