/**
 * Definitions of commands, as data. The parser (`@effect/cli`), help, `docs/cli.md`, the schema of the output and the type of the
 * action's options all derive from them. A definition loads nothing that runs; its action is loaded when it is called.
 */

import * as Args from "@effect/cli/Args"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import { nearestWord } from "@smithers/core/Names"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { type OptionKind, unshield } from "./Argv.ts"
import type { Tagged } from "./Errors.ts"
import type { ExitCode } from "./Exit.ts"
import type { Host } from "./Host.ts"
import type * as Output from "./Output.ts"
import type { Screen } from "./Screen.ts"

interface Described {
  /** Noun phrase or one or two sentences in the present tense. */
  readonly description: string
}

/** A positional argument. */
export interface Argument<A> extends Described {
  readonly _tag: "Argument"
  readonly name: string
  readonly isOptional: boolean
  /** Values to offer in completion; empty if there are none. */
  readonly choices: ReadonlyArray<string>
  /** Makes its parser. Of all commands, only one is parsed in a process. */
  readonly args: () => Args.Args<A>
}

/** An option. */
export interface NamedOption<A> extends Described {
  readonly _tag: "Option"
  readonly name: string
  readonly alias: string | undefined
  readonly kind: OptionKind
  /** Placeholder of the value in help texts. */
  readonly placeholder: string | undefined
  readonly isRepeated: boolean
  /** Accepted values; empty if any value is. */
  readonly choices: ReadonlyArray<string>
  /** Makes its parser. */
  readonly options: () => Options.Options<A>
}

export type Parameter<A> = Argument<A> | NamedOption<A>

type Parameters = { readonly [name: string]: Parameter<unknown> }

/** Options and arguments of an action, parsed. */
export type Parsed<P extends Parameters> = { readonly [K in keyof P]: P[K] extends Parameter<infer A> ? A : never } & {
  /** Value of `--db`. */
  readonly db: string | undefined
}

/** Result of a command: its value for `--json`, the same as text, and the exit code. */
export interface Reply {
  /** Value that the `output` schema of the command decodes to. A command that has printed its output already returns none. */
  readonly value: unknown
  readonly text: string
  readonly code?: ExitCode
}

/** Implementation of a command. */
export type Action<P extends Parameters> = (parameters: Parsed<P>) => Effect.Effect<Reply, Tagged, Screen | Host>

/** An example command line with a description. */
export interface Example {
  readonly line: string
  readonly does: string
}

/** A list of a help text: names, each with a description. */
export interface HelpList {
  readonly title: string
  readonly rows: ReadonlyArray<readonly [name: string, description: string]>
}

/**
 * Behaviour of a command when standard output closes: exit with 0, stop as if by a signal, or continue, for commands whose purpose
 * is not their output.
 */
export type OnBrokenPipe = "exit" | "interrupt" | "ignore"

/** The schema of an output, by its name in {@link Output}: it is loaded by who prints JSON, and others start sooner. */
export type OutputName = {
  readonly [Name in keyof typeof Output]: (typeof Output)[Name] extends Schema.Schema.AnyNoContext ? Name : never
}[keyof typeof Output]

/** A command. */
export interface Definition {
  /** Words of the command: `["workflow", "list"]`. */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly summary: string
  readonly details: string | undefined
  /** Further lists of help and documentation. */
  readonly lists: ReadonlyArray<HelpList>
  readonly examples: readonly [Example, ...ReadonlyArray<Example>]
  readonly arguments: ReadonlyArray<Argument<unknown>>
  readonly options: ReadonlyArray<NamedOption<unknown>>
  /** Schema of the `--json` output: one document, or one per line if `isStream`. */
  readonly output: OutputName
  readonly isStream: boolean
  readonly onBrokenPipe: OnBrokenPipe
  readonly descriptor: CommandDescriptor.Command<unknown>
  /** Loads the action and calls it with the values that the descriptor has parsed. */
  readonly run: (parsed: unknown) => Promise<Effect.Effect<Reply, Tagged, Screen | Host>>
}

/** Options of {@link define}. */
export interface DefinitionOptions<P extends Parameters> {
  readonly path: Definition["path"]
  /** One sentence that opens with a verb. */
  readonly summary: string
  /** Further sentences for help and documentation. */
  readonly details?: string
  /** Further lists for help and documentation. Default: none. */
  readonly lists?: ReadonlyArray<HelpList>
  readonly examples: Definition["examples"]
  readonly parameters: P
  readonly output: OutputName
  readonly isStream?: boolean
  /** Default: `end`. */
  readonly onBrokenPipe?: OnBrokenPipe
  readonly action: () => Promise<Action<P>>
}

const orUndefined = Option.getOrUndefined

/** Defines a required argument. */
export const argument = (name: string, description: string, choices: ReadonlyArray<string> = []): Argument<string> => ({
  _tag: "Argument",
  name,
  description,
  isOptional: false,
  choices,
  args: () => Args.withDescription(Args.text({ name }), description),
})

/** Defines an optional argument. */
export const optionalArgument = (
  name: string,
  description: string,
  choices: ReadonlyArray<string> = [],
): Argument<string | undefined> => ({
  _tag: "Argument",
  name,
  description,
  isOptional: true,
  choices,
  args: () => Args.map(Args.optional(Args.withDescription(Args.text({ name }), description)), orUndefined),
})

const named = <A>(
  name: string,
  description: string,
  kind: OptionKind,
  options: () => Options.Options<A>,
  more: Partial<NamedOption<A>>,
) => ({
  _tag: "Option" as const,
  name,
  description,
  kind,
  alias: more.alias,
  placeholder: more.placeholder,
  isRepeated: more.isRepeated ?? false,
  choices: more.choices ?? [],
  options: () => (more.alias === undefined ? options() : Options.withAlias(options(), more.alias)),
})

/** Defines a boolean option: `true` if given, alone or as `true`; otherwise `false`. */
export const flag = (name: string, description: string, alias?: string): NamedOption<boolean> =>
  named(
    name,
    description,
    "flag",
    () => Options.withDescription(Options.boolean(name), description),
    alias === undefined ? {} : { alias },
  )

/** Defines an option with a value. */
export const text = (name: string, placeholder: string, description: string): NamedOption<string | undefined> => {
  const options = () => {
    const typed = Options.map(Options.text(name), unshield)
    const option = Options.withPseudoName(Options.withDescription(typed, description), placeholder)
    return Options.map(Options.optional(option), orUndefined)
  }
  return named(name, description, "value", options, { placeholder })
}

/** Defines an option with an optional value. Default: `true`. */
export const optionalText = (name: string, placeholder: string, description: string): NamedOption<string | undefined> => ({
  ...text(name, placeholder, description),
  kind: "switch",
})

/** Parses a value. `Left` is the problem, as the end of a sentence that begins with the option. */
type Read<A> = (text: string) => Either.Either<A, string>

/** Parses the values of an option. `@effect/cli` itself reports invalid values without the name of the option. */
const parsing =
  <A>(name: string, read: Read<A>) =>
  (text: string): Effect.Effect<A, ValidationError.ValidationError> =>
    Either.mapLeft(read(text), (problem) => ValidationError.invalidValue(HelpDoc.p(`--${name} ${problem}`)))

const readInteger =
  (least: number): Read<number> =>
  (text) => {
    const value = Number(text)
    if (text.trim() === "" || !Number.isSafeInteger(value))
      return Either.left(`must be a whole number, not ${JSON.stringify(text)}`)
    return value < least ? Either.left(`must be at least ${least}`) : Either.right(value)
  }

const readChoice =
  <A extends string>(choices: ReadonlyArray<A>): Read<A> =>
  (text) => {
    const found = choices.find((one) => one === text)
    if (found !== undefined) return Either.right(found)
    const near = nearestWord(text, choices)
    const meant = near === undefined ? "" : `. Did you mean ${near}?`
    return Either.left(`must be one of ${choices.join(", ")}, not ${JSON.stringify(text)}${meant}`)
  }

const orNot = <A>(text: string | undefined, read: (text: string) => Effect.Effect<A, ValidationError.ValidationError>) =>
  text === undefined ? Effect.succeed(undefined) : read(text)

/** Defines an option with an integer. Default minimum: 0. */
export const integer = (name: string, description: string, least = 0): NamedOption<number | undefined> => {
  const read = parsing(name, readInteger(least))
  const { options } = text(name, "number", description)
  return named(name, description, "value", () => Options.mapEffect(options(), (value) => orNot(value, read)), {
    placeholder: "number",
  })
}

/** Defines an option with a fixed set of values. */
export const choice = <const A extends string>(
  name: string,
  choices: ReadonlyArray<A>,
  description: string,
): NamedOption<A | undefined> => {
  const read = parsing(name, readChoice(choices))
  const placeholder = choices.join("|")
  const { options } = text(name, placeholder, description)
  return named(name, description, "value", () => Options.mapEffect(options(), (value) => orNot(value, read)), {
    placeholder,
    choices,
  })
}

/** Defines a repeatable option. */
export const texts = (name: string, placeholder: string, description: string): NamedOption<ReadonlyArray<string>> => {
  const options = () => {
    const option = Options.withPseudoName(Options.withDescription(Options.text(name), description), placeholder)
    return Options.map(Options.repeated(option), (values) => values.map(unshield))
  }
  return named(name, description, "value", options, { placeholder, isRepeated: true })
}

/** Defines a repeatable option with a fixed set of values. */
export const choices = <const A extends string>(
  name: string,
  values: ReadonlyArray<A>,
  description: string,
  placeholder = values.join("|"),
): NamedOption<ReadonlyArray<A>> => {
  const read = parsing(name, readChoice(values))
  const { options } = texts(name, placeholder, description)
  return named(name, description, "value", () => Options.mapEffect(options(), (value) => Effect.forEach(value, read)), {
    placeholder,
    isRepeated: true,
    choices: values,
  })
}

/** Options of every command. */
export const globals = {
  db: text(
    "db",
    "file",
    "The database: a file or sqlite:<file>. Default: SMITHERS_DB, or the nearest smithers.db in this folder or above",
  ),
  json: flag("json", "Print results and errors as JSON, and nothing else"),
}

const isArgument = (parameter: Parameter<unknown>): parameter is Argument<unknown> => parameter._tag === "Argument"

export const define = <const P extends Parameters>(options: DefinitionOptions<P>): Definition => {
  const { path, summary, details, lists = [], examples, output, isStream = false, onBrokenPipe = "exit", action } = options
  const parameters = Object.entries({ ...options.parameters, ...globals })
  const args = parameters.flatMap(([key, parameter]) => (isArgument(parameter) ? [[key, parameter] as const] : []))
  const opts = parameters.flatMap(([key, parameter]) => (isArgument(parameter) ? [] : [[key, parameter] as const]))
  const parser = () =>
    CommandDescriptor.make(
      path.at(-1) as string,
      Options.all(Object.fromEntries(opts.map(([key, { options }]) => [key, options()]))),
      args.length === 0 ? Args.none : Args.all(Object.fromEntries(args.map(([key, { args }]) => [key, args()]))),
    )
  return {
    path,
    summary,
    details,
    lists,
    examples,
    arguments: args.map(([, argument]) => argument),
    options: opts.map(([, option]) => option),
    output,
    isStream,
    onBrokenPipe,
    get descriptor() {
      return CommandDescriptor.withDescription(parser(), summary)
    },
    run: async (parsed) => {
      const { options, args } = parsed as { readonly options: object; readonly args: object }
      // The descriptor has these same parameters.
      return (await action())({ ...options, ...args } as Parsed<P>)
    },
  }
}
