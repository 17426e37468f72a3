/**
 * Runs authors' functions at other times and with other random numbers, so that two calls in a row reveal a dependence on them.
 */

/** Offset to a later time, in milliseconds: more than a year, and a fraction of each unit of time. */
const shiftMs = 400 * 86_400_000 + 5_025_678

/** A fixed time, and a seed of random numbers. */
export interface Circumstances {
  readonly now: number
  readonly seed: number
}

/** Runs a synchronous function with `Date` set to a later time. */
export const elsewhen = <A>(run: () => A): A =>
  withGlobals(
    clockOf(() => realNow() + shiftMs),
    run,
  )

/** Runs a synchronous function with fixed `Date`, `performance`, `Math.random` and `crypto`. */
export const under = <A>({ now, seed }: Circumstances, run: () => A): A => {
  const random = chance(seed)
  const bytes = <B extends ArrayBufferView>(into: B): B => {
    const view = new Uint8Array(into.buffer, into.byteOffset, into.byteLength)
    for (let index = 0; index < view.length; index++) view[index] = Math.floor(random() * 256)
    return into
  }
  const uuid = (): string => [8, 4, 4, 4, 12].map((length) => Array.from({ length }, () => digit(random())).join("")).join("-")
  return withGlobals(
    [
      ...clockOf(() => now),
      [Math, "random", random],
      [performance, "now", () => now - epoch],
      [crypto, "randomUUID", uuid],
      [crypto, "getRandomValues", bytes],
    ],
    run,
  )
}

const digit = (chosen: number): string => Math.floor(chosen * 16).toString(16)

const realNow = Date.now

/** Origin of `performance.now` with a fixed time. */
const epoch = realNow()

type Replacement = readonly [target: object, name: string, value: unknown]

const clockOf = (now: () => number): ReadonlyArray<Replacement> => {
  const { Date: real } = globalThis
  const told = new Proxy(real, {
    apply: () => new real(now()).toString(),
    construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made) as Date,
    get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
  })
  return [[globalThis, "Date", told]]
}

const withGlobals = <A>(replacements: ReadonlyArray<Replacement>, run: () => A): A => {
  const kept = replacements.map(([target, name]) => Object.getOwnPropertyDescriptor(target, name))
  try {
    for (const [target, name, value] of replacements)
      Object.defineProperty(target, name, { value, configurable: true, enumerable: true, writable: true })
    return run()
  } finally {
    for (const [index, [target, name]] of replacements.entries()) {
      const before = kept[index]
      if (before === undefined) Reflect.deleteProperty(target, name)
      else Object.defineProperty(target, name, before)
    }
  }
}

/**
 * Generates numbers from 0 to 1 by a seed: small ones for seed 0, large ones for seed 1, and arbitrary ones otherwise (mulberry32).
 */
const chance = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    const any = ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
    if (seed === 0) return any / 100
    return seed === 1 ? 1 - (any + 1e-9) / 100 : any
  }
}
