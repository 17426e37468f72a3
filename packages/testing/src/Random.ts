/** Random numbers derived from a seed: a stream for choices, and a hash for values that must not depend on the order of choices. */

export interface Random {
  /** Returns a whole number from 0 to `below - 1`. */
  readonly int: (below: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  readonly shuffle: <A>(items: ReadonlyArray<A>) => Array<A>
}

const mix = (value: number): number => {
  let mixed = value
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** Returns a whole number from 0 to 2^32 - 1 that depends on all parts. */
export const hash = (...parts: ReadonlyArray<string | number>): number => {
  let value = 0x811c9dc5
  for (const part of parts) {
    const text = String(part)
    for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
    value = Math.imul(value ^ 0xff, 0x01000193)
  }
  return mix(value)
}

const at = <A>(items: ReadonlyArray<A>, index: number): A => {
  const [item] = items.slice(index, index + 1)
  if (index >= items.length) throw new RangeError("cannot pick an item of an empty list")
  return item as A
}

/** Creates the stream of a seed (mulberry32). */
export const make = (seed: number): Random => {
  let state = mix(seed + 1)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number): number => Math.floor(next() * below)
  return {
    int,
    chance: (probability) => next() < probability,
    pick: (items) => at(items, int(items.length)),
    shuffle: (items) => {
      const shuffled = [...items]
      for (let last = shuffled.length - 1; last > 0; last--) {
        const other = int(last + 1)
        const moved = at(shuffled, last)
        shuffled[last] = at(shuffled, other)
        shuffled[other] = moved
      }
      return shuffled
    },
  }
}
