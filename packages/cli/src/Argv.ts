/**
 * Normalises command lines into the form that the parser of `@effect/cli` accepts: options first and spelled out, then arguments.
 * Input may have options anywhere, values after `=`, and booleans with or without a value (`--wait`, `--wait true`,
 * `--wait=false`).
 */
import { nearestWord } from "@smithers/core/Names"
import * as Either from "effect/Either"

/** Value of an option: none or a boolean, an optional one, or a required one. */
export type OptionKind = "flag" | "switch" | "value"

/** Spelling of an option. */
export interface Spelled {
  readonly name: string
  readonly alias: string | undefined
  readonly kind: OptionKind
  /** `true` if the option is repeatable. Otherwise the last value counts. */
  readonly isRepeated: boolean
}

const yes = new Set(["true", "yes", "1", "on"])
const no = new Set(["false", "no", "0", "off"])

/** Token of a command line: an option with its value, or an argument. */
type Token =
  | { readonly _tag: "Option"; readonly option: Spelled; readonly name: string; readonly value: string | undefined }
  | { readonly _tag: "Unknown"; readonly name: string }
  | { readonly _tag: "Argument"; readonly text: string }

/** Tokenises a command line. A value may look like an option, and everything after `--` is an argument. */
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

/** Returns `true` if a line sets one of these options. They may be options that the command lacks. */
export const asksFor = (options: ReadonlyArray<Spelled>, argv: ReadonlyArray<string>, names: ReadonlyArray<string>): boolean => {
  const last = read(options, argv).findLast((token) => token._tag !== "Argument" && names.includes(token.name))
  return last !== undefined && !(last._tag === "Option" && no.has(last.value ?? ""))
}

/** Normalises the arguments of a command. Fails with a description of the problem. */
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
        if (!yes.has(said) && !no.has(said)) return Either.left(`${name} must be true or false, not ${JSON.stringify(said)}`)
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

/** Prefix of a value that the parser would take for the end of all options. No process argument can contain it. */
const shielding = "\u0000"

const shield = (value: string): string => (value === "--" ? `${shielding}${value}` : value)

/** Returns the value of an option as it was typed. */
export const unshield = (value: string): string => (value.startsWith(shielding) ? value.slice(shielding.length) : value)

const unknown = (name: string, known: ReadonlyArray<string>): string => {
  const near = nearestWord(name, known)
  return `There is no option ${name}${near === undefined ? "." : `. Did you mean ${near}?`}`
}
