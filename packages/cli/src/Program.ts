/**
 * One invocation of the command line: finds the command, parses its arguments, runs it, prints the result, and ends the process.
 */

import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Terminal from "@effect/platform/Terminal"
import { nearestWord } from "@smithers/core/Names"
import { version } from "@smithers/core/Package"
import * as Secrets from "@smithers/core/Secrets"
import { defined } from "@smithers/core/Struct"
import { json, neutralise, shorten } from "@smithers/server/views/Text"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schema from "effect/Schema"
import { asksFor, normalise, type Spelled } from "./Argv.ts"
import * as Catalog from "./Catalog.ts"
import { type Definition, globals, type Reply } from "./Definition.ts"
import { codeOf, exitCalled, Interrupted, InvalidUsage, isTagged, OutputFailed, type Tagged, toReply, Uncaught } from "./Errors.ts"
import { Exit as Codes, type ExitCode } from "./Exit.ts"
import * as Help from "./Help.ts"
import { Host } from "./Host.ts"
import { leading, self } from "./Launch.ts"
import * as Redaction from "./Redaction.ts"
import * as Results from "./Results.ts"
import { type Drawing, Screen, type ScreenShape } from "./Screen.ts"
import * as Signals from "./Signals.ts"

const config = CliConfig.make({ isCaseSensitive: true, autoCorrectLimit: 0, finalCheckBuiltIn: false, showBuiltIns: false })

/** Services that the parser may require but never uses with these options. */
const unused = Layer.mergeAll(FileSystem.layerNoop({}), Path.layer, Layer.succeed(Terminal.Terminal, {} as Terminal.Terminal))

/**
 * Time within which two signals of one kind count as one, in milliseconds. `bun run` forwards what the terminal has already sent.
 */
const sameSignalMs = 10

/** Formats the note about a run that the process leaves without releasing it. */
const leftText = ({ runId, next = [] }: ReturnType<Remembering["remembered"]>): string =>
  runId === undefined ? "" : `${neutralise(`Run ${runId} was not released. Finished steps are stored. Resume it: ${next[0]}`)}\n`

/** Cause that stopped a command before its end. */
type Stopped =
  | { readonly _tag: "Signal"; readonly signal: Interrupted["signal"] }
  /** The reader of the output is done. No failure. */
  | { readonly _tag: "Read" }
  /** The output cannot be written. */
  | { readonly _tag: "Unwritten" }
  | { readonly _tag: "Uncaught"; readonly thrown: unknown }

export const run = async (argv: ReadonlyArray<string>): Promise<void> => {
  const isJson = asksFor(optionsOf(argv), argv, ["--json"])
  Redaction.install()
  const exit = process.exit.bind(process)
  process.exit = ((code?: unknown) => {
    throw exitCalled(code)
  }) as typeof process.exit
  let stopped: Stopped | undefined
  const stop = (why: Stopped): void => {
    if (stopped !== undefined) return
    stopped = why
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  let unwritten: { readonly stream: OutputFailed["stream"]; readonly error: NodeJS.ErrnoException } | undefined
  const results = (isJson ? Results.apart : Results.shared)((error) => {
    // A command line without a known command prints help or an error, and ends.
    const onBrokenPipe = definitionOf(argv)?.onBrokenPipe ?? "exit"
    if (!Results.isClosed(error, process.stdout.isTTY)) unwritten = { stream: "standard output", error }
    if (onBrokenPipe === "ignore") return
    if (unwritten !== undefined) stop({ _tag: "Unwritten" })
    else stop(onBrokenPipe === "exit" ? { _tag: "Read" } : { _tag: "Signal", signal: "SIGPIPE" })
  })
  // A closed standard error does not stop the run.
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (!Results.isClosed(error, process.stderr.isTTY)) unwritten ??= { stream: "standard error", error }
  })
  const screen = makeScreen(isJson, results)
  const services = Context.make(Screen, screen).pipe(Context.add(Host, { self: self(), commands: Catalog.all }))
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message, cause }) => {
      if (isJson) return
      const said = Array.isArray(message) ? message.map(String).join(" ") : String(message)
      const why = Cause.isEmpty(cause) ? "" : `: ${Cause.pretty(cause)}`
      screen.logNow(shorten(`${said}${why}`, 2000))
    }),
  )
  const program = Effect.provide(perform(argv, screen), Layer.mergeAll(Layer.succeedContext(services), logger)).pipe(
    Logger.withMinimumLogLevel(LogLevel.Warning),
  )

  /** Reports on standard error that the output is incomplete, and returns the exit code. */
  const tellUnwritten = ({ stream, error }: NonNullable<typeof unwritten>, code: ExitCode): ExitCode => {
    // Progress messages are optional.
    if (stream === "standard error") return code === Codes.finished ? Codes.failed : code
    const { runId } = screen.remembered()
    const problem = error.message.replace(/, write$/, "")
    const failed = new OutputFailed({
      stream,
      problem,
      ...defined({ code: error.code, runId }),
    })
    Results.last(2, isJson ? `${json(toReply(failed))}\n` : `${neutralise(failed.message)}\n`)
    return Codes.failed
  }

  // A watch of a database does not keep the process alive; a command that waits only for it needs this timer.
  setInterval(() => {}, 2 ** 30)
  const fiber = Effect.runFork(program)
  const heard = new Map<Signals.Stopping, number>()
  const onSignal = (signal: Signals.Stopping) => () => {
    Signals.hear(signal)
    const at = performance.now()
    const isSame = at - (heard.get(signal) ?? Number.NEGATIVE_INFINITY) < sameSignalMs
    heard.set(signal, at)
    if (isSame) return
    const { runId } = screen.remembered()
    if (stopped !== undefined) {
      // The second signal stops without waiting.
      const error = new Interrupted({ signal, ...screen.remembered() })
      screen.clear()
      if (isJson) results.writeLast(`${json(toReply(error))}\n`)
      else Results.last(2, leftText(screen.remembered()))
      exit(codeOf(error))
    }
    if (runId !== undefined && !isJson) screen.note("Stopping: releasing the run. Press again to stop at once.")
    stop({ _tag: "Signal", signal })
  }
  for (const signal of Signals.stopping) {
    // A command started with nohup is to outlive the terminal.
    if (signal !== "SIGHUP" || !Signals.isIgnored(signal)) process.on(signal, onSignal(signal))
  }
  const onUncaught = (thrown: unknown): void => stop({ _tag: "Uncaught", thrown })
  process.on("uncaughtException", onUncaught)
  process.on("unhandledRejection", onUncaught)

  fiber.addObserver((ended) => {
    const code = Effect.runPromise(Effect.provideService(report(ended, stopped, screen.remembered()), Screen, screen))
    // Handles that a workflow left open would keep the process alive.
    code.then((code) => exit(unwritten === undefined ? code : tellUnwritten(unwritten, code)))
  })
}

/** Maximum number of characters of an error message. */
const longestMessage = 5000

/** Formats an error for people. A message with requests to decide on is never cut. */
const messageOf = ({ _tag, message }: Tagged): string => (_tag === "SeveralWaits" ? message : shorten(message, longestMessage))

/** Prints the error of a command, if any, and returns the exit code. */
const report = (
  exit: Exit.Exit<ExitCode, Tagged>,
  stopped: Stopped | undefined,
  remembered: ReturnType<Remembering["remembered"]>,
) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (Exit.isSuccess(exit)) return exit.value
    const isInterrupted = Cause.isInterruptedOnly(exit.cause)
    if (isInterrupted && (stopped?._tag === "Read" || stopped?._tag === "Unwritten")) return Codes.finished
    const raised = (isInterrupted ? errorOf(stopped, remembered) : undefined) ?? Cause.squash(exit.cause)
    if (isTagged(raised)) {
      const isQuiet = raised._tag === "Interrupted" && !screen.isJson
      if (!isQuiet) yield* screen.isJson ? screen.print(toReply(raised), "") : screen.log(messageOf(raised))
      return codeOf(raised)
    }
    const message = `Internal error of smithers: ${Cause.pretty(exit.cause)}`
    yield* screen.isJson ? screen.print({ error: { tag: "Defect", message } }, "") : screen.log(message)
    return Codes.failed
  })

const errorOf = (stopped: Stopped | undefined, remembered: ReturnType<Remembering["remembered"]>) => {
  if (stopped?._tag === "Signal") return new Interrupted({ signal: stopped.signal, ...remembered })
  if (stopped?._tag !== "Uncaught") return undefined
  const { thrown } = stopped
  const said = thrown instanceof Error ? (thrown.stack ?? `${thrown.name}: ${thrown.message}`) : Bun.inspect(thrown)
  return new Uncaught({ problem: shorten(said, 2000), ...remembered })
}

/** Performs a command line on a screen, and returns the exit code. Prints no error. */
export const perform = (argv: ReadonlyArray<string>, screen: ScreenShape): Effect.Effect<ExitCode, Tagged, Screen | Host> =>
  Effect.gen(function* () {
    const [moved, words] = wordsOf(argv)
    const [first] = words
    if (first === undefined || isHelp(first)) {
      const commands = Catalog.all.map(({ path, summary }) => ({ command: path.join(" "), summary }))
      yield* screen.print({ version, commands }, Help.ofProgram(Catalog.groups))
      return Codes.finished
    }
    const inside = Catalog.all.filter(({ path }) => path.length === 2 && path[0] === first)
    if (inside.length > 0 && words[1] !== undefined && isHelp(words[1])) {
      const commands = inside.map(({ path, summary }) => ({ command: path.join(" "), summary }))
      yield* screen.print({ version, commands }, Help.ofGroup(first, inside))
      return Codes.finished
    }
    const definition = Catalog.find(words)
    if (definition === undefined) return yield* new InvalidUsage({ problem: unknownCommand(words) })
    const rest = [...moved, ...words.slice(definition.path.length)]
    if (argv[0] === "help" || asksFor(definition.options, rest, ["--help", "-h"])) {
      yield* screen.print(describe(definition), Help.ofCommand(definition))
      return Codes.finished
    }
    const parsed = yield* parse(definition, rest)
    const action = yield* Effect.promise(() => definition.run(parsed))
    const { value, text, code = Codes.finished }: Reply = yield* action
    if (value !== undefined) yield* screen.print(screen.isJson ? yield* encode(definition, value) : undefined, text)
    return code
  })

const isHelp = (token: string): boolean => token === "--help" || token === "-h"

/** Splits a command line into the options before the command and the rest. */
const wordsOf = (argv: ReadonlyArray<string>): readonly [options: ReadonlyArray<string>, words: ReadonlyArray<string>] =>
  argv[0] === "help" ? [[], argv.slice(1)] : leading(argv)

/** Returns the command of a line. */
const definitionOf = (argv: ReadonlyArray<string>): Definition | undefined => Catalog.find(wordsOf(argv)[1])

/** Returns the options that a line may have. */
const optionsOf = (argv: ReadonlyArray<string>): ReadonlyArray<Spelled> => definitionOf(argv)?.options ?? Object.values(globals)

/** Encodes a value with the output schema of the command. A mismatch is a defect, whose message does not contain the value. */
const encode = ({ output }: Definition, value: unknown): Effect.Effect<unknown> =>
  Effect.map(
    Effect.promise(() => import("./Output.ts")),
    (schemas) => {
      const schema: Schema.Schema.AnyNoContext = schemas[output]
      return Either.getOrThrowWith(Schema.encodeUnknownEither(schema)(value), ({ message }) => new Error(message))
    },
  )

const describe = (definition: Definition) => ({
  command: definition.path.join(" "),
  usage: Help.usage(definition),
  summary: definition.summary,
  options: definition.options.map((option) => ({ option: Help.spelling(option), description: option.description })),
  examples: definition.examples,
})

const unknownCommand = (words: ReadonlyArray<string>): string => {
  const [first = "", second] = words
  const inside = Catalog.all.filter(({ path }) => path.length === 2 && path[0] === first)
  if (inside.length > 0) {
    const names = inside.map(({ path }) => path[1] as string)
    const said = second === undefined || second.startsWith("-") ? "" : `, not "${second}"`
    return `"smithers ${first}" must be followed by one of ${names.join(", ")}${said}`
  }
  const near = nearestWord(
    first,
    Catalog.all.map(({ path }) => path[0]),
  )
  return `There is no command "${first}"${near === undefined ? "." : `. Did you mean "${near}"?`}`
}

const parse = (definition: Definition, argv: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const command = definition.path.join(" ")
    const normal = normalise(definition.options, argv)
    if (Either.isLeft(normal)) return yield* new InvalidUsage({ problem: normal.left, command })
    const line = [definition.path.at(-1) as string, ...normal.right]
    const directive = yield* CommandDescriptor.parse(definition.descriptor, line, config).pipe(
      Effect.mapError(({ error }) => new InvalidUsage({ problem: plain(error), command })),
      Effect.provide(unused),
    )
    if (directive._tag === "BuiltIn")
      return yield* new InvalidUsage({ problem: "This option is not available for a command", command })
    const [extra] = directive.leftover
    if (extra !== undefined) return yield* new InvalidUsage({ problem: `Unexpected argument ${JSON.stringify(extra)}`, command })
    return directive.value
  })

/** The words of a text. The library prints it by one for layouts, which takes longer to load than a command to parse. */
const wordsIn = (span: Span.Span): string => {
  if (span._tag === "Sequence") return wordsIn(span.left) + wordsIn(span.right)
  return typeof span.value === "string" ? span.value : wordsIn(span.value)
}

const textOf = (doc: HelpDoc.HelpDoc): string => {
  switch (doc._tag) {
    case "Empty":
      return ""
    case "Header":
    case "Paragraph":
      return wordsIn(doc.value)
    case "DescriptionList":
      return doc.definitions.map(([name, text]) => `${wordsIn(name)} ${textOf(text)}`).join(" ")
    case "Enumeration":
      return doc.elements.map((element) => `- ${textOf(element)}`).join(" ")
    case "Sequence":
      return `${textOf(doc.left)} ${textOf(doc.right)}`
  }
}

const plain = (doc: HelpDoc.HelpDoc): string => textOf(doc).replaceAll(/\s+/g, " ").trim()

interface Remembering extends ScreenShape {
  readonly remembered: () => { readonly runId?: string; readonly next?: ReadonlyArray<string> }
  /** Prints a message synchronously. */
  readonly logNow: (text: string) => void
  /** Prints a message about a temporary state. A live view removes it later. */
  readonly note: (text: string) => void
  /** Removes the live view from the terminal. */
  readonly clear: () => void
}

const makeScreen = (isJson: boolean, results: Results.Results): Remembering => {
  let remembered: ReturnType<Remembering["remembered"]> = {}
  let through: Drawing | undefined
  const isTerminal = process.stdout.isTTY === true && !isJson
  const isLive = isTerminal && !process.env.CI && process.env.TERM !== "dumb"
  const logNow = (text: string, taken: () => void = () => {}): void => {
    if (through === undefined) {
      process.stderr.write(`${neutralise(text)}\n`, taken)
      return
    }
    through.line(text)
    taken()
  }
  return {
    isJson,
    isTerminal,
    isLive,
    hasColors: isLive && !process.env.NO_COLOR,
    canAsk: process.stdin.isTTY === true && isTerminal,
    columns: () => process.stdout.columns || 100,
    rows: () => process.stdout.rows || 24,
    print: (value, text) => {
      if (isJson && value === undefined) return Effect.void
      return Effect.promise(() => results.write(Secrets.text(isJson ? `${json(value)}\n` : `${neutralise(text)}\n`)))
    },
    log: (text) => (isJson ? Effect.void : Effect.async((resume) => logNow(text, () => resume(Effect.void)))),
    logNow: (text) => logNow(text),
    note: (text) => (through === undefined ? logNow(text) : through.note(text)),
    clear: () => through?.clear(),
    redirectOutput: (drawing) => {
      through = drawing
    },
    draw: (text) => {
      process.stdout.write(text)
    },
    setCurrentRun: (run) => {
      remembered = run
      // The live view cannot be removed from there, so the message starts with an escape sequence.
      if (!isJson) Signals.setLastWords(`${isLive ? "\r\u001b[J" : ""}${leftText(run)}`)
    },
    remembered: () => remembered,
  }
}
