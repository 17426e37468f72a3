/**
 * Fields of objects, where an absent field is another thing than one that is undefined.
 */

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/** Leaves out the fields that are undefined. Costs some 50 ns more than spreading by hand, as is done where each step passes. */
export const defined = <A extends object>(fields: A): Defined<A> => {
  const made: { [K in keyof A]?: A[K] } = {}
  for (const key in fields) if (fields[key] !== undefined) made[key] = fields[key]
  return made as Defined<A>
}
