/**
 * The command line as a real process, in folders with nothing in them but a workflow and a database. Whatever a command prints with
 * `--json`, in whichever test, is held against its published schema.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Schema, Validator } from "@cfworker/json-schema"
import * as Catalog from "@smithers/cli/Catalog"
import * as Commands from "@smithers/core/Commands"
import { onStorage } from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Workflows from "./fixtures/workflows.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")
const workflows = join(import.meta.dirname, "fixtures", "workflows.ts")

const published = JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "docs", "cli.schema.json"), "utf8")) as Schema
const validators = new Map<string, Validator>()

const check = (name: string, line: string): void => {
  const known = validators.get(name)
  const validator = known ?? new Validator({ $ref: `#/$defs/${name}`, $defs: published.$defs as Schema }, "7")
  validators.set(name, validator)
  const { errors } = validator.validate(JSON.parse(line))
  const found = errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`)
  if (found.length > 0) throw new Error(`what ${name} printed is not what its schema says: ${found.join("; ")}\n${line}`)
}

/** The commands whose JSON was held against its schema so far, errors aside. */
export const checked = new Set<string>()

const isJson = (all: ReadonlyArray<string>): boolean => {
  const args = all.includes("--") ? all.slice(0, all.indexOf("--")) : all
  return args.some((arg, index) => arg === "--json" && args[index + 1] !== "false") || args.includes("--json=true")
}

const checkJson = (args: ReadonlyArray<string>, stdout: string): void => {
  const lines = stdout.split("\n").filter((line) => line !== "")
  // Options may stand before the command; the value of one is no word of it.
  const from = args.findIndex((_, index) => Catalog.find(args.slice(index)) !== undefined)
  const definition = from < 0 ? undefined : Catalog.find(args.slice(from))
  if (definition?.isStream !== true && lines.length !== 1)
    throw new Error(`${args.join(" ")} printed no single document: ${stdout}`)
  for (const line of lines) {
    const isError = line.startsWith('{"error":') && !("runId" in (JSON.parse(line) as object))
    if (definition === undefined || isError) check("error", line)
    else {
      const name = definition.path.join("-")
      check(name, line)
      checked.add(name)
    }
  }
}

/** What came of a command. */
interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface SpawnOptions {
  readonly env?: { readonly [name: string]: string }
  readonly stdin?: string
}

/** A folder that goes with {@link Folder.remove}. */
export interface Folder {
  readonly path: string
  /** The program that runs commands. */
  readonly bin: string
  readonly file: (name: string) => string
  /** Starts a command. */
  readonly start: (
    args: ReadonlyArray<string>,
    options?: SpawnOptions,
  ) => {
    readonly pid: number
    readonly kill: (signal: NodeJS.Signals) => void
    /** What it has said so far. */
    readonly said: () => Pick<Result, "stdout" | "stderr">
    readonly result: Promise<Result>
  }
  /** Runs a command. */
  readonly run: (...args: ReadonlyArray<string>) => Promise<Result>
  /** Runs a command with `--json`. */
  readonly json: (...args: ReadonlyArray<string>) => Promise<{ readonly code: number | null; readonly value: unknown }>
  readonly remove: () => void
}

/** Makes a folder, with the workflows of the tests in `workflow.ts`. */
export const folder = (): Folder => {
  const path = mkdtempSync(join(tmpdir(), "smithers-cli-"))
  copyFileSync(workflows, join(path, "workflow.ts"))
  const start: Folder["start"] = (args, { env = {}, stdin } = {}) => {
    const { SMITHERS_DB: _, ...inherited } = process.env
    const child = Bun.spawn([process.execPath, bin, ...args], {
      cwd: path,
      env: { ...inherited, NO_COLOR: "1", USER: "tester", ...env },
      stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
      stdout: "pipe",
      stderr: "pipe",
    })
    const said = { stdout: "", stderr: "" }
    const read = async (name: keyof typeof said) => {
      const decoder = new TextDecoder()
      for await (const chunk of child[name]) said[name] += decoder.decode(chunk, { stream: true })
    }
    const result = Promise.all([child.exited, read("stdout"), read("stderr")]).then(() => {
      // One that was killed may have said the half of it.
      if (isJson(args) && child.signalCode === null) checkJson(args, said.stdout)
      return { code: child.exitCode, ...said }
    })
    return { pid: child.pid, kill: (signal) => child.kill(signal), said: () => said, result }
  }
  const run: Folder["run"] = (...args) => start(args).result
  return {
    path,
    bin,
    file: (name) => join(path, name),
    start,
    run,
    json: async (...args) => {
      const { code, stdout, stderr } = await run(...args, "--json")
      try {
        return { code, value: JSON.parse(stdout) as unknown }
      } catch {
        throw new Error(`${args.join(" ")} printed no JSON but ${stdout}${stderr}`)
      }
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** How long is waited for another process, in milliseconds: less than a test may take, so that what was waited for is said. */
const patienceMs = 20_000

/** Waits for something that another process does. Polls, since nothing tells this process. */
export const until = async (
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  withinMs = patienceMs,
): Promise<void> => {
  const deadline = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${typeof what === "string" ? what : what()}`)
    await Bun.sleep(20)
  }
}

/** Time between one run of {@link fill} and the next, and from the last one until now, in milliseconds: in the middle of an hour. */
const apartMs = 7 * 3_600_000
const agoMs = 30.5 * 3_600_000

/** A clock that stands still, unless it is told to go on. */
const standing = (at: number) => {
  const clock = Clock.make()
  let now = at
  const unsafeCurrentTimeMillis = () => now
  const stopped = { unsafeCurrentTimeMillis, currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis) }
  const pass = (ms: number) =>
    Effect.sync(() => {
      now += ms
    })
  return { clock: Object.assign(Object.create(clock) as Clock.Clock, stopped), pass }
}

/**
 * Makes, in this process, a database with runs that stand in every way there is. What happened in them happened at times that a test can
 * name, so long ago that how long a test takes makes no difference; answers with the first of them.
 */
export const fill = async (file: string): Promise<number> => {
  const start = Date.now() - 9 * apartMs - agoMs
  const { clock, pass } = standing(start)
  const source = (name: string) => `workflow.ts#${name}`
  const program = Effect.gen(function* () {
    const { default: ship, triage, pay, nap, poll, loud } = Workflows
    const run = { tags: ["test"] }
    yield* ship.run({ spec: "a login" }, { ...run, runId: "ship-done", source: "workflow.ts" })
    yield* pass(90_000)
    yield* Commands.approve("ship-done", "ok", { by: "ann", note: "looks good" })
    yield* pass(5500)
    yield* ship.resume("ship-done")
    yield* pass(apartMs)
    yield* ship.run({ spec: "a logout" }, { ...run, runId: "ship-waits", source: "workflow.ts" })
    yield* pass(apartMs)
    yield* triage.run({}, { runId: "triage-1", source: source("triage") })
    yield* pass(apartMs)
    yield* pay.run({ order: "o-1" }, { runId: "pay-1", source: source("pay") })
    yield* pass(apartMs)
    yield* nap.run({}, { runId: "nap-1", source: source("nap") })
    yield* pass(apartMs)
    yield* poll.run({ fail: false }, { runId: "poll-done", source: source("poll") })
    yield* pass(apartMs)
    yield* poll.run({ fail: true }, { runId: "poll-failed", source: source("poll") })
    yield* pass(apartMs)
    yield* loud.run({ size: 100_000 }, { runId: "loud-1", source: source("loud") })
    yield* pass(apartMs)
    yield* nap.run({}, { runId: "nap-gone" })
    yield* pass(3_600_000)
    yield* nap.cancel("nap-gone", "nobody sleeps here").pipe(Effect.ignore)
    yield* pass(apartMs - 3_600_000)
    yield* nap.run({}, { runId: "nap-paused", source: source("nap") })
    yield* pass(60_000)
    yield* Commands.pause("nap-paused", { by: "ann" })
    yield* nap.run({}, { runId: "nap-paused" })
  })
  const stored = Effect.provide(program, onStorage(SqliteStorage.layer({ filename: file })))
  await Effect.runPromise(Effect.withClock(stored, clock))
  return start
}

/** Takes out what differs from one test to the next. Times since `start`, where it is given, are told from it. */
export const mask = (text: string, folder: string, start?: number): string => {
  const since = (ms: number, otherwise: string) =>
    start !== undefined && ms >= start && ms < start + 9 * apartMs + agoMs / 2 ? `<start + ${(ms - start) / 1000} s>` : otherwise
  return text
    .replaceAll(folder, "<folder>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (date) => since(Date.parse(date), "<date>"))
    .replaceAll(/\b1[7-9]\d{11}(?!\d)/g, (ms) => since(Number(ms), "<ms>"))
    .replaceAll(/\b1[7-9]\d*…/g, "<ms>…")
    .replaceAll(/\b\d{4}-[\dT:.-]*…/g, "<date>…")
    .replaceAll(/\b[0-9a-z]{6}-[0-9a-z]{8}\b/g, "<run>")
    .replaceAll(/\bprocess \d+/g, "process <pid>")
    .replaceAll(/\bSQLite \d+(\.\d+)+/g, "SQLite <version>")
    .replaceAll(/\d+(\.\d+)? [kM]B/g, "<size>")
    .replaceAll(/\bin \d{5}d( \d+h)?/g, "in <decades>")
    .replaceAll(/x{1000,}/g, (all) => `<${all.length} x>`)
}

/** The same, and how long things took that were done just now. */
export const maskTimes = (text: string, folder: string): string =>
  mask(text, folder)
    .replaceAll(/\b\d\d:\d\d:\d\d\b/g, "<clock>")
    .replaceAll(/(?<!\[)\b\d+(\.\d+)?(ms|s|m|h|d)\b( \d+(s|m|h)\b)?/g, "<time>")

/** The same of a JSON value, and without the places of stacks. */
export const maskJson = (value: unknown, folder: string, start?: number): unknown => {
  if (typeof value === "string") return mask(value, folder, start).replaceAll(/(?: {4}at .*(?:\n|$))+/g, "    at <stack>")
  if (typeof value === "number") return value > 1.7e12 && value < 2e12 ? mask(String(value), folder, start) : value
  if (Array.isArray(value)) return value.map((item) => maskJson(item, folder, start))
  if (typeof value !== "object" || value === null) return value
  const isMasked = (name: string) => name === "pid" || name === "sqlite" || name.startsWith("bytes")
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, isMasked(name) ? `<${name}>` : maskJson(item, folder, start)]),
  )
}
