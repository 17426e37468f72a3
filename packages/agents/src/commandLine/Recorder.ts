/**
 * Stores what happens in an agent, as it happens: its session at once, its calls before their results, its text in parts that a
 * reader can follow.
 */
import type { AgentUsage } from "@smithers/core/Agent"
import type { AgentSession, ConversationLog, JournalError } from "@smithers/core/AgentJournal"
import * as Millis from "@smithers/core/Millis"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AgentEvent } from "./Dialect.ts"
import type { CommandLineError } from "./Errors.ts"

export interface Recorder {
  readonly record: (event: AgentEvent) => Effect.Effect<void, JournalError>
  /** Stores what is left at the end of the call. */
  readonly finish: (verdict: Either.Either<unknown, CommandLineError>) => Effect.Effect<void, JournalError>
  /** Stores what the call has used. */
  readonly charge: (model: string | undefined, usage: AgentUsage) => Effect.Effect<void, JournalError>
  /** The session that the program told of. */
  readonly sessionId: () => string | undefined
}

interface Given {
  readonly log: ConversationLog
  readonly keep: (session: AgentSession) => Effect.Effect<void, JournalError>
  /** The session of the call, if it is known before. */
  readonly session: AgentSession | undefined
  readonly onEvent: ((event: AgentEvent) => void) | undefined
}

/** Text that comes in parts is stored once so much of it is there, or so much time has passed, or something else happens. */
const partLength = 4000
const partMs = 1000

/** Makes the recorder of one call. */
export const make = ({ log, keep, session, onEvent }: Given): Recorder => {
  let sessionId = session?.id
  let parts: { readonly kind: "text" | "reasoning"; readonly since: number; text: string } | undefined
  /** Calls that have no result yet, by the ids of the program; ids of programs come again. */
  const open = new Map<string, string>()
  const counts = new Map<string, number>()
  const unknown = new Map<string, number>()

  const flush: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    if (parts === undefined) return Effect.void
    const { kind, text } = parts
    parts = undefined
    return text.trim() === "" ? Effect.void : log.append({ kind, text })
  })

  const write = (event: AgentEvent): Effect.Effect<void, JournalError> =>
    Effect.gen(function* () {
      switch (event.type) {
        case "text":
        case "reasoning": {
          if (event.isPart !== true) {
            yield* flush
            return yield* log.append({ kind: event.type, text: event.text })
          }
          const now = yield* Millis.steady
          if (parts !== undefined && parts.kind !== event.type) yield* flush
          parts ??= { kind: event.type, since: now, text: "" }
          parts.text += event.text
          const isDue = parts.text.length >= partLength || now - parts.since >= partMs
          return yield* isDue ? flush : Effect.void
        }
        case "session":
          if (event.id === sessionId) return
          sessionId = event.id
          return yield* keep({ id: event.id })
        case "toolUse": {
          yield* flush
          const count = (counts.get(event.callId) ?? 0) + 1
          counts.set(event.callId, count)
          const callId = count === 1 ? event.callId : `${event.callId}#${count}`
          open.set(event.callId, callId)
          return yield* log.callStarted({ callId, tool: event.tool, input: event.input })
        }
        case "toolResult": {
          yield* flush
          const callId = open.get(event.callId)
          if (callId === undefined) return
          open.delete(event.callId)
          return yield* log.callEnded({ callId, status: event.outcome, output: event.output })
        }
        case "permission": {
          yield* flush
          const text = `${event.isGranted ? "Allowed" : "Did not allow"} the call: ${event.tool}`
          return yield* log.append({ kind: "note", text })
        }
        case "waiting":
          return yield* log.append({ kind: "note", text: `The agent waits: ${event.reason}` })
        case "unknown":
          unknown.set(event.of, (unknown.get(event.of) ?? 0) + 1)
          return
        case "usage":
        case "result":
          return
      }
    })

  return {
    record: (event) =>
      Effect.zipRight(
        Effect.sync(() => onEvent?.(event)),
        write(event),
      ),
    finish: (verdict) =>
      Effect.gen(function* () {
        yield* flush
        // The outcome of a call that was cut off is not known; one that a finished agent did not tell of is.
        if (Either.isRight(verdict))
          for (const callId of open.values())
            yield* log.callEnded({ callId, status: "finished", output: "(the agent told of no result)" })
        open.clear()
        if (unknown.size === 0) return
        const types = [...unknown].map(([type, count]) => `${type} (${count})`).join(", ")
        yield* log.append({ kind: "note", text: `Messages of unknown types were left out: ${types}` })
      }),
    charge: (model, usage) => {
      const { inputTokens, outputTokens, costUsd } = usage
      if (inputTokens === undefined && outputTokens === undefined && costUsd === undefined) return Effect.void
      const text = costUsd === undefined ? "The call is finished." : `The call is finished. It cost $${costUsd.toFixed(6)}.`
      return log.append({ kind: "note", text, ...defined({ model, inputTokens, outputTokens }) })
    },
    sessionId: () => sessionId,
  }
}
