/**
 * What comes of a render at another time: that what is drawn follows from the clock can then be seen in two renders, however soon the one
 * follows the other.
 */

/** Milliseconds between the two times: more than a year, and a part of each unit of time. */
const shiftMs = 400 * 86_400_000 + 5_025_678

/** Runs something synchronous that is told a later time by `Date`. */
export const elsewhen = <A>(run: () => A): A => {
  const { Date: real } = globalThis
  const now = (): number => real.now() + shiftMs
  globalThis.Date = new Proxy(real, {
    apply: () => new real(now()).toString(),
    construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made) as Date,
    get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
  })
  try {
    return run()
  } finally {
    globalThis.Date = real
  }
}
