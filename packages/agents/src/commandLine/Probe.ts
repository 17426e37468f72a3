/**
 * Finds out which command-line agents this machine has: their versions, if they are logged in, and what they can. Programs are asked
 * for their version and their login, and no model is asked for anything.
 */
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import type { Policy } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Acp from "./Acp.ts"
import { dialects } from "./agents.ts"
import * as CliProcess from "./CliProcess.ts"
import type { Abilities, Dialect, LoginCheck } from "./Dialect.ts"
import * as Program from "./Program.ts"

/** What is known of an agent on this machine. */
export interface AgentStatus {
  /** The function that makes it, such as `ClaudeCodeAgent`. */
  readonly agent: string
  readonly product: string
  readonly program: string
  /** The file of the program; `null` if it is not installed. */
  readonly path: string | null
  readonly version: string | null
  /** `null` if the program does not say. */
  readonly isLoggedIn: boolean | null
  readonly abilities: Abilities
  /** The reason why a program that is installed gave no answer. */
  readonly problem: string | null
  /** The command that repairs what is missing. */
  readonly repair: string | null
}

/** Programs in JavaScript take some seconds to start on a busy machine. */
const times: CliProcess.Times = { idleMs: 20_000, totalMs: 30_000, lingerMs: 300, graceMs: 1000 }

/** Text that is kept of an answer. */
const textLength = 16_384

/** The means of a probe. */
interface Probe {
  readonly runner: CommandRunnerShape
  readonly policy: Policy
  readonly file: string
}

const said = ({ runner, policy, file }: Probe, args: ReadonlyArray<string>) =>
  CliProcess.run({ runner, policy, argv: [file, ...args], times, textLength, onMessage: () => Effect.succeed({}) })

const checkLogin = (probe: Probe, check: LoginCheck, home: string) =>
  Effect.gen(function* () {
    switch (check.kind) {
      case "command": {
        const ended = yield* said(probe, check.args)
        return { isLoggedIn: ended.stop === undefined ? check.read(ended.exitCode, `${ended.text}\n${ended.tail}`) : undefined }
      }
      case "files": {
        const files = check.files.map((file) => file.replace(/^~(?=\/)/, home))
        // An empty object is two bytes long.
        return { isLoggedIn: files.some((file) => existsSync(file) && statSync(file).size > 2) ? true : undefined }
      }
      case "handshake": {
        const { runner, policy, file } = probe
        const { found, opening, onMessage } = Acp.handshake(policy.root)
        const ended = yield* CliProcess.run({
          ...{ runner, policy, times },
          argv: [file, ...check.args],
          opening: opening.map((message) => JSON.stringify(message)),
          onMessage: (message) => {
            const { send = [], isDone = false } = onMessage(message)
            return Effect.succeed({ isDone, send: send.map((one) => JSON.stringify(one)) })
          },
        })
        const problem = found.problem ?? (found.isLoggedIn === undefined ? ended.tail.trim() : "")
        return { isLoggedIn: found.isLoggedIn, ...(found.isLoggedIn === undefined && problem !== "" ? { problem } : {}) }
      }
    }
  })

/** Asks a program about itself. */
const status = (
  agent: string,
  dialect: Dialect,
  runner: CommandRunnerShape,
  environment: Environment,
): Effect.Effect<AgentStatus> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { product, program, abilities, install = null, login = null } = dialect
      const about = { agent, product, program, abilities, path: null, version: null, isLoggedIn: null, problem: null, repair: null }
      const env = Program.environmentOf(environment, dialect.variables, dialect.env ?? {}, {})
      const file = Program.find(program, env.PATH ?? "", process.cwd())
      if (file === undefined) return { ...about, repair: install }
      const root = yield* Effect.acquireRelease(
        Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "smithers-agents-")))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
      )
      const home = Program.homeOf(env)
      const policy: Policy = {
        ...{ root, env, network: "all" },
        readable: Program.readable(file),
        writable: dialect.state(home, env).filter((path) => existsSync(path)),
      }
      const probe: Probe = { runner, policy, file }
      const versioned = yield* Effect.either(said(probe, ["--version"]))
      if (Either.isLeft(versioned)) return { ...about, path: file, problem: versioned.left.message }
      // Some programs print it as an error.
      const [version = null] = /\d+\.\d+[\w.+-]*/.exec(`${versioned.right.text}\n${versioned.right.tail}`) ?? []
      const hasKey = (dialect.keys ?? []).some((key) => (env[key] ?? "") !== "")
      const check = dialect.loginCheck
      if (hasKey || check === undefined) return { ...about, path: file, version, isLoggedIn: hasKey ? true : null }
      const checked = yield* Effect.either(checkLogin(probe, check, home))
      const found: { readonly isLoggedIn: boolean | undefined; readonly problem?: string } = Either.isRight(checked)
        ? checked.right
        : { isLoggedIn: undefined, problem: checked.left.message }
      const { isLoggedIn = null, problem = null } = found
      return { ...about, path: file, version, isLoggedIn, problem, repair: isLoggedIn === false ? login : null }
    }),
  )

type Environment = { readonly [name: string]: string | undefined }

/** Asks all programs that have agents of their own, or the one of this agent or with this name. */
export const all = (
  runner: CommandRunnerShape,
  only?: string,
  environment: Environment = process.env,
): Effect.Effect<ReadonlyArray<AgentStatus>> =>
  Effect.forEach(
    dialects.filter(([agent, { program, name }]) => only === undefined || [agent, program, name].includes(only)),
    ([agent, dialect]) => status(agent, dialect, runner, environment),
    { concurrency: 3 },
  )

/** The programs of the agents. */
export const names = ["claude", "codex", "gemini", "opencode", "kimi", "pi"] as const
export type AgentName = (typeof names)[number]
