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

/** A token of a line, as it is meant: an option with what it was given, or an argument. */
type Token =
  | { readonly _tag: "Option"; readonly option: Spelled; readonly name: string; readonly value: string | undefined }
  | { readonly _tag: "Unknown"; readonly name: string }
  | { readonly _tag: "Argument"; readonly text: string }

/** Reads a line. The value of an option is no option, whatever it looks like, and nothing after `--` is one. */
const read = (options: ReadonlyArray<Spelled>, argv: ReadonlyArray<string>): ReadonlyArray<Token> => {
  const byName = new Map<string, Spelled>()
  for (const option of options) {
    byName.set(`--${option.name}`, option)
    if (option.alias !== undefined) byName.set(`-${option.alias}`, option)
  }
  const tokens: Array<Token> = []
  const rest = [...argv]
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === "--") {
      for (const text of rest) tokens.push({ _tag: "Argument", text })
      break
    }
    if (!/^-./.test(token) || /^-\d/.test(token)) {
      tokens.push({ _tag: "Argument", text: token })
      continue
    }
    const equals = token.indexOf("=")
    const name = equals < 0 ? token : token.slice(0, equals)
    const option = byName.get(name) ?? (name.startsWith("--no-") ? byName.get(`--${name.slice(5)}`) : undefined)
    if (option === undefined) {
      tokens.push({ _tag: "Unknown", name })
      continue
    }
    const [next] = rest
    const takesNext = {
      flag: next === "true" || next === "false",
      switch: next !== undefined && !/^-./.test(next),
      value: true,
    }[option.kind]
    const value = equals >= 0 ? token.slice(equals + 1) : takesNext ? rest.shift() : undefined
    tokens.push({ _tag: "Option", option, name, value })
  }
  return tokens
}

/** Whether a line asks for one of these options, which need not be among those that the command has. */
export const asksFor = (options: ReadonlyArray<Spelled>, argv: ReadonlyArray<string>, names: ReadonlyArray<string>): boolean => {
  const last = read(options, argv).findLast((token) => token._tag !== "Argument" && names.includes(token.name))
  return last !== undefined && !(last._tag === "Option" && no.has(last.value ?? ""))
}

/** Puts the arguments of a command into order. Fails with what is wrong with them. */
export const normalise = (
  options: ReadonlyArray<Spelled>,
  argv: ReadonlyArray<string>,
): Either.Either<ReadonlyArray<string>, string> => {
  const tokens = read(options, argv)
  const found = new Map<Spelled, Array<string>>()
  const give = (option: Spelled, ...value: ReadonlyArray<string>): void => {
    const others = option.isRepeated ? (found.get(option) ?? []) : []
    found.set(option, [...others, `--${option.name}`, ...value.map(shield)])
  }
  for (const token of tokens) {
    if (token._tag === "Argument") continue
    if (token._tag === "Unknown") {
      const known = options.flatMap(({ name, alias }) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])])
      return Either.left(unknown(token.name, known))
    }
    const { option, name, value } = token
    switch (option.kind) {
      case "flag": {
        const said = value ?? "true"
        if (!yes.has(said) && !no.has(said)) return Either.left(`${name} is true or false, not ${JSON.stringify(said)}`)
        const isNegated = name !== `--${option.name}` && name !== `-${option.alias}`
        if (yes.has(said) !== isNegated) give(option)
        else found.delete(option)
        break
      }
      case "switch":
        give(option, value ?? "true")
        break
      case "value":
        if (value === undefined) return Either.left(`${name} needs a value`)
        give(option, value)
    }
  }
  const before = [...found.values()].flat()
  const after = tokens.flatMap((token) => (token._tag === "Argument" ? [token.text] : []))
  return Either.right(after.length === 0 ? before : [...before, "--", ...after])
}

/** Stands before a value that the parser would take for the end of all options. No argument of a process holds it. */
const shielding = "\u0000"

const shield = (value: string): string => (value === "--" ? `${shielding}${value}` : value)

/** The value of an option as it was typed. */
export const unshield = (value: string): string => (value.startsWith(shielding) ? value.slice(shielding.length) : value)

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
