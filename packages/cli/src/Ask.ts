/**
 * Prompts a person in the terminal for a value, field by field, by its JSON Schema.
 */
import * as Prompt from "@effect/cli/Prompt"
import * as Terminal from "@effect/platform/Terminal"
import * as BunFileSystem from "@effect/platform-bun/BunFileSystem"
import * as BunPath from "@effect/platform-bun/BunPath"
import * as BunTerminal from "@effect/platform-bun/BunTerminal"
import type { JsonSchema } from "@smithers/core/Codec"
import { oneLine } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { Interrupted } from "./Errors.ts"
import { type Field, fields, problemOf } from "./JsonSchema.ts"

/** Schema of a value, and the fields answered so far. */
interface Asked {
  readonly schema: JsonSchema
  readonly answers: { readonly [name: string]: unknown }
}

/** Validates typed text. Fails with the problem at once, so that the person can correct the field rather than lose all answers. */
const check = ({ schema, answers }: Asked, field: Field, text: string): Effect.Effect<string, string> =>
  Effect.gen(function* () {
    const value = yield* parse(field, text)
    const problem = value === undefined ? undefined : yield* problemOf(schema, field, answers, value)
    return problem === undefined ? text : yield* Effect.fail(oneLine(problem))
  })

/** Parses typed text; `Left` is the problem. Blank text is `undefined` if the field is optional. */
const parse = ({ kind, isRequired }: Field, text: string): Either.Either<unknown, string> => {
  if (text.trim() === "" && !isRequired) return Either.right(undefined)
  switch (kind) {
    case "number":
    case "integer": {
      const isNumber = text.trim() !== "" && (kind === "integer" ? Number.isInteger : Number.isFinite)(Number(text))
      return isNumber ? Either.right(Number(text)) : Either.left(`This is not a ${kind === "integer" ? "whole number" : "number"}`)
    }
    case "json":
      try {
        return Either.right(JSON.parse(text) as unknown)
      } catch {
        return Either.left("This is not JSON")
      }
    default:
      return Either.right(text)
  }
}

const promptFor = (asked: Asked, field: Field): Prompt.Prompt<unknown> => {
  const { name, description, isRequired, kind, choices } = field
  const title = [name ?? "Answer", description, isRequired ? undefined : "(optional)"].filter((part) => part !== undefined)
  const message = oneLine(title.join(" "))
  switch (kind) {
    case "boolean":
      return Prompt.toggle({ message, initial: false, active: "yes", inactive: "no" })
    case "choice":
      return Prompt.select({ message, choices: choices.map((value) => ({ title: oneLine(String(value)), value })) })
    default: {
      const typed = Prompt.text({
        message: kind === "json" ? `${message} as JSON` : message,
        validate: (text) => check(asked, field, text),
      })
      return Prompt.map(typed, (text) => Either.getOrUndefined(parse(field, text)))
    }
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences select colours in a terminal.
const style = /\u001b\[([0-9;]*)m/g

/** Returns `true` for codes of foreground and background colours; bold and underline are none. */
const isColour = (code: string): boolean => /^(3|4|9|10)\d$/.test(code)

/** Removes colours from terminal output. Keeps bold and underline, which mark the chosen of two words. */
export const withoutColours = (text: string): string =>
  text.replaceAll(style, (whole, codes: string) => {
    const parts = codes.split(";")
    const left = parts.filter((code) => !isColour(code))
    return left.length === parts.length ? whole : left.length === 0 ? "" : `\u001b[${left.join(";")}m`
  })

const terminal = process.env.NO_COLOR
  ? Layer.provide(
      Layer.effect(
        Terminal.Terminal,
        Effect.map(Terminal.Terminal, (own) => ({ ...own, display: (text: string) => own.display(withoutColours(text)) })),
      ),
      BunTerminal.layer,
    )
  : BunTerminal.layer

/** Runs prompts in this terminal. Fails with `Interrupted` when the person leaves. */
const asking = <A>(prompts: Effect.Effect<A, Terminal.QuitException, Prompt.Prompt.Environment>): Effect.Effect<A, Interrupted> =>
  prompts.pipe(
    Effect.catchTag("QuitException", () => new Interrupted({ signal: "SIGINT" })),
    Effect.provide(Layer.mergeAll(terminal, BunFileSystem.layer, BunPath.layer)),
  )

/** Asks a yes-or-no question. Default: no. */
export const confirm = (message: string): Effect.Effect<boolean, Interrupted> =>
  asking(Prompt.confirm({ message: oneLine(message), initial: false }))

/** Prompts for a value. Fails with `Interrupted` when the person leaves. */
export const ask = (schema: JsonSchema): Effect.Effect<unknown, Interrupted> =>
  asking(
    Effect.gen(function* () {
      const asked = fields(schema)
      const [whole] = asked
      if (whole !== undefined && whole.name === undefined) return yield* promptFor({ schema, answers: {} }, whole)
      const value: { [name: string]: unknown } = {}
      for (const field of asked) {
        const answer = yield* promptFor({ schema, answers: value }, field)
        if (answer !== undefined) value[field.name as string] = answer
      }
      return value
    }),
  )
