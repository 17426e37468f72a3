/**
 * Patches of sandboxes whose files someone has prepared to deceive whoever reads or applies them. Needs no isolation.
 */
import { execFileSync, spawn } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import type { SandboxRequest } from "@smithers/core/Sandboxes"
import { local, sandboxes } from "@smithers/sandbox/Sandboxes"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const folder = (): string => {
  const made = realpathSync(mkdtempSync(join(tmpdir(), "smithers-patch-")))
  folders.push(made)
  return made
}

/** A repository whose files are tracked. */
const requestFor = (files: { readonly [path: string]: string }): SandboxRequest => {
  const root = folder()
  execFileSync("git", ["init", "-q", "-b", "main"], { cwd: root })
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  execFileSync("git", ["add", "-f", "."], { cwd: root })
  return { root, runId: "r", id: "s" }
}

const provider = local()
const { apply } = sandboxes({ open: () => Effect.die("no worktrees"), remove: () => Effect.die("no worktrees") })
const text = (root: string, path: string) => (existsSync(join(root, path)) ? readFileSync(join(root, path), "utf8") : null)

it.effect("a directory that is replaced by a link shows nothing of what the link leads to", () =>
  Effect.gen(function* () {
    const secrets = folder()
    writeFileSync(join(secrets, "credentials"), "hush")
    const request = requestFor({ "fixtures/credentials": "none\n" })
    const { directory } = yield* provider.open(request)
    rmSync(join(directory, "fixtures"), { recursive: true })
    symlinkSync(secrets, join(directory, "fixtures"))
    const patch = yield* provider.patch(request)
    expect(JSON.stringify(patch)).not.toContain("hush")
    expect(patch.changes).toMatchObject([{ path: "fixtures/credentials", after: null }])
    expect(patch.left.map(({ path }) => path)).toEqual(["fixtures"])
    yield* provider.close(request)
  }),
)

it.effect("a change of a file that git tracks is shown, also where .gitignore names the file, and whoever added that rule", () =>
  Effect.gen(function* () {
    const request = requestFor({ ".gitignore": "dist\n", "dist/out.js": "old\n", "build.sh": "make\n" })
    writeFileSync(join(request.root, "new.sh"), "untracked\n")
    const { directory } = yield* provider.open(request)
    writeFileSync(join(directory, ".gitignore"), "dist\n*.sh\n")
    for (const path of ["dist/out.js", "dist/more.js", "build.sh", "new.sh"]) writeFileSync(join(directory, path), "changed\n")
    const patch = yield* provider.patch(request)
    expect(patch.changes.map(({ path }) => path)).toEqual([".gitignore", "build.sh", "dist/out.js", "new.sh"])
    yield* provider.close(request)
  }),
)

it.live("an application that was killed is taken back where someone has changed a file since, and completed otherwise", () =>
  Effect.gen(function* () {
    const many = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [`m/${1000 + index}.txt`, "one\n"]))
    const before = { "a.txt": "one\n", "gone/old.txt": "old\n", ...many }
    const request = requestFor(before)
    const { root } = request
    const { directory } = yield* provider.open(request)
    for (const path of ["a.txt", "added/new.txt", ...Object.keys(many)]) {
      mkdirSync(join(directory, path, ".."), { recursive: true })
      writeFileSync(join(directory, path), "two\n")
    }
    rmSync(join(directory, "gone"), { recursive: true })
    const patch = yield* provider.patch(request)
    writeFileSync(`${root}.json`, JSON.stringify({ request, patch }))
    folders.push(`${root}.json`)
    const last = "m/1399.txt"
    for (const isChanged of [true, false]) {
      const child = spawn("bun", [join(import.meta.dirname, "fixtures/apply.ts"), `${root}.json`], { stdio: "ignore" })
      const ended = new Promise((resolve) => child.on("exit", resolve))
      yield* Effect.repeat(Effect.sleep(1), { until: () => text(root, "a.txt") === "two\n" })
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      expect([text(root, "gone/old.txt"), text(root, last)]).toEqual([null, "one\n"])
      if (isChanged) {
        writeFileSync(join(root, last), "mine\n")
        expect(yield* Effect.flip(apply(request, patch))).toMatchObject({ _tag: "PatchConflict", paths: [last] })
        expect([text(root, "a.txt"), text(root, "m/1000.txt"), text(root, "gone/old.txt")]).toEqual(["one\n", "one\n", "old\n"])
        expect([text(root, "added/new.txt"), text(root, last)]).toEqual([null, "mine\n"])
        writeFileSync(join(root, last), "one\n")
      }
    }
    yield* apply(request, patch)
    expect([text(root, "added/new.txt"), text(root, last), text(root, "gone/old.txt")]).toEqual(["two\n", "two\n", null])
    yield* provider.close(request)
  }),
)

it.live("what a command has locked is read and removed nevertheless, by a user without the rights of root", () =>
  Effect.gen(function* () {
    const script = [join(import.meta.dirname, "fixtures/locked.ts")]
    const isRoot = process.getuid?.() === 0
    const [program, ...args] = isRoot ? ["setpriv", "--reuid", "65534", "--clear-groups", "bun", ...script] : ["bun", ...script]
    const said = yield* Effect.sync(() =>
      execFileSync(program ?? "", args, { encoding: "utf8", cwd: tmpdir(), env: { PATH: process.env.PATH } }),
    )
    expect(JSON.parse(said)).toEqual({ files: ["locked/in.txt", "sealed.txt"], left: [] })
  }),
)

it.effect("files of logins and stores of keys are in no sandbox", () =>
  Effect.gen(function* () {
    const names = [".git-credentials", ".htpasswd", "release.jks", "team.kdbx", "id_ed25519_sk", "login.ppk", "my.keystore"]
    const request = requestFor(Object.fromEntries([...names, "plain.txt"].map((name) => [name, "hush"])))
    const { directory } = yield* provider.open(request)
    expect(readdirSync(directory)).toEqual(["plain.txt"])
    yield* provider.close(request)
  }),
)
