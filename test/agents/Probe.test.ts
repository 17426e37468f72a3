/** `smithers agents`, with stand-ins for the programs that it finds. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Output from "@smithers/cli/Output"
import { Schema } from "effect"
import { afterEach, beforeEach, expect, it } from "vitest"
import { standIn } from "./fixtures/asking.ts"

let folder = ""
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "smithers-programs-")))
  mkdirSync(join(folder, "home"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const put = (name: string, script: string) => {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
}

const smithers = (args: ReadonlyArray<string>, env: { readonly [name: string]: string } = {}) => {
  const bin = new URL("../../packages/smithers/src/bin.ts", import.meta.url).pathname
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, bin, "agents", ...args], {
    cwd: folder,
    env: { PATH: `${folder}:/usr/bin:/bin`, HOME: join(folder, "home"), SMITHERS_ISOLATION: "none", ...env },
  })
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

const statuses = (env?: { readonly [name: string]: string }) => {
  const { stdout } = smithers(["--json"], env)
  const { agents } = Schema.decodeUnknownSync(Output.Agents)(JSON.parse(stdout))
  return Object.fromEntries(agents.map(({ program, ...status }) => [program, status]))
}

it("lists the programs that are there, their versions, and if they are logged in", () => {
  put("claude", `case "$1" in --version) echo "2.1.332 (Claude Code)";; auth) echo '{ "loggedIn": true }';; *) exit 9;; esac`)
  put("codex", `case "$1" in --version) echo "codex-cli 0.169.0";; login) echo "Not logged in" >&2; exit 1;; *) exit 9;; esac`)
  put("gemini", `if [ "$1" = --version ]; then echo 0.61.0; else STAND_IN=acp-login exec bun ${standIn}; fi`)
  put("kimi", `if [ "$1" = --version ]; then echo 1.2; else STAND_IN=acp exec bun ${standIn}; fi`)
  expect(statuses()).toMatchObject({
    claude: { agent: "ClaudeCodeAgent", path: join(folder, "claude"), version: "2.1.332", isLoggedIn: true, repair: null },
    codex: { version: "0.169.0", isLoggedIn: false, repair: "codex login", abilities: { schema: true, budget: false } },
    gemini: { version: "0.61.0", isLoggedIn: false, repair: "gemini" },
    kimi: { version: "1.2", isLoggedIn: true, repair: null },
    pi: { path: null, version: null, isLoggedIn: null, repair: "npm install -g @mariozechner/pi-coding-agent" },
  })
})

it("takes a key for a login, and a program that does not say for unknown", () => {
  put("claude", "exit 3")
  put("pi", "echo 0.73.1")
  expect(statuses()).toMatchObject({ claude: { version: null, isLoggedIn: null }, pi: { version: "0.73.1", isLoggedIn: null } })
  expect(statuses({ ANTHROPIC_API_KEY: "x" })).toMatchObject({ claude: { isLoggedIn: true }, pi: { isLoggedIn: true } })
})

it("lists one agent by its program or its function, and refuses a name that none has", () => {
  put("codex", `[ "$1" = --version ] && echo 0.169.0 || exit 0`)
  for (const name of ["codex", "CodexAgent"]) {
    const { stdout, exitCode } = smithers([name])
    expect(exitCode).toBe(0)
    expect(stdout).toBe(
      "AGENT       PROGRAM  VERSION  LOGGED IN  CAN\nCodexAgent  codex    0.169.0  yes        schema, resume, usage\n",
    )
  }
  const refused = smithers(["copilot"])
  expect(refused.exitCode).toBe(4)
  expect(refused.stderr).toContain('No agent is called "copilot": claude, codex, gemini, opencode, kimi, pi.')
})

it("says why a program that is there cannot be asked", () => {
  put("codex", "exit 0")
  const { codex } = statuses({ SMITHERS_ISOLATION: "bubblewrap", PATH: folder })
  expect(codex).toMatchObject({ version: null, problem: expect.stringContaining("bubblewrap (bwrap) is not installed") })
})
