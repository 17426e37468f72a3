/**
 * The part of a command-line agent that differs between programs: its command line, the meaning of its messages, and the verdict on
 * what it did. What a program claims counts little: one says "success" with an error inside, another ends with 0 after a refused key.
 */
import type { AgentUsage } from "@smithers/core/Agent"
import type { JsonSchema } from "@smithers/core/Codec"
import type * as Either from "effect/Either"
import type { Ended, Message } from "./CliProcess.ts"
import type { CommandLineError } from "./Errors.ts"
import type { Facts } from "./Problem.ts"

/** What happens in an agent, alike for all of them. */
export type AgentEvent =
  /** The id of the conversation, by which it is resumed. */
  | { readonly type: "session"; readonly id: string }
  /** Text of the model: a part that continues the one before, or whole. */
  | { readonly type: "text" | "reasoning"; readonly text: string; readonly isPart?: boolean }
  | { readonly type: "toolUse"; readonly callId: string; readonly tool: string; readonly input: unknown }
  | {
      readonly type: "toolResult"
      readonly callId: string
      readonly output: string
      readonly outcome: "finished" | "failed" | "refused"
    }
  /** A permission that the agent asked for, and the answer. */
  | { readonly type: "permission"; readonly tool: string; readonly isGranted: boolean }
  | { readonly type: "usage"; readonly model?: string | undefined; readonly usage: AgentUsage }
  /** The agent waits, and says so: for its network or its provider. This is no progress. */
  | { readonly type: "waiting"; readonly reason: string }
  /** The answer, or the error, is there. */
  | { readonly type: "result" }
  /** A message of a type that is not known. */
  | { readonly type: "unknown"; readonly of: string }

/** One call of an agent. */
export interface Turn {
  readonly prompt: string
  /** Instructions for the model, for a program with an option for them; otherwise they are part of the prompt. */
  readonly instructions: string | undefined
  /** The conversation to resume, or with `isNew` the id to begin one under; `undefined`: the program chooses. */
  readonly session: { readonly id: string; readonly isNew: boolean } | undefined
  /** The schema of the answer, if it describes an object. */
  readonly schema: JsonSchema | undefined
  readonly cwd: string
  /** The environment of the program. */
  readonly env: { readonly [name: string]: string | undefined }
  /** `true` if the agent is not to change files. */
  readonly isReadOnly: boolean
  /** `true` if the program runs in a sandbox, which holds what its tools do. */
  readonly isSandboxed: boolean
  readonly facts: Facts
  /** Stores a file that the program may read, and returns its path. */
  readonly file: (name: string, content: string) => string
}

/** What the program has come to. */
export interface Outcome {
  readonly text: string
  readonly output?: unknown
  readonly model?: string | undefined
  /** Usage of this call, where the program tells it. */
  readonly usage?: AgentUsage | undefined
  /** Totals of the conversation, by which the usage of this call is the difference: `inputTokens`, `outputTokens`, `costUsd`. */
  readonly totals?: { readonly [name: string]: number } | undefined
  readonly finishReason?: string | undefined
}

/** The talk with one process. */
export interface Talk {
  readonly args: ReadonlyArray<string>
  /** Variables besides those of the settings. */
  readonly env?: { readonly [name: string]: string } | undefined
  readonly stdin?: string | undefined
  /** Messages to begin with; then its standard input stays open. */
  readonly opening?: ReadonlyArray<Message> | undefined
  readonly closing?: (() => ReadonlyArray<Message>) | undefined
  /** Characters of text to keep that are no messages, for a program that answers by text. */
  readonly textLength?: number | undefined
  readonly onMessage: (message: Message) => Taken
  readonly verdict: (ended: Ended) => Either.Either<Outcome, CommandLineError>
}

/** What a message came to. */
export interface Taken {
  readonly events: ReadonlyArray<AgentEvent>
  /** Messages to answer with. */
  readonly send?: ReadonlyArray<Message> | undefined
}

/** Abilities of an agent, for people who choose one. */
export interface Abilities {
  /** Returns output by a schema. Otherwise the prompt asks for it; the answer is validated in any case. */
  readonly schema: boolean
  /** Continues a conversation by its id. */
  readonly resume: boolean
  /** Stops at a bound of cost that it is given. */
  readonly budget: boolean
  /** Tells tokens or cost. */
  readonly usage: boolean
}

/** The way to find out, without a request to a model, if a program is logged in. */
export type LoginCheck =
  /** A command of the program; `read` is given its exit code and its text, and returns `undefined` if they do not say. */
  | {
      readonly kind: "command"
      readonly args: ReadonlyArray<string>
      readonly read: (exitCode: number | undefined, text: string) => boolean | undefined
    }
  /** The beginning of a session by the Agent Client Protocol. */
  | { readonly kind: "handshake"; readonly args: ReadonlyArray<string> }
  /** Files that a login leaves. */
  | { readonly kind: "files"; readonly files: ReadonlyArray<string> }

/** A program and how to talk to it. */
export interface Dialect {
  /** The name of the agent, unless its settings have one. */
  readonly name: string
  readonly product: string
  readonly program: string
  /** Command that installs it. */
  readonly install: string | undefined
  /** Command that logs in. */
  readonly login: string | undefined
  readonly loginCheck?: LoginCheck | undefined
  /** Those of its variables that are keys, and make a login unnecessary. */
  readonly keys?: ReadonlyArray<string> | undefined
  readonly abilities: Abilities
  /** `true` if conversations have an id of our choice. */
  readonly choosesSession: boolean
  /** `true` if the program takes instructions apart from the prompt. */
  readonly takesInstructions: boolean
  /** Names of the variables of this process that the program gets. */
  readonly variables: ReadonlyArray<string>
  /** Variables that it gets in any case. */
  readonly env?: { readonly [name: string]: string } | undefined
  /** Files and directories of its login and its conversations. */
  readonly state: (home: string, env: { readonly [name: string]: string | undefined }) => ReadonlyArray<string>
  /** Hosts of its provider, for a network by list. */
  readonly hosts: ReadonlyArray<string>
  /** Begins a call. */
  readonly begin: (turn: Turn) => Talk
}
