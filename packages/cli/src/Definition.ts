/**
 * How a command is defined: once, as data, from which come its parser (`@effect/cli`), its help, its line in `docs/cli.md`, the schema of
 * what it prints, and the type of what its action is given. Definitions load nothing that runs; the action is loaded when it is called.
 */
import * as Args from "@effect/cli/Args"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { nearest, type OptionKind, unshield } from "./Argv.ts"
import type { Tagged } from "./Errors.ts"
import type { ExitCode } from "./Exit.ts"
import type { Host } from "./Host.ts"
import type { Screen } from "./Screen.ts"

interface Described {
  /** One or two sentences in the present tense. */
  readonly description: string
}

/** An argument, told from the others by where it stands. */
export interface Argument<A> extends Described {
  readonly _tag: "Argument"
  readonly name: string
  readonly isOptional: boolean
  /** The values that are offered where it is completed; empty where there are none to offer. */
  readonly choices: ReadonlyArray<string>
  readonly args: Args.Args<A>
}

/** An option. */
export interface NamedOption<A> extends Described {
  readonly _tag: "Option"
  readonly name: string
  readonly alias: string | undefined
  readonly kind: OptionKind
  /** What stands for the value in help texts. */
  readonly placeholder: string | undefined
  readonly isRepeated: boolean
  /** The values it takes; empty where it takes any. */
  readonly choices: ReadonlyArray<string>
  readonly options: Options.Options<A>
}

export type Parameter<A> = Argument<A> | NamedOption<A>

type Parameters = { readonly [name: string]: Parameter<unknown> }

/** What an action is given. */
export type Given<P extends Parameters> = { readonly [K in keyof P]: P[K] extends Parameter<infer A> ? A : never } & {
  /** The database that was named. */
  readonly db: string | undefined
}

/** What a command has to say in the end: its value for `--json`, the same for people, and how it went. */
export interface Reply {
  /** In the form that the `output` schema of the command decodes to; nothing is printed of a command that has printed already. */
  readonly value: unknown
  readonly text: string
  readonly code?: ExitCode
}

/** What a command does. */
export type Action<P extends Parameters> = (given: Given<P>) => Effect.Effect<Reply, Tagged, Screen | Host>

/** A command line, and what it does. */
export interface Example {
  readonly line: string
  readonly does: string
}

/**
 * What becomes of a command once nobody reads what it prints: it has printed enough, it is stopped as if by a signal, or it goes on, as
 * printing is not what it is for.
 */
export type WhenUnread = "end" | "stop" | "go on"

/** A command. */
export interface Definition {
  /** Its words: `["workflow", "list"]`. */
  readonly path: readonly [string, ...ReadonlyArray<string>]
  readonly summary: string
  readonly details: string | undefined
  readonly examples: readonly [Example, ...ReadonlyArray<Example>]
  readonly arguments: ReadonlyArray<Argument<unknown>>
  readonly options: ReadonlyArray<NamedOption<unknown>>
  /** What `--json` prints: one such document, or one per line where `isStream`. */
  readonly output: Schema.Schema.AnyNoContext
  readonly isStream: boolean
  readonly whenUnread: WhenUnread
  readonly descriptor: CommandDescriptor.Command<unknown>
  /** Loads and calls the action with what the descriptor has parsed. */
  readonly run: (parsed: unknown) => Promise<Effect.Effect<Reply, Tagged, Screen | Host>>
}

/** What a command is defined by. */
export interface DefinitionOptions<P extends Parameters> {
  readonly path: Definition["path"]
  /** What it does, in one sentence. */
  readonly summary: string
  /** What else there is to know. */
  readonly details?: string
  readonly examples: Definition["examples"]
  readonly parameters: P
  readonly output: Schema.Schema.AnyNoContext
  readonly isStream?: boolean
  /** `end` unless told. */
  readonly whenUnread?: WhenUnread
  readonly action: () => Promise<Action<P>>
}

const orUndefined = Option.getOrUndefined

/** An argument that must be given. */
export const argument = (name: string, description: string, choices: ReadonlyArray<string> = []): Argument<string> => ({
  _tag: "Argument",
  name,
  description,
  isOptional: false,
  choices,
  args: Args.withDescription(Args.text({ name }), description),
})

/** An argument that may be left out. */
export const optionalArgument = (name: string, description: string): Argument<string | undefined> => ({
  _tag: "Argument",
  name,
  description,
  isOptional: true,
  choices: [],
  args: Args.map(Args.optional(Args.withDescription(Args.text({ name }), description)), orUndefined),
})

const named = <A>(
  name: string,
  description: string,
  kind: OptionKind,
  options: Options.Options<A>,
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
  options: more.alias === undefined ? options : Options.withAlias(options, more.alias),
})

/** An option that is true when it is given, alone or as `true`, and false otherwise. */
export const flag = (name: string, description: string, alias?: string): NamedOption<boolean> =>
  named(
    name,
    description,
    "flag",
    Options.withDescription(Options.boolean(name), description),
    alias === undefined ? {} : { alias },
  )

/** An option with a value. */
export const text = (name: string, placeholder: string, description: string): NamedOption<string | undefined> => {
  const typed = Options.map(Options.text(name), unshield)
  const option = Options.withPseudoName(Options.withDescription(typed, description), placeholder)
  return named(name, description, "value", Options.map(Options.optional(option), orUndefined), { placeholder })
}

/** An option whose value may be left out, and then is `true`. */
export const optionalText = (name: string, placeholder: string, description: string): NamedOption<string | undefined> => ({
  ...text(name, placeholder, description),
  kind: "switch",
})

/** Reads a value. `Left` says what is wrong with it, as the end of a sentence that begins with the option. */
type Read<A> = (text: string) => Either.Either<A, string>

/** Has the values of an option read. What `@effect/cli` reads itself it refuses without naming the option. */
const reading =
  <A>(name: string, read: Read<A>) =>
  (text: string): Effect.Effect<A, ValidationError.ValidationError> =>
    Either.mapLeft(read(text), (problem) => ValidationError.invalidValue(HelpDoc.p(`--${name} ${problem}`)))

const readInteger =
  (least: number): Read<number> =>
  (text) => {
    const value = Number(text)
    if (text.trim() === "" || !Number.isSafeInteger(value)) return Either.left(`is a whole number, not ${JSON.stringify(text)}`)
    return value < least ? Either.left(`must be at least ${least}`) : Either.right(value)
  }

const readChoice =
  <A extends string>(choices: ReadonlyArray<A>): Read<A> =>
  (text) => {
    const found = choices.find((one) => one === text)
    if (found !== undefined) return Either.right(found)
    const near = nearest(text, choices)
    const meant = near === undefined ? "" : `; did you mean ${near}?`
    return Either.left(`is one of ${choices.join(", ")}, not ${JSON.stringify(text)}${meant}`)
  }

const orNot = <A>(text: string | undefined, read: (text: string) => Effect.Effect<A, ValidationError.ValidationError>) =>
  text === undefined ? Effect.succeed(undefined) : read(text)

/** An option with a whole number, at least 0 unless told. */
export const integer = (name: string, description: string, least = 0): NamedOption<number | undefined> => {
  const read = reading(name, readInteger(least))
  const { options } = text(name, "number", description)
  return named(
    name,
    description,
    "value",
    Options.mapEffect(options, (given) => orNot(given, read)),
    { placeholder: "number" },
  )
}

/** An option with one of some values. */
export const choice = <const A extends string>(
  name: string,
  choices: ReadonlyArray<A>,
  description: string,
): NamedOption<A | undefined> => {
  const read = reading(name, readChoice(choices))
  const placeholder = choices.join("|")
  const { options } = text(name, placeholder, description)
  return named(
    name,
    description,
    "value",
    Options.mapEffect(options, (given) => orNot(given, read)),
    { placeholder, choices },
  )
}

/** An option that may be given more than once. */
export const texts = (name: string, placeholder: string, description: string): NamedOption<ReadonlyArray<string>> => {
  const option = Options.withPseudoName(Options.withDescription(Options.text(name), description), placeholder)
  const typed = Options.map(Options.repeated(option), (values) => values.map(unshield))
  return named(name, description, "value", typed, { placeholder, isRepeated: true })
}

/** An option that may be given more than once, with one of some values. */
export const choices = <const A extends string>(
  name: string,
  values: ReadonlyArray<A>,
  description: string,
  placeholder = values.join("|"),
): NamedOption<ReadonlyArray<A>> => {
  const read = reading(name, readChoice(values))
  const { options } = texts(name, placeholder, description)
  return named(
    name,
    description,
    "value",
    Options.mapEffect(options, (given) => Effect.forEach(given, read)),
    { placeholder, isRepeated: true, choices: values },
  )
}

/** Options that every command has. */
export const globals = {
  db: text(
    "db",
    "file",
    "The database, a file or sqlite:<file>; otherwise SMITHERS_DB, or the nearest smithers.db upward from here",
  ),
  json: flag("json", "Print JSON, also of errors, and nothing else"),
}

const isArgument = (parameter: Parameter<unknown>): parameter is Argument<unknown> => parameter._tag === "Argument"

/** Defines a command. */
export const define = <const P extends Parameters>(options: DefinitionOptions<P>): Definition => {
  const { path, summary, details, examples, output, isStream = false, whenUnread = "end", action } = options
  const parameters = Object.entries({ ...options.parameters, ...globals })
  const args = parameters.flatMap(([key, parameter]) => (isArgument(parameter) ? [[key, parameter] as const] : []))
  const opts = parameters.flatMap(([key, parameter]) => (isArgument(parameter) ? [] : [[key, parameter] as const]))
  const parser = () =>
    CommandDescriptor.make(
      path.at(-1) as string,
      Options.all(Object.fromEntries(opts.map(([key, { options }]) => [key, options]))),
      args.length === 0 ? Args.none : Args.all(Object.fromEntries(args.map(([key, { args }]) => [key, args]))),
    )
  return {
    path,
    summary,
    details,
    examples,
    arguments: args.map(([, argument]) => argument),
    options: opts.map(([, option]) => option),
    output,
    isStream,
    whenUnread,
    get descriptor() {
      return CommandDescriptor.withDescription(parser(), summary)
    },
    run: async (parsed) => {
      const { options, args } = parsed as { readonly options: object; readonly args: object }
      // The descriptor was made of these very parameters.
      return (await action())({ ...options, ...args } as Given<P>)
    },
  }
}
