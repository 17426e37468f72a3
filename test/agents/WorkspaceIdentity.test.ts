/** The identity of a workspace, and git in a repository whose settings name programs: it is read without isolation. */
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as WorkspaceIdentity from "@smithers/agents/WorkspaceIdentity"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let base: string
let root: string
const git = (...args: ReadonlyArray<string>) => gitIn(root, ...args)
const gitIn = (cwd: string, ...args: ReadonlyArray<string>) =>
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", ...args], {
    cwd,
    stdio: "pipe",
    encoding: "utf8",
  })
const write = (path: string, text: string) => {
  mkdirSync(join(root, path, ".."), { recursive: true })
  writeFileSync(join(root, path), text)
}
const files = async (directory = root) => (await WorkspaceIdentity.read(directory)).files

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "smithers-identity-test-")))
  root = join(base, "root")
  mkdirSync(root)
  git("init", "-q", "-b", "main")
  write("a.txt", "a\n")
  write("src/b.txt", "b\n")
  write(".gitignore", "*.log\n")
  git("add", "-A")
  git("commit", "-qm", "first")
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

describe("the identity of a workspace", () => {
  it("changes with files, new files, rights, the index and the commit, and is what it was where they are", async () => {
    const first = await files()
    const others: Array<string | undefined> = []
    const step = async (change: () => void, back: () => void) => {
      change()
      others.push(await files())
      back()
      expect(await files()).toBe(first)
    }
    await step(
      () => write("a.txt", "A\n"),
      () => write("a.txt", "a\n"),
    )
    await step(
      () => write("new.txt", "n\n"),
      () => rmSync(join(root, "new.txt")),
    )
    await step(
      () => chmodSync(join(root, "a.txt"), 0o755),
      () => chmodSync(join(root, "a.txt"), 0o644),
    )
    await step(
      () => git("rm", "-q", "--cached", "src/b.txt"),
      () => git("reset", "-q"),
    )
    await step(
      () => git("commit", "-q", "--allow-empty", "-m", "second"),
      () => git("reset", "-q", "--soft", "HEAD~"),
    )
    write("ignored.log", "x\n")
    expect(await files()).toBe(first)
    expect(new Set([first, ...others]).size).toBe(6)
  })

  it("is that of the files below the root, in linked work trees, in parts of a work tree, and before the first commit", async () => {
    git("worktree", "add", "-q", join(base, "linked"), "-b", "linked")
    const linked = await files(join(base, "linked"))
    writeFileSync(join(base, "linked", "a.txt"), "other\n")
    expect(await files(join(base, "linked"))).not.toBe(linked)
    const part = await files(join(root, "src"))
    write("a.txt", "other\n")
    expect(await files(join(root, "src"))).toBe(part)
    write("src/b.txt", "other\n")
    expect(await files(join(root, "src"))).not.toBe(part)
    const young = join(base, "young")
    mkdirSync(young)
    gitIn(young, "init", "-q")
    expect(await files(young)).toMatch(/^[0-9a-f]{64}$/)
    mkdirSync(join(base, "plain"))
    expect(await files(join(base, "plain"))).toBeUndefined()
  })

  it("is read from an index in two files, and with the patterns that the user ignores", async () => {
    const home = join(base, "home")
    mkdirSync(home)
    const before = process.env.HOME
    process.env.HOME = home
    try {
      git("update-index", "--split-index")
      const first = await files()
      expect(first).toMatch(/^[0-9a-f]{64}$/)
      writeFileSync(join(home, "patterns"), "*.swp\n")
      execFileSync("git", ["config", "--global", "core.excludesFile", "~/patterns"])
      write("a.swp", "x")
      expect(await files()).toBe(first)
    } finally {
      process.env.HOME = before
    }
  })

  it("follows no file .git to a repository that is another's", async () => {
    const other = join(base, "other")
    mkdirSync(other)
    writeFileSync(join(other, ".git"), `gitdir: ${join(root, ".git")}\n`)
    expect(await files(other)).toBeUndefined()
  })
})

it("nothing runs that a repository names: no monitor, filter, hook, helper or program of a submodule", async () => {
  const pwned = join(base, "pwned")
  const evil = `touch ${pwned}; cat`
  const submodule = join(base, "submodule")
  mkdirSync(submodule)
  gitIn(submodule, "init", "-q")
  gitIn(submodule, "commit", "-q", "--allow-empty", "-m", "one")
  git("submodule", "--quiet", "add", submodule, "module")
  git("commit", "-qm", "with a submodule")
  const settings = ["core.fsmonitor", "core.sshCommand", "core.gitProxy", "core.editor", "core.pager", "core.askPass"]
  const drivers = [
    "filter.evil.clean",
    "filter.evil.process",
    "filter.evil.smudge",
    "diff.evil.textconv",
    "diff.evil.command",
    "diff.external",
  ]
  for (const directory of [root, join(root, "module")]) {
    for (const key of [...settings, ...drivers, "credential.helper", "uploadpack.packObjectsHook", "remote.origin.uploadpack"])
      gitIn(directory, "-c", "core.fsmonitor=false", "config", key, evil)
    for (const [key, value] of [
      ["filter.evil.required", "true"],
      ["core.hooksPath", join(base, "hooks")],
      ["core.untrackedCache", "true"],
      ["core.attributesFile", join(base, "attributes")],
      ["core.worktree", join(directory)],
      ["extensions.partialClone", "origin"],
      ["remote.origin.url", `ext::sh -c "${evil}"`],
      ["protocol.ext.allow", "always"],
      ["include.path", join(base, "included")],
      ["alias.status", `!${evil}`],
      ["trace2.eventTarget", pwned],
    ] as const)
      gitIn(directory, "-c", "core.fsmonitor=false", "config", key, value)
  }
  writeFileSync(join(base, "included"), `[core]\n\tfsmonitor = ${JSON.stringify(evil)}\n`)
  writeFileSync(join(base, "attributes"), "* filter=evil diff=evil\n")
  mkdirSync(join(base, "hooks"))
  for (const hook of ["post-index-change", "reference-transaction", "fsmonitor-watchman", "post-checkout", "pre-commit"]) {
    writeFileSync(join(base, "hooks", hook), `#!/bin/sh\n${evil}\n`)
    chmodSync(join(base, "hooks", hook), 0o755)
  }
  write(".gitattributes", "* filter=evil diff=evil\n")
  write("a.txt", "other\n")
  write("module/new.txt", "n\n")
  rmSync(pwned, { force: true })
  const before = readdirSync(join(root, ".git")).sort()
  const index = statSync(join(root, ".git", "index")).mtimeMs
  const first = await files()
  expect(first).toMatch(/^[0-9a-f]{64}$/)
  write("a.txt", "another\n")
  expect(await files()).not.toBe(first)
  expect(existsSync(pwned)).toBe(false)
  expect(readdirSync(join(root, ".git")).sort()).toEqual(before)
  expect(statSync(join(root, ".git", "index")).mtimeMs).toBe(index)
  // As a person has it who looks at the same repository.
  try {
    git("status")
  } catch {}
  expect(existsSync(pwned)).toBe(true)
})
