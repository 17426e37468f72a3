/**
 * Helpers for objects in which an absent field differs from an undefined one.
 */

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/**
 * Removes undefined fields. TypeScript lets a spread bring unknown fields into a literal; `bun run spreads` refuses them. Costs
 * about 50 ns more than a conditional spread, which the path of each step uses instead.
 */
export const defined = <A extends object>(fields: A): Defined<A> => {
  const made: { [K in keyof A]?: A[K] } = {}
  for (const key in fields) if (fields[key] !== undefined) made[key] = fields[key]
  return made as Defined<A>
}
