/**
 * Asks a person in the terminal for a value, field by field, by its JSON Schema.
 */
import * as Prompt from "@effect/cli/Prompt"
import * as Terminal from "@effect/platform/Terminal"
import * as BunFileSystem from "@effect/platform-bun/BunFileSystem"
import * as BunPath from "@effect/platform-bun/BunPath"
import * as BunTerminal from "@effect/platform-bun/BunTerminal"
import type { JsonSchema } from "@smithers/core/Codec"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Interrupted } from "./Errors.ts"
import { type Field, fields, problemOf } from "./JsonSchema.ts"
import { oneLine } from "./Text.ts"

/** Reads what was typed. Fails with what is wrong with it. */
const read = (field: Field, text: string): Effect.Effect<unknown, string> =>
  Effect.suspend((): Effect.Effect<unknown, string> => {
    // Nothing is taken as nothing, where that is allowed.
    if (text.trim() === "" && !field.isRequired) return Effect.succeed(undefined)
    const value = parse(field.kind, text)
    if ("problem" in value) return Effect.fail(value.problem)
    // Here the person can correct it; after the last question all that was said would be lost.
    const problem = problemOf(field, value.value)
    return problem === undefined ? Effect.succeed(value.value) : Effect.fail(oneLine(problem))
  })

const parse = (kind: Field["kind"], text: string): { readonly value: unknown } | { readonly problem: string } => {
  switch (kind) {
    case "number":
    case "integer": {
      const isNumber = text.trim() !== "" && (kind === "integer" ? Number.isInteger : Number.isFinite)(Number(text))
      return isNumber ? { value: Number(text) } : { problem: `This is not a ${kind === "integer" ? "whole number" : "number"}` }
    }
    case "json":
      try {
        return { value: JSON.parse(text) as unknown }
      } catch {
        return { problem: "This is not JSON" }
      }
    default:
      return { value: text }
  }
}

const promptFor = (field: Field): Prompt.Prompt<unknown> => {
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
        validate: (text) => Effect.as(read(field, text), text),
      })
      // It was read without a problem before.
      return Prompt.flatMap(typed, (text) =>
        Prompt.succeed(Effect.runSync(Effect.orDieWith(read(field, text), (problem) => new Error(problem)))),
      )
    }
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: this is how a terminal is told of colours.
const style = /\u001b\[([0-9;]*)m/g

/** Colours of letters and of what is behind them, as opposed to bold and underlined ones. */
const isColour = (code: string): boolean => /^(3|4|9|10)\d$/.test(code)

/** Takes the colours out of what is drawn. What else there is tells which of two words is chosen. */
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

/** Makes prompts of a person in this terminal. Fails with `Interrupted` when the person leaves. */
const asking = <A>(prompts: Effect.Effect<A, Terminal.QuitException, Prompt.Prompt.Environment>): Effect.Effect<A, Interrupted> =>
  prompts.pipe(
    Effect.catchTag("QuitException", () => new Interrupted({ signal: "SIGINT" })),
    Effect.provide(Layer.mergeAll(terminal, BunFileSystem.layer, BunPath.layer)),
  )

/** Asks for a yes or a no. No is what is taken where nothing is chosen. */
export const confirm = (message: string): Effect.Effect<boolean, Interrupted> =>
  asking(Prompt.confirm({ message: oneLine(message), initial: false }))

/** Asks for a value. Fails with `Interrupted` when the person leaves. */
export const ask = (schema: JsonSchema): Effect.Effect<unknown, Interrupted> =>
  asking(
    Effect.gen(function* () {
      const asked = fields(schema)
      const [whole] = asked
      if (whole !== undefined && whole.name === undefined) return yield* promptFor(whole)
      const value: { [name: string]: unknown } = {}
      for (const field of asked) {
        const given = yield* promptFor(field)
        if (given !== undefined) value[field.name as string] = given
      }
      return value
    }),
  )
