/**
 * What people type, put into the one form that the parser of `@effect/cli` takes: options first and in full, then arguments. Options may
 * stand anywhere, values may follow a `=`, and options that are true or false may say so or not (`--wait`, `--wait true`, `--wait=false`).
 */
import * as Either from "effect/Either"

/** What an option takes: nothing or a boolean, something or nothing, or a value. */
export type OptionKind = "flag" | "switch" | "value"

/** An option as far as its spelling goes. */
export interface Spelled {
  readonly name: string
  readonly alias: string | undefined
  readonly kind: OptionKind
  /** Whether it may be given more than once; otherwise the last one counts. */
  readonly isRepeated: boolean
}

const yes = new Set(["true", "yes", "1", "on"])
const no = new Set(["false", "no", "0", "off"])

/** Puts the arguments of a command into order. Fails with what is wrong with them. */
export const normalise = (
  options: ReadonlyArray<Spelled>,
  argv: ReadonlyArray<string>,
): Either.Either<ReadonlyArray<string>, string> => {
  const byName = new Map<string, Spelled>()
  for (const option of options) {
    byName.set(`--${option.name}`, option)
    if (option.alias !== undefined) byName.set(`-${option.alias}`, option)
  }
  const found = new Map<Spelled, Array<string>>()
  const give = (option: Spelled, ...value: ReadonlyArray<string>): void => {
    const others = option.isRepeated ? (found.get(option) ?? []) : []
    found.set(option, [...others, `--${option.name}`, ...value])
  }
  const after: Array<string> = []
  const rest = [...argv]
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === "--") {
      after.push(...rest)
      break
    }
    if (!/^-./.test(token) || /^-\d/.test(token)) {
      after.push(token)
      continue
    }
    const equals = token.indexOf("=")
    const name = equals < 0 ? token : token.slice(0, equals)
    const given = equals < 0 ? undefined : token.slice(equals + 1)
    const negated = name.startsWith("--no-") ? byName.get(`--${name.slice(5)}`) : undefined
    const option = byName.get(name) ?? negated
    if (option === undefined) return Either.left(unknown(name, [...byName.keys()]))
    const next = rest[0]
    switch (option.kind) {
      case "flag": {
        const isBoolean = next !== undefined && (next === "true" || next === "false")
        const said = given ?? (isBoolean ? (rest.shift() as string) : "true")
        if (!yes.has(said) && !no.has(said)) return Either.left(`${name} is true or false, not ${JSON.stringify(said)}`)
        if (yes.has(said) !== (option === negated)) give(option)
        else found.delete(option)
        break
      }
      case "switch": {
        const isValue = next !== undefined && !/^-./.test(next)
        give(option, given ?? (isValue ? (rest.shift() as string) : "true"))
        break
      }
      case "value": {
        const value = given ?? rest.shift()
        if (value === undefined) return Either.left(`${name} needs a value`)
        give(option, value)
      }
    }
  }
  const before = [...found.values()].flat()
  return Either.right(after.length === 0 ? before : [...before, "--", ...after])
}

const unknown = (name: string, known: ReadonlyArray<string>): string => {
  const near = nearest(name, known)
  return `There is no option ${name}${near === undefined ? "" : `; did you mean ${near}?`}`
}

/** The one of some words that is most like a word, if any is much like it. */
export const nearest = (word: string, words: ReadonlyArray<string>): string | undefined => {
  let best: string | undefined
  let least = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const other of words) {
    const cost = other.startsWith(word) && word.length > 3 ? 1 : distance(word, other)
    if (cost < least) [best, least] = [other, cost]
  }
  return best
}

/** How many letters must be added, dropped or changed. */
const distance = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const change = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row.at(-1) as number
}
