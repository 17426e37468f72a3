/**
 * Values that are given on the command line as JSON, as `@file`, or as `-` for the standard input.
 */
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { InvalidJson } from "./Errors.ts"
import { shorten } from "./Text.ts"

/** Reads the value of an option. Fails with `InvalidJson`, which says what is wrong and where. */
export const read = (option: string, given: string): Effect.Effect<unknown, InvalidJson> =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidJson({ option, problem })
    const source = given === "-" ? "the standard input" : given.startsWith("@") ? given.slice(1) : undefined
    const text = yield* Effect.tryPromise({
      try: async () => {
        if (given === "-") return await Bun.stdin.text()
        return source === undefined ? given : readFileSync(source, "utf8")
      },
      catch: (thrown) => invalid(`${source} cannot be read: ${(thrown as Error).message}`),
    })
    return yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: (thrown) => invalid(`${reason(thrown)} in ${source ?? JSON.stringify(shorten(text, 80))}`),
    })
  })

const reason = (thrown: unknown): string => (thrown as Error).message.replace(/^JSON Parse error: /, "")
