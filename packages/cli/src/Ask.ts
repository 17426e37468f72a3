/**
 * Asks a person in the terminal for a value, field by field, by its JSON Schema.
 */
import * as Prompt from "@effect/cli/Prompt"
import * as BunFileSystem from "@effect/platform-bun/BunFileSystem"
import * as BunPath from "@effect/platform-bun/BunPath"
import * as BunTerminal from "@effect/platform-bun/BunTerminal"
import type { JsonSchema } from "@smithers/core/Codec"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Interrupted } from "./Errors.ts"
import { type Field, fields } from "./JsonSchema.ts"
import { oneLine } from "./Text.ts"

const parsed = (text: string): Effect.Effect<unknown, string> =>
  Effect.try({ try: () => JSON.parse(text) as unknown, catch: () => "This is not JSON" })

/** Nothing is taken as nothing, where that is allowed. */
const unlessEmpty = (isRequired: boolean, text: string, read: Effect.Effect<unknown, string>): Effect.Effect<unknown, string> =>
  text.trim() === "" && !isRequired ? Effect.succeed(undefined) : read

const promptFor = ({ name, description, isRequired, kind, choices }: Field): Prompt.Prompt<unknown> => {
  const title = [name ?? "Answer", description, isRequired ? undefined : "(optional)"].filter((part) => part !== undefined)
  const message = oneLine(title.join(" "))
  switch (kind) {
    case "boolean":
      return Prompt.toggle({ message, initial: false, active: "yes", inactive: "no" })
    case "choice":
      return Prompt.select({ message, choices: choices.map((value) => ({ title: oneLine(String(value)), value })) })
    case "text":
      return Prompt.map(Prompt.text({ message }), (text) => (text === "" && !isRequired ? undefined : text))
    case "number":
    case "integer": {
      const isNumber = (text: string) =>
        text.trim() !== "" && (kind === "integer" ? Number.isInteger : Number.isFinite)(Number(text))
      const read = (text: string) =>
        unlessEmpty(
          isRequired,
          text,
          isNumber(text)
            ? Effect.succeed(Number(text))
            : Effect.fail(`This is not a ${kind === "integer" ? "whole number" : "number"}`),
        )
      return Prompt.map(Prompt.text({ message, validate: (text) => Effect.as(read(text), text) }), (text) =>
        text.trim() === "" ? undefined : Number(text),
      )
    }
    case "json":
      return Prompt.map(
        Prompt.text({
          message: `${message} as JSON`,
          validate: (text) => Effect.as(unlessEmpty(isRequired, text, parsed(text)), text),
        }),
        (text) => (text.trim() === "" ? undefined : (JSON.parse(text) as unknown)),
      )
  }
}

/** Asks for a value. Fails with `Interrupted` when the person leaves. */
export const ask = (schema: JsonSchema): Effect.Effect<unknown, Interrupted> =>
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
  }).pipe(
    Effect.catchTag("QuitException", () => new Interrupted({ signal: "SIGINT" })),
    Effect.provide(Layer.mergeAll(BunTerminal.layer, BunFileSystem.layer, BunPath.layer)),
  )
