/**
 * One process of git. Paths of git are bytes, which need not be UTF-8: in this package they are strings of one character per byte (latin1), decoded only where a
 * result leaves it.
 */
import { spawn } from "node:child_process"
import { NoGit } from "@smithers/core/Workspaces"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** A process of git that did not end with code 0. */
export class GitFailed extends Data.TaggedError("GitFailed")<{
  readonly command: string
  readonly problem: string
}> {
  override get message(): string {
    return `git ${this.command}: ${this.problem}`
  }
}

/** Milliseconds that one process may take. Adding 20,000 files takes seconds; a file system that answers no more would hold a task for ever. */
const timeoutMs = 5 * 60_000

/** Bytes of output that are read. A list of a million paths has a hundred million. */
const mostBytes = 256 * 1024 * 1024

/** Characters of what git says about a failure that are told. */
const toldCharacters = 600

export interface Call {
  readonly args: ReadonlyArray<string>
  /** The whole environment. */
  readonly env: { readonly [name: string]: string }
  readonly cwd: string
  readonly stdin?: string | Buffer | undefined
  /** Bytes of output after which the process is ended, without that being a failure. Default: no bound, and more than 256 MiB fails. */
  readonly stopAfter?: number | undefined
  /** Other codes that are no failure. */
  readonly codes?: ReadonlyArray<number> | undefined
  /** A program, with its arguments, that starts git in its own place. */
  readonly through?: readonly [string, ...ReadonlyArray<string>] | undefined
}

/** Runs git. An interruption kills it and waits for its end. */
export const run = (call: Call): Effect.Effect<Buffer, GitFailed | NoGit> =>
  Effect.async((resume) => {
    const command = call.args.find((arg) => !arg.startsWith("-")) ?? ""
    const fail = (problem: string): void => resume(Effect.fail(new GitFailed({ command, problem })))
    const [program, ...before] = call.through === undefined ? (["git"] as const) : ([...call.through, "git"] as const)
    // A group of its own: Ctrl-C in a terminal is for the process that waits for it.
    const child = spawn(program, [...before, ...call.args], {
      cwd: call.cwd,
      env: { ...call.env },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    })
    const out: Array<Buffer> = []
    let bytes = 0
    let said = ""
    let problem: string | undefined
    let isEnough = false
    const timer = setTimeout(() => {
      problem = `it took longer than ${timeoutMs / 60_000} minutes`
      child.kill("SIGKILL")
    }, timeoutMs)
    child.stdout.on("data", (chunk: Buffer) => {
      if (isEnough) return
      out.push(chunk)
      bytes += chunk.length
      if (call.stopAfter !== undefined && bytes > call.stopAfter) isEnough = true
      else if (bytes > mostBytes) problem = `it printed more than ${mostBytes} bytes`
      if (isEnough || problem !== undefined) child.kill("SIGKILL")
    })
    child.stderr.on("data", (chunk: Buffer) => {
      if (said.length < 64 * 1024) said += chunk.toString()
    })
    // A process that ends before it has read its input.
    child.stdin.on("error", () => {})
    child.stdin.end(typeof call.stdin === "string" ? Buffer.from(call.stdin, "latin1") : (call.stdin ?? ""))
    let isOver = false
    const ended = new Promise<void>((resolve) => {
      child.on("error", (error: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        isOver = true
        resolve()
        if (error.code === "ENOENT")
          resume(Effect.fail(new NoGit({ problem: `there is no program ${program} on the PATH, ${call.env.PATH ?? ""}` })))
        else fail(error.message)
      })
      child.on("close", (code, signal) => {
        clearTimeout(timer)
        isOver = true
        resolve()
        if (problem !== undefined) return fail(problem)
        if (isEnough || code === 0 || (code !== null && call.codes?.includes(code) === true))
          return resume(Effect.succeed(Buffer.concat(out)))
        const told = said.trim().slice(0, toldCharacters)
        fail(told !== "" ? told : signal === null ? `it ended with code ${code}` : `${signal} ended it`)
      })
    })
    return Effect.promise(async () => {
      if (!isOver) child.kill("SIGKILL")
      await ended
    })
  })

/** The text of an output, one character per byte. */
export const bytesOf = (output: Buffer): string => output.toString("latin1")

/** The parts of an output that each end with NUL. */
export const partsOf = (output: Buffer): ReadonlyArray<string> => {
  const parts = bytesOf(output).split("\0")
  if (parts.at(-1) === "") parts.pop()
  return parts
}

/** A path or text for people, as UTF-8. */
export const textOf = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8")

/** The bytes of a text, one character each. */
export const bytesOfText = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

/** A list of paths for the standard input of git. */
export const asInput = (paths: ReadonlyArray<string>): string => paths.map((path) => `${path}\0`).join("")
