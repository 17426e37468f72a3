/**
 * Any program that takes a prompt and writes an answer, as text or as JSON lines.
 */
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import type { Message } from "./CliProcess.ts"
import type { AgentEvent, Dialect, Outcome } from "./Dialect.ts"
import { longestLine } from "./Lines.ts"
import * as Verdict from "./Verdict.ts"

/** Settings of a program of any kind. */
export interface CliOptions {
  /** The program, by its name on PATH or its file. */
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  /** `"stdin"` writes the prompt to its standard input; `"argument"` appends it to its arguments. Default: `"stdin"`. */
  readonly prompt?: "stdin" | "argument" | undefined
  /** `"text"` takes what it writes as the answer. Default: `"text"`. */
  readonly output?: "text" | "json-lines" | undefined
  /**
   * Reads a message of a program that writes JSON lines: what happened, and the answer once it is there. Default: a message with
   * `type` `"result"` has the answer in `result` or `text`.
   */
  readonly onMessage?: ((message: { readonly [field: string]: unknown }) => CliMessage | undefined) | undefined
  /** Arguments that resume a conversation, whose id `onMessage` told of. Default: none; each call begins a new one. */
  readonly resumeArgs?: ((session: string) => ReadonlyArray<string>) | undefined
  /** Command that installs the program, for the error of one that is not there. */
  readonly install?: string | undefined
  /** Command that logs in, for the error of one that is not. */
  readonly login?: string | undefined
  /** Names of variables of this process that it gets, such as its key. */
  readonly variables?: ReadonlyArray<string> | undefined
  /** Files and directories of its login and its conversations; `~` is the home. They are read and written. */
  readonly state?: ReadonlyArray<string> | undefined
  /** Hosts of its provider, for a network by list. */
  readonly hosts?: ReadonlyArray<string> | undefined
}

/** The meaning of a message. */
export interface CliMessage {
  readonly events?: ReadonlyArray<AgentEvent> | undefined
  /** The answer. */
  readonly result?: Outcome | undefined
  /** The failure, in words by which it is told what kind it is of. */
  readonly error?: string | undefined
}

const usualMessage = (message: Message): CliMessage | undefined => {
  if (message.type !== "result") return undefined
  const said = [message.result, message.text].find((value) => typeof value === "string")
  if (message.is_error === true) return { error: typeof said === "string" ? said : "it told of an error without words" }
  return typeof said === "string" ? { result: { text: said } } : { result: { text: "", output: message.result } }
}

/** Makes the dialect of a program. */
export const make = (options: CliOptions): Dialect => ({
  ...{ name: options.command.split("/").at(-1) ?? options.command, product: options.command, program: options.command },
  ...{ install: options.install, login: options.login },
  abilities: { schema: false, resume: options.resumeArgs !== undefined, budget: false, usage: false },
  choosesSession: false,
  takesInstructions: false,
  variables: options.variables ?? [],
  state: (home) => (options.state ?? []).map((path) => path.replace(/^~(?=\/)/, home)),
  hosts: options.hosts ?? [],
  begin: (turn) => {
    const { facts, session } = turn
    const isText = options.output !== "json-lines"
    const read = options.onMessage ?? usualMessage
    let result: Outcome | undefined
    let error: string | undefined
    return {
      args: [
        ...(options.args ?? []),
        ...(session === undefined ? [] : (options.resumeArgs?.(session.id) ?? [])),
        ...(options.prompt === "argument" ? [turn.prompt] : []),
      ],
      stdin: options.prompt === "argument" ? "" : turn.prompt,
      textLength: isText ? longestLine : undefined,
      onMessage: (message) => {
        const meaning = read(message)
        if (meaning === undefined) return { events: [{ type: "unknown", of: String(message.type) }] }
        if (meaning.error !== undefined) error = meaning.error
        if (meaning.result !== undefined) [result, error] = [meaning.result, undefined]
        const isOver = meaning.error !== undefined || meaning.result !== undefined
        return { events: [...(meaning.events ?? []), ...(isOver ? [{ type: "result" } as const] : [])] }
      },
      verdict: (ended) => {
        const about = defined({ session: session?.id })
        if (error !== undefined) return Verdict.failure(facts, { ...about, text: error })
        if (result !== undefined) return Either.right(result)
        if (!isText || ended.exitCode !== 0) return Verdict.withoutResult(facts, ended, about)
        return Either.right({ text: ended.text.trim() })
      },
    }
  },
})
