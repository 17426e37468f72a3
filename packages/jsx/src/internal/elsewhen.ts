/**
 * What comes of a render at another time, and by other chance: that what is drawn follows from them can then be seen in two renders, however soon
 * the one follows the other.
 */

/** Milliseconds to a later time: more than a year, and a part of each unit of time. */
const shiftMs = 400 * 86_400_000 + 5_025_678

/** A time that stands still, and the numbers that chance gives. */
export interface Circumstances {
  readonly now: number
  readonly seed: number
}

/** Runs something synchronous that is told a later time by `Date`. */
export const elsewhen = <A>(run: () => A): A =>
  withGlobals(
    clockOf(() => realNow() + shiftMs),
    run,
  )

/** Runs something synchronous under circumstances: those of `Date`, `performance`, `Math.random` and `crypto`. */
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

/** Where `performance.now` counts from under circumstances. */
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

/** Numbers from 0 to 1 that are the same for a seed: small ones for seed 0, big ones for seed 1, and any for others (mulberry32). */
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
