/** Work trees as they are found in the world, and as an adversary would leave them. */
import { spawn } from "node:child_process"
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import { Workspaces } from "@smithers/core/Workspaces"
import { GitWorkspaces } from "@smithers/workspace"
import * as Effect from "effect/Effect"
import { restore, snapshot, test, thereAndBack } from "./fixtures/operations.ts"
import { command, contents, folder, git, hasSucceeded, owned, repository, write } from "./fixtures/trees.ts"

const listed = (root: string, tree: string): ReadonlyArray<string> =>
  git(root, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", tree).trim().split("\n")

const shown = (root: string, tree: string, path: string): string => git(root, "cat-file", "blob", `${tree}:${path}`)

/** Replaces variables of this process while a scope is open. */
const environment = (variables: { readonly [name: string]: string }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
      Object.assign(process.env, variables)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before)
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
      }),
  )

describe("code that a repository names", () => {
  const hooks = [
    "post-index-change",
    "reference-transaction",
    "post-checkout",
    "pre-commit",
    "post-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-merge",
    "pre-auto-gc",
    "post-rewrite",
    "fsmonitor-watchman",
    "update",
  ]

  /** A work tree in which everything that git can run leaves a mark. */
  const armed = Effect.gen(function* () {
    const marks = yield* folder
    const program = join(marks, "run.sh")
    writeFileSync(program, `#!/bin/sh\necho "$0 $@" >> ${marks}/ran\ncat\n`)
    chmodSync(program, 0o755)
    const root = yield* repository({ "a.txt": "a\n", "b.bin": "b\n", "src/c.txt": "c\n" })
    const other = yield* folder
    for (const name of hooks) {
      writeFileSync(join(root, ".git", "hooks", name), `#!/bin/sh\necho "hook ${name}" >> ${marks}/ran\n`)
      chmodSync(join(root, ".git", "hooks", name), 0o755)
    }
    const settings: { readonly [name: string]: string } = {
      "core.fsmonitor": program,
      "core.pager": program,
      "core.editor": program,
      "core.sshCommand": program,
      "core.gitProxy": program,
      "core.alternateRefsCommand": program,
      "filter.mark.clean": program,
      "filter.mark.smudge": program,
      "filter.mark.required": "true",
      "filter.long.process": program,
      "diff.external": program,
      "diff.mark.textconv": program,
      "diff.mark.command": program,
      "merge.mark.driver": program,
      "commit.gpgSign": "true",
      "gpg.program": program,
      "gc.recentObjectsHook": program,
      "uploadpack.packObjectsHook": program,
      "trace2.eventTarget": `${marks}/ran`,
      "remote.evil.url": `ext::${program}`,
      "remote.evil.promisor": "true",
      "remote.evil.uploadpack": program,
      "protocol.ext.allow": "always",
      "extensions.partialClone": "evil",
      "core.repositoryFormatVersion": "1",
      "core.logAllRefUpdates": "always",
      ...Object.fromEntries(
        ["update-ref", "read-tree", "add", "ls-files", "update-index", "write-tree"].map((name) => [
          `alias.${name}`,
          `!${program}`,
        ]),
      ),
    }
    for (const [name, value] of Object.entries(settings)) git(root, "config", name, value)
    git(root, "config", "core.worktree", other)
    write(root, { ".gitattributes": "*.txt filter=mark diff=mark merge=mark\n*.bin filter=long\n" })
    return { root, marks: join(marks, "ran"), other }
  })

  test("does not run: hooks, filters, drivers, monitors, aliases, signatures, transports", () =>
    Effect.gen(function* () {
      const { root, marks, other } = yield* armed
      const config = readFileSync(join(root, ".git", "config"), "utf8")
      yield* thereAndBack(root, () => {
        write(root, { "a.txt": "changed\n", "b.bin": "changed\n", "new.txt": "new\n" })
        unlinkSync(join(root, "src", "c.txt"))
      })
      const workspaces = yield* Workspaces
      const saved = yield* snapshot(root)
      write(root, { "a.txt": "again\n" })
      const later = yield* snapshot(root)
      const diff = yield* workspaces.diff({ root, from: saved.commit, to: later.commit })
      expect(diff.patch).toContain("-changed\n+again\n")
      yield* workspaces.preview({ root, runId: "run", target: saved.commit })
      yield* workspaces.identify(root)
      yield* workspaces.forget({ root, runIds: ["run"] })
      expect(existsSync(marks)).toBe(false)
      expect(readdirSync(other)).toEqual([])
      expect(readFileSync(join(root, ".git", "config"), "utf8")).toBe(config)
      // The traps work: git as the user calls it falls into some.
      try {
        git(root, "-c", `core.worktree=${root}`, "status")
      } catch {}
      expect(readFileSync(marks, "utf8")).not.toBe("")
    }))

  test("does not run where core.hooksPath or an included file names it", () =>
    Effect.gen(function* () {
      const { root, marks } = yield* armed
      const elsewhere = yield* folder
      for (const name of hooks) {
        writeFileSync(join(elsewhere, name), `#!/bin/sh\necho ${name} >> ${marks}\n`)
        chmodSync(join(elsewhere, name), 0o755)
      }
      write(elsewhere, { included: `[core]\n\thooksPath = ${elsewhere}\n` })
      git(root, "config", "include.path", join(elsewhere, "included"))
      git(root, "config", "core.hooksPath", elsewhere)
      yield* thereAndBack(root, () => write(root, { "a.txt": "changed\n" }))
      expect(existsSync(marks)).toBe(false)
    }))

  test("does not run by variables of git, and these do not lead elsewhere", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const elsewhere = yield* repository({ "elsewhere.txt": "e\n" })
      const marks = yield* folder
      writeFileSync(join(marks, "post-index-change"), `#!/bin/sh\necho ran >> ${marks}/ran\n`)
      chmodSync(join(marks, "post-index-change"), 0o755)
      const before = [contents(elsewhere), owned(elsewhere), owned(root)]
      yield* environment({
        GIT_DIR: join(elsewhere, ".git"),
        GIT_WORK_TREE: elsewhere,
        GIT_INDEX_FILE: join(elsewhere, ".git", "index"),
        GIT_OBJECT_DIRECTORY: join(elsewhere, ".git", "objects"),
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: "core.hooksPath",
        GIT_CONFIG_VALUE_0: marks,
        GIT_CONFIG_PARAMETERS: `'core.hooksPath=${marks}'`,
        GIT_TRACE: join(marks, "ran"),
        GIT_EXTERNAL_DIFF: join(marks, "post-index-change"),
        GIT_NAMESPACE: "other",
        GIT_PREFIX: "src/",
        GIT_ICASE_PATHSPECS: "1",
        GIT_AUTHOR_DATE: "nonsense",
        GIT_EXEC_PATH: marks,
      })
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "changed\n" }))
      yield* Effect.sync(() => {
        for (const name of Object.keys(process.env)) if (name.startsWith("GIT_")) delete process.env[name]
      })
      expect(listed(root, saved.tree)).toEqual(["a.txt", "src/b.txt"])
      expect([contents(elsewhere), owned(elsewhere), owned(root)]).toEqual(before)
      expect(existsSync(join(marks, "ran"))).toBe(false)
    }))

  test("does not run as a program git of the task, by a relative PATH", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, { git: "#!/bin/sh\ntouch ran\n" })
      chmodSync(join(root, "git"), 0o755)
      const cwd = process.cwd()
      yield* Effect.acquireRelease(
        Effect.sync(() => process.chdir(root)),
        () => Effect.sync(() => process.chdir(cwd)),
      )
      yield* environment({ PATH: `.:${process.env.PATH}` })
      yield* snapshot(root)
      expect(existsSync(join(root, "ran"))).toBe(false)
    }))
})

describe("links", () => {
  test("in place of a folder are not followed by a snapshot, and a restore removes the link and nothing behind it", () =>
    Effect.gen(function* () {
      const outside = yield* folder
      write(outside, { "file.txt": "precious\n", "deep/other.txt": "precious\n" })
      const root = yield* repository({ "dir/file.txt": "mine\n", "dir/deep/other.txt": "mine\n" })
      const before = contents(root)
      const saved = yield* snapshot(root)
      rmSync(join(root, "dir"), { recursive: true })
      symlinkSync(outside, join(root, "dir"))
      const linked = yield* snapshot(root)
      expect(listed(root, linked.tree)).toEqual(["dir"])
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual(before)
      expect(contents(outside)).toEqual({ "file.txt": 'file "precious\\n"', "deep/other.txt": 'file "precious\\n"' })
      yield* restore(root, linked.commit)
      expect(contents(root)).toEqual({ dir: `link ${outside}` })
      expect(Object.keys(contents(outside))).toHaveLength(2)
    }))

  test("that are ignored and stand where the target has a folder are in the way, and forced they are kept in the safety snapshot", () =>
    Effect.gen(function* () {
      const outside = yield* folder
      write(outside, { "file.txt": "precious\n" })
      const root = yield* repository({ "dir/file.txt": "mine\n", "a.txt": "a\n" })
      const saved = yield* snapshot(root)
      rmSync(join(root, "dir"), { recursive: true })
      write(root, { ".gitignore": "/dir\n" })
      git(root, "rm", "-q", "--cached", "dir/file.txt")
      symlinkSync(outside, join(root, "dir"))
      expect(yield* Effect.flip(restore(root, saved.commit))).toMatchObject({ _tag: "RestoreRefused", overwrites: ["dir"] })
      const { safety } = yield* restore(root, saved.commit, true)
      expect(lstatSync(join(root, "dir")).isDirectory()).toBe(true)
      expect(contents(outside)).toEqual({ "file.txt": 'file "precious\\n"' })
      yield* restore(root, safety.commit, true)
      expect(contents(root).dir).toBe(`link ${outside}`)
      expect(contents(outside)).toEqual({ "file.txt": 'file "precious\\n"' })
    }))

  test("to files, to nowhere, in circles and out of the root are saved as links", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const links = { absolute: "/etc/passwd", nowhere: "missing", circle: "circle", up: "../../..", ü: "ü ü" }
      const { saved } = yield* thereAndBack(root, () => {
        for (const [name, to] of Object.entries(links)) symlinkSync(to, join(root, name))
        unlinkSync(join(root, "a.txt"))
        symlinkSync("src/b.txt", join(root, "a.txt"))
      })
      yield* restore(root, saved.commit)
    }))

  test("above the root are resolved once: the files are those of the real root", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "app/a.txt": "a\n" })
      const plain = yield* folder
      symlinkSync(root, join(plain, "link"))
      const saved = yield* snapshot(join(plain, "link", "app"))
      write(root, { "app/a.txt": "b\n" })
      yield* restore(join(root, "app"), saved.commit)
      expect(contents(root)).toEqual({ "app/a.txt": 'file "a\\n"' })
    }))
})

describe("repositories below the root", () => {
  const submodule = Effect.gen(function* () {
    const library = yield* repository({ "lib.txt": "lib\n" })
    const root = yield* repository()
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "vendor/lib")
    git(root, "commit", "-q", "-m", "submodule")
    return root
  })

  test("as submodules are named, and neither their files nor their commits are touched", () =>
    Effect.gen(function* () {
      const root = yield* submodule
      const saved = yield* snapshot(root)
      expect(saved.skipped).toEqual([{ path: "vendor/lib", reason: "repository" }])
      expect(listed(root, saved.tree)).toEqual([".gitmodules", "a.txt", "src/b.txt"])
      write(root, { "vendor/lib/lib.txt": "dirty\n", "vendor/lib/new.txt": "new\n", "a.txt": "changed\n" })
      git(join(root, "vendor/lib"), "checkout", "-q", "-b", "work")
      git(join(root, "vendor/lib"), "commit", "-qam", "in the submodule")
      const head = git(join(root, "vendor/lib"), "rev-parse", "HEAD")
      yield* restore(root, saved.commit)
      expect(contents(root)).toMatchObject({
        "a.txt": 'file "a\\n"',
        "vendor/lib/lib.txt": 'file "dirty\\n"',
        "vendor/lib/new.txt": 'file "new\\n"',
      })
      expect(git(join(root, "vendor/lib"), "rev-parse", "HEAD")).toBe(head)
    }))

  test("as submodules are saved in their own repository where the root is one", () =>
    Effect.gen(function* () {
      const top = yield* submodule
      const root = join(top, "vendor", "lib")
      const { saved } = yield* thereAndBack(root, () => write(root, { "lib.txt": "changed\n", "n.txt": "n\n" }))
      expect(saved.isShadow).toBe(false)
      expect(git(root, "for-each-ref", "refs/smithers")).not.toBe("")
      expect(git(top, "for-each-ref", "refs/smithers")).toBe("")
    }))

  test("without commits do not hinder a snapshot", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      mkdirSync(join(root, "empty"))
      git(join(root, "empty"), "init", "-q")
      const saved = yield* snapshot(root)
      expect(saved.skipped).toEqual([{ path: "empty", reason: "repository" }])
    }))

  test("made in a folder of saved files leave those files saved", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "lib/a.txt": "a\n", "b.txt": "b\n" })
      const saved = yield* snapshot(root)
      git(join(root, "lib"), "init", "-q")
      write(root, { "lib/a.txt": "changed\n", "b.txt": "changed\n" })
      const nested = contents(join(root, "lib", ".git"))
      yield* snapshot(root)
      yield* restore(root, saved.commit)
      expect(readFileSync(join(root, "lib", "a.txt"), "utf8")).toBe("a\n")
      expect(contents(join(root, "lib", ".git"))).toEqual(nested)
    }))

  test("in place of a file of the target are never removed, not by force either", () =>
    Effect.gen(function* () {
      const root = yield* repository({ lib: "a file\n", "b.txt": "b\n" })
      const saved = yield* snapshot(root)
      unlinkSync(join(root, "lib"))
      mkdirSync(join(root, "lib"))
      git(join(root, "lib"), "init", "-q")
      write(root, { "lib/x.txt": "x\n" })
      git(join(root, "lib"), "add", "-A")
      git(join(root, "lib"), "commit", "-qm", "work of days")
      const before = [contents(root), owned(join(root, "lib"))]
      for (const isForced of [false, true]) {
        const failure = yield* Effect.flip(restore(root, saved.commit, isForced))
        expect(failure).toMatchObject({ _tag: "RestoreRefused" })
        expect(String(failure)).toContain("lib/")
      }
      expect([contents(root), owned(join(root, "lib"))]).toEqual(before)
    }))

  test("as linked work trees are named, and are roots of their own with the same store", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      git(root, "worktree", "add", "-q", ".trees/one")
      const linked = join(root, ".trees", "one")
      const saved = yield* snapshot(root)
      expect(saved.skipped).toEqual([{ path: ".trees/one", reason: "repository" }])
      const index = readFileSync(join(root, ".git", "worktrees", "one", "index"))
      yield* thereAndBack(linked, () => write(linked, { "a.txt": "in the linked one\n", "n.txt": "n\n" }))
      expect(readFileSync(join(root, ".git", "worktrees", "one", "index")).equals(index)).toBe(true)
      expect(yield* (yield* Workspaces).identify(linked)).toMatchObject({ isGit: true, top: linked, store: join(root, ".git") })
      expect(git(linked, "status", "--porcelain")).toBe(" M a.txt\n?? n.txt\n")
    }))
})

describe("ignored files", () => {
  test("stay through a restore that removes the .gitignore which names them", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const saved = yield* snapshot(root)
      write(root, { ".gitignore": "cache/\n*.log\n", "cache/big": "precious\n", "deep/x.log": "log\n", "a.txt": "b\n" })
      yield* snapshot(root)
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual({
        "a.txt": 'file "a\\n"',
        "cache/big": 'file "precious\\n"',
        "deep/x.log": 'file "log\\n"',
      })
    }))

  test("stay, too, where the restore that removed their .gitignore is taken back, and where they are more than a snapshot takes", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const few = <A, E>(effect: Effect.Effect<A, E, Workspaces>) =>
        Effect.provide(effect, GitWorkspaces.layer({ limits: { newFiles: 20 } }))
      const saved = yield* snapshot(root)
      write(root, { ".gitignore": "node_modules/\n!kept.log\n", "sub/.gitignore": "*.tmp\n", "n.txt": "n\n" })
      write(root, { "sub/x.tmp": "x\n", "sub/x.txt": "x\n" })
      write(root, Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`node_modules/m/${index}.js`, "x"])))
      const before = contents(root)
      const { safety, changes } = yield* few(restore(root, saved.commit))
      expect(changes.map(({ path }) => path)).toEqual([".gitignore", "n.txt", "sub/.gitignore", "sub/x.txt"])
      expect(Object.keys(contents(root))).toHaveLength(32)
      expect(yield* few(Effect.flip(snapshot(root)))).toMatchObject({ _tag: "WorkspaceFailed" })
      const workspaces = yield* Workspaces
      const preview = yield* few(workspaces.preview({ root, runId: "run", target: safety.commit }))
      expect(preview.changes).toHaveLength(4)
      yield* few(restore(root, safety.commit))
      expect(contents(root)).toEqual(before)
    }))

  test("by the rules of the target are not removed, although a snapshot meanwhile has saved them", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ".gitignore": "above/\n", "app/.gitignore": "cache/\n/only-here\n", "app/a.txt": "a\n" })
      const root = join(top, "app")
      write(root, { "cache/x": "precious\n", "only-here": "precious\n", "above/x": "precious\n" })
      const saved = yield* snapshot(root)
      write(root, { ".gitignore": "", "deep/only-here": "new\n" })
      write(top, { ".gitignore": "" })
      const bared = yield* snapshot(root)
      expect(listed(top, bared.tree)).toContain("app/cache/x")
      write(top, { ".gitignore": "above/\n" })
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual({
        ".gitignore": contents(root)[".gitignore"],
        "a.txt": 'file "a\\n"',
        "cache/x": 'file "precious\\n"',
        "only-here": 'file "precious\\n"',
        "above/x": 'file "precious\\n"',
      })
    }))

  test("are not saved once they are ignored, and are where the user's git tracks them", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      write(root, { "token.txt": "not yet ignored\n" })
      expect(listed(root, (yield* snapshot(root)).tree)).toEqual(["a.txt", "token.txt"])
      write(root, { ".gitignore": "token.txt\ndist/\n", "token.txt": "secret\n", "dist/a.js": "a\n", "dist/b.js": "b\n" })
      const ignored = yield* snapshot(root)
      expect(listed(root, ignored.tree)).toEqual([".gitignore", "a.txt"])
      git(root, "add", "-f", "dist/a.js")
      const tracked = yield* snapshot(root)
      expect(listed(root, tracked.tree)).toEqual([".gitignore", "a.txt", "dist/a.js"])
      write(root, { "dist/a.js": "changed\n", "dist/b.js": "changed\n" })
      yield* restore(root, tracked.commit)
      expect(contents(root)).toMatchObject({
        "dist/a.js": 'file "a\\n"',
        "dist/b.js": 'file "changed\\n"',
        "token.txt": 'file "secret\\n"',
      })
      git(root, "rm", "-q", "--cached", "dist/a.js")
      expect(listed(root, (yield* snapshot(root)).tree)).toEqual([".gitignore", "a.txt"])
    }))

  test("are those of all of the user's ignore files", () =>
    Effect.gen(function* () {
      const home = yield* folder
      write(home, { ".config/git/ignore": "from-home\n", named: "from-named\n" })
      const root = yield* repository({ "a.txt": "a\n", "deep/.gitignore": "from-deep\n" })
      write(root, { ".git/info/exclude": "from-info\n" })
      yield* environment({ HOME: home, XDG_CONFIG_HOME: join(home, ".config") })
      write(root, { "from-home": "", "from-named": "", "from-info": "", "deep/from-deep": "", "from-deep": "" })
      expect(listed(root, (yield* snapshot(root)).tree)).toEqual(["a.txt", "deep/.gitignore", "from-deep", "from-named"])
      git(root, "config", "core.excludesFile", "~/named")
      expect(listed(root, (yield* snapshot(root)).tree)).toEqual(["a.txt", "deep/.gitignore", "from-deep", "from-home"])
    }))

  test("as a whole root go into a shadow repository, so that they are saved at all", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ".gitignore": "scratch/\n", "a.txt": "a\n" })
      const root = join(top, "scratch", "site")
      write(root, { "page.html": "1\n" })
      const { saved } = yield* thereAndBack(root, () => write(root, { "page.html": "2\n", "new.html": "n\n" }))
      expect(saved.isShadow).toBe(true)
      expect(git(top, "for-each-ref", "refs/smithers")).toBe("")
    }))
})

describe("kinds of files", () => {
  test("changing into one another come back: program bits, files, folders, links, case of names", () =>
    Effect.gen(function* () {
      const root = yield* repository({ file: "f\n", "folder/in.txt": "i\n", run: "r\n", "Case.txt": "c\n", "Dir/x.txt": "x\n" })
      symlinkSync("file", join(root, "link"))
      chmodSync(join(root, "run"), 0o755)
      yield* thereAndBack(root, () => {
        unlinkSync(join(root, "file"))
        write(root, { "file/now/a/folder.txt": "f\n" })
        rmSync(join(root, "folder"), { recursive: true })
        symlinkSync("elsewhere", join(root, "folder"))
        unlinkSync(join(root, "link"))
        write(root, { link: "a file\n" })
        chmodSync(join(root, "run"), 0o644)
        renameSync(join(root, "Case.txt"), join(root, "case.txt"))
        renameSync(join(root, "Dir"), join(root, "dir"))
      })
    }))

  test("that are no files are left, also where they took the place of a saved one", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n", "b.txt": "b\n" })
      const saved = yield* snapshot(root)
      unlinkSync(join(root, "a.txt"))
      command("mkfifo", join(root, "a.txt"), join(root, "pipe"))
      write(root, { "b.txt": "changed\n" })
      const piped = yield* snapshot(root)
      expect(piped.skipped).toContainEqual({ path: "a.txt", reason: "special" })
      expect(listed(root, piped.tree)).toEqual(["b.txt"])
      expect(yield* Effect.flip(restore(root, saved.commit))).toMatchObject({ _tag: "RestoreRefused", overwrites: ["a.txt"] })
      yield* restore(root, saved.commit, true)
      expect(contents(root)).toEqual({ "a.txt": 'file "a\\n"', "b.txt": 'file "b\\n"', pipe: "special" })
    }))

  test("with names that are no UTF-8 are saved and restored", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const name = Buffer.concat([Buffer.from(`${root}/bad-`), Buffer.from([0xff, 0xfe, 0x80])])
      writeFileSync(name, "1\n")
      const saved = yield* snapshot(root)
      writeFileSync(name, "2\n")
      yield* restore(root, saved.commit)
      expect(readFileSync(name, "utf8")).toBe("1\n")
      unlinkSync(name)
      yield* restore(root, saved.commit)
      expect(readFileSync(name, "utf8")).toBe("1\n")
    }))

  test("of the same size, written in the same moment, are told apart", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "0000\n" })
      for (let round = 1; round <= 25; round++) {
        const text = `${String(round).padStart(4, "0")}\n`
        write(root, { "a.txt": text, "untracked.txt": text })
        const saved = yield* snapshot(root)
        expect(shown(root, saved.tree, "a.txt")).toBe(text)
        expect(shown(root, saved.tree, "untracked.txt")).toBe(text)
        const again = `${String(round).padStart(4, "x")}\n`
        write(root, { "a.txt": again })
        expect(shown(root, (yield* snapshot(root)).tree, "a.txt")).toBe(again)
      }
    }))

  test("of the same size, written in the moment of the user's git add, are told apart by the first snapshot of a run", () =>
    Effect.gen(function* () {
      for (let round = 1; round <= 10; round++) {
        const root = yield* repository({ "a.txt": "0000\n" })
        write(root, { "a.txt": "1111\n" })
        git(root, "add", "a.txt")
        write(root, { "a.txt": "2222\n" })
        // As old as the index: what git compares with.
        const { mtime } = statSync(join(root, ".git", "index"))
        utimesSync(join(root, "a.txt"), mtime, mtime)
        expect(shown(root, (yield* snapshot(root)).tree, "a.txt")).toBe("2222\n")
      }
    }))

  test("that are read-only come back", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n", "b.txt": "b\n" })
      yield* thereAndBack(root, () => {
        chmodSync(join(root, "a.txt"), 0o444)
        write(root, { "c.txt": "c\n" })
        chmodSync(join(root, "c.txt"), 0o400)
        unlinkSync(join(root, "b.txt"))
      })
    }))

  test("as SQLite databases in use are neither saved nor replaced", () =>
    Effect.gen(function* () {
      const { Database } = yield* Effect.promise(() => import("bun:sqlite"))
      const root = yield* repository({ "a.txt": "a\n" })
      const rest = new Database(join(root, "state.db"))
      rest.run("CREATE TABLE t (x)")
      rest.close()
      const saved = yield* snapshot(root)
      expect(listed(root, saved.tree)).toEqual(["a.txt", "state.db"])
      const inUse = new Database(join(root, "state.db"))
      inUse.run("PRAGMA journal_mode = wal")
      inUse.run("INSERT INTO t VALUES (1)")
      const during = yield* snapshot(root)
      expect(during.skipped.map(({ path }) => path)).toEqual(["state.db", "state.db-shm", "state.db-wal"])
      expect(listed(root, during.tree)).toEqual(["a.txt"])
      expect(yield* Effect.flip(restore(root, saved.commit))).toMatchObject({ _tag: "RestoreRefused", overwrites: ["state.db"] })
      write(root, { "a.txt": "b\n" })
      yield* restore(root, during.commit)
      expect(inUse.query("SELECT count(*) AS n FROM t").get()).toEqual({ n: 1 })
      inUse.close()
    }))

  test("over 50 MB are saved where the user's git tracks them", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      writeFileSync(join(root, "tracked.bin"), Buffer.alloc(50_000_001))
      git(root, "add", "-A")
      writeFileSync(join(root, "other.bin"), Buffer.alloc(50_000_001, 1))
      const saved = yield* snapshot(root)
      expect(listed(root, saved.tree)).toEqual(["a.txt", "tracked.bin"])
      writeFileSync(join(root, "tracked.bin"), Buffer.alloc(50_000_002, 2))
      const changed = yield* snapshot(root)
      expect(listed(root, changed.tree)).toEqual(["a.txt", "tracked.bin"])
      yield* restore(root, saved.commit)
      expect(statSync(join(root, "tracked.bin")).size).toBe(50_000_001)
      expect(statSync(join(root, "other.bin")).size).toBe(50_000_001)
    }))

  test("that have grown beyond the bound are not replaced by their small selves", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      write(root, { "data.bin": "small\n" })
      const saved = yield* snapshot(root)
      writeFileSync(join(root, "data.bin"), Buffer.alloc(50_000_001))
      const grown = yield* snapshot(root)
      expect(grown.skipped).toEqual([{ path: "data.bin", reason: "large" }])
      expect(yield* Effect.flip(restore(root, saved.commit))).toMatchObject({ _tag: "RestoreRefused", overwrites: ["data.bin"] })
      expect(statSync(join(root, "data.bin")).size).toBe(50_000_001)
    }))
})

describe("conversions", () => {
  const bytes = {
    "crlf.txt": "1\r\n2\r\n",
    "lf.txt": "1\n2\n",
    "mixed.txt": "1\r\n2\n",
    "id.txt": "$Id$\n",
    "u16.txt": Buffer.from("\ufeffa\n", "utf16le"),
  }
  const settings: ReadonlyArray<readonly [name: string, configure: (root: string) => void]> = [
    ["core.autocrlf=true", (root) => git(root, "config", "core.autocrlf", "true")],
    ["core.autocrlf=input", (root) => git(root, "config", "core.autocrlf", "input")],
    ["* text=auto eol=crlf", (root) => write(root, { ".gitattributes": "* text=auto eol=crlf\n" })],
    [
      "ident and an encoding",
      (root) => write(root, { ".gitattributes": "id.txt ident\nu16.txt text working-tree-encoding=UTF-16LE\n" }),
    ],
    ["attributes of the repository alone", (root) => write(root, { ".git/info/attributes": "* text=auto\n" })],
    [
      "a required filter whose program is missing",
      (root) => {
        write(root, { ".gitattributes": "*.txt filter=gone\n" })
        git(root, "config", "filter.gone.required", "true")
        git(root, "config", "filter.gone.clean", "no-such-program")
      },
    ],
  ]
  for (const [name, configure] of settings)
    test(`do not apply: files come back byte for byte (${name})`, () =>
      Effect.gen(function* () {
        const root = yield* repository({})
        configure(root)
        write(root, bytes)
        try {
          git(root, "add", "-A")
          git(root, "commit", "-qm", "as git converts them")
        } catch {}
        yield* thereAndBack(root, () => {
          write(root, { "crlf.txt": "changed\n", "lf.txt": "changed\r\n", "id.txt": "$Id: abc $\n" })
          for (const path of ["mixed.txt", "u16.txt"]) unlinkSync(join(root, path))
        })
      }))

  test("of large files to pointers leave those files out", () =>
    Effect.gen(function* () {
      const root = yield* repository({})
      write(root, { ".gitattributes": "*.bin filter=pointer\n" })
      git(root, "config", "filter.pointer.clean", "cat >/dev/null; echo pointer")
      writeFileSync(join(root, "asset.bin"), Buffer.alloc(50_000_001))
      git(root, "add", "-A")
      const saved = yield* snapshot(root)
      expect(listed(root, saved.tree)).toEqual([".gitattributes"])
      expect(saved.skipped).toEqual([{ path: "asset.bin", reason: "large" }])
    }))
})

describe("repositories of all kinds", () => {
  test("without a commit", () =>
    Effect.gen(function* () {
      const root = yield* folder
      git(root, "init", "-q")
      write(root, { "a.txt": "a\n" })
      yield* thereAndBack(root, () => write(root, { "a.txt": "b\n", "c.txt": "c\n" }))
      expect(() => git(root, "rev-parse", "--verify", "-q", "HEAD")).toThrow()
    }))

  test("with ids by SHA-256", () =>
    Effect.gen(function* () {
      const root = yield* folder
      git(root, "init", "-q", "--object-format=sha256")
      write(root, { "a.txt": "a\n" })
      git(root, "add", "-A")
      git(root, "commit", "-qm", "first")
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "b\n", "c.txt": "c\n" }))
      expect(saved.commit).toHaveLength(64)
    }))

  test("with a sparse checkout: what is not there is not saved, and no restore brings it", () =>
    Effect.gen(function* () {
      for (const extra of [[], ["--sparse-index"]]) {
        const root = yield* repository({ "in/a.txt": "a\n", "out/b.txt": "b\n", "top.txt": "t\n" })
        git(root, "sparse-checkout", "set", ...extra, "in")
        const before = owned(root)
        const { saved } = yield* thereAndBack(root, () =>
          write(root, { "in/a.txt": "b\n", "in/n.txt": "n\n", "top.txt": "changed\n" }),
        )
        expect(listed(root, saved.tree)).toEqual(["in/a.txt", "top.txt"])
        expect(owned(root)).toEqual(before)
      }
    }))

  test("whose index hides changes: assume-unchanged, skip-worktree, intent to add", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "assumed.txt": "1\n", "skipped.txt": "1\n", "a.txt": "a\n" })
      git(root, "update-index", "--assume-unchanged", "assumed.txt")
      git(root, "update-index", "--skip-worktree", "skipped.txt")
      write(root, { "assumed.txt": "2\n", "skipped.txt": "2\n", "intended.txt": "i\n" })
      git(root, "add", "-N", "intended.txt")
      const saved = yield* snapshot(root)
      for (const path of ["assumed.txt", "skipped.txt"]) expect(shown(root, saved.tree, path)).toBe("2\n")
      expect(shown(root, saved.tree, "intended.txt")).toBe("i\n")
      yield* thereAndBack(root, () => write(root, { "assumed.txt": "3\n", "skipped.txt": "3\n", "intended.txt": "3\n" }))
    }))

  test("with intent to add alone", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, { "intended.txt": "i\n", "gone.txt": "g\n" })
      git(root, "add", "-N", "intended.txt", "gone.txt")
      unlinkSync(join(root, "gone.txt"))
      const { saved } = yield* thereAndBack(root, () => write(root, { "intended.txt": "3\n" }))
      expect(listed(root, saved.tree)).toEqual(["a.txt", "intended.txt", "src/b.txt"])
    }))

  test("with a split index", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      git(root, "update-index", "--split-index")
      write(root, { "staged.txt": "s\n", ".gitignore": "forced.txt\n", "forced.txt": "f\n" })
      git(root, "add", "-f", "staged.txt", "forced.txt")
      const before = owned(root)
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "b\n" }))
      expect(listed(root, saved.tree)).toEqual([".gitignore", "a.txt", "forced.txt", "src/b.txt", "staged.txt"])
      expect(owned(root)).toEqual(before)
    }))

  test("in the middle of a merge with conflicts", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "base\n" })
      git(root, "checkout", "-q", "-b", "side")
      write(root, { "a.txt": "side\n" })
      git(root, "commit", "-qam", "side")
      git(root, "checkout", "-q", "main")
      write(root, { "a.txt": "main\n" })
      git(root, "commit", "-qam", "main")
      expect(() => git(root, "merge", "side")).toThrow()
      const before = owned(root)
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "solved\n" }))
      expect(shown(root, saved.tree, "a.txt")).toContain("<<<<<<<")
      expect(owned(root)).toEqual(before)
    }))

  test("shallow, with borrowed objects, or partial", () =>
    Effect.gen(function* () {
      const origin = yield* repository({ "a.txt": "a\n", "b.txt": "b\n" })
      write(origin, { "a.txt": "second\n" })
      git(origin, "commit", "-qam", "second")
      git(origin, "config", "uploadpack.allowFilter", "true")
      const around = yield* folder
      git(around, "clone", "-q", "--depth", "1", `file://${origin}`, "shallow")
      git(around, "clone", "-q", "--shared", origin, "borrowed")
      git(around, "clone", "-q", "--filter=blob:none", `file://${origin}`, "partial")
      for (const name of ["shallow", "borrowed", "partial"]) {
        const root = join(around, name)
        yield* thereAndBack(root, () => write(root, { "a.txt": "b\n", "n.txt": "n\n" }))
      }
    }))

  test("that are bare, as plain files in a shadow repository", () =>
    Effect.gen(function* () {
      const root = yield* folder
      git(root, "init", "-q", "--bare")
      const before = contents(root)
      const saved = yield* snapshot(root)
      expect(saved.isShadow).toBe(true)
      write(root, { description: "changed\n" })
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual(before)
    }))

  test("whose directory .git is damaged, as if there were none", () =>
    Effect.gen(function* () {
      const root = yield* folder
      mkdirSync(join(root, ".git"))
      write(root, { "a.txt": "a\n", ".git/config": "nonsense" })
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "b\n" }))
      expect(saved.isShadow).toBe(true)
    }))

  test("whose index is damaged", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      for (const content of [Buffer.alloc(0), Buffer.from("garbage"), Buffer.alloc(4096, 7)]) {
        writeFileSync(join(root, ".git", "index"), content)
        yield* thereAndBack(root, () => write(root, { "a.txt": `${content.length}\n`, "n.txt": "n\n" }))
        expect(readFileSync(join(root, ".git", "index")).equals(content)).toBe(true)
      }
    }))

  test("whose file .git names a repository that knows nothing of them, are not followed there", () =>
    Effect.gen(function* () {
      const victim = yield* repository({ "victim.txt": "v\n" })
      const root = yield* folder
      write(root, { "a.txt": "a\n", ".git": `gitdir: ${join(victim, ".git")}\n` })
      const before = [owned(victim), readdirSync(join(victim, ".git")).sort()]
      const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "b\n" }))
      expect(saved.isShadow).toBe(true)
      expect([owned(victim), readdirSync(join(victim, ".git")).sort()]).toEqual(before)
    }))

  test("that a task makes in its root after the first snapshot do not part a run from its snapshots", () =>
    Effect.gen(function* () {
      const root = yield* folder
      write(root, { "a.txt": "a\n" })
      const saved = yield* snapshot(root)
      git(root, "init", "-q")
      write(root, { "a.txt": "b\n" })
      const later = yield* snapshot(root)
      expect(later.isShadow).toBe(true)
      yield* restore(root, saved.commit)
      expect(contents(root)).toMatchObject({ "a.txt": 'file "a\\n"' })
      // A new run belongs to the new repository; it may go back to what the other has saved.
      expect((yield* snapshot(root, "new")).isShadow).toBe(false)
      yield* restore(root, later.commit, false, "new")
      expect(contents(root)).toMatchObject({ "a.txt": 'file "b\\n"' })
      const workspaces = yield* Workspaces
      expect((yield* workspaces.kept(root)).map(({ runId }) => runId).sort()).toEqual(["new", "new", "run"])
      yield* workspaces.forget({ root, runIds: ["new", "run"] })
      expect(yield* workspaces.kept(root)).toEqual([])
    }))

  test("in place of the shadow repository by a link are refused", () =>
    Effect.gen(function* () {
      const victim = yield* repository()
      const root = yield* folder
      write(root, { "a.txt": "a\n" })
      mkdirSync(join(root, ".smithers"))
      symlinkSync(join(victim, ".git"), join(root, ".smithers", "snapshots.git"))
      const before = owned(victim)
      expect(String(yield* Effect.flip(snapshot(root)))).toContain("is a symbolic link: remove it")
      expect(owned(victim)).toEqual(before)
    }))

  test("below a directory .git are plain files", () =>
    Effect.gen(function* () {
      const top = yield* repository()
      const root = join(top, ".git", "hooks")
      const saved = yield* snapshot(root)
      expect(saved.isShadow).toBe(true)
    }))

  test("with the tracked folder of a root, whose name git would read as a pattern", () =>
    Effect.gen(function* () {
      const top = yield* repository({
        ":(exclude)x/a.txt": "a\n",
        "[ab]/a.txt": "a\n",
        "a/a.txt": "a\n",
        "ü ü/a.txt": "a\n",
        "-x/a.txt": "a\n",
      })
      for (const name of [":(exclude)x", "[ab]", "ü ü", "-x"]) {
        const root = join(top, name)
        const { saved } = yield* thereAndBack(root, () => write(root, { "a.txt": "b\n", "n.txt": "n\n" }))
        expect(listed(top, saved.tree)).toEqual([`${name}/a.txt`])
      }
    }))
})

describe("others at work", () => {
  test("a commit of the user in the middle, and his changes of the index, matter to neither side", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const saved = yield* snapshot(root)
      write(root, { "a.txt": "committed\n", "n.txt": "n\n" })
      git(root, "add", "-A")
      git(root, "commit", "-qm", "of the user")
      const head = git(root, "rev-parse", "HEAD")
      const before = owned(root)
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual({ "a.txt": 'file "a\\n"', "src/b.txt": 'file "b\\n"' })
      expect(git(root, "rev-parse", "HEAD")).toBe(head)
      expect(owned(root)).toEqual(before)
      git(root, "checkout", "-q", ".")
      expect(contents(root)).toMatchObject({ "a.txt": 'file "committed\\n"', "n.txt": 'file "n\\n"' })
    }))

  test("an index.lock of the user does not matter, and stays", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      closeSync(openSync(join(root, ".git", "index.lock"), "wx"))
      closeSync(openSync(join(root, ".git", "HEAD.lock"), "wx"))
      yield* thereAndBack(root, () => write(root, { "a.txt": "b\n" }))
      expect(existsSync(join(root, ".git", "index.lock"))).toBe(true)
    }))

  test("snapshots of one run at once wait for one another and form one chain", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const saved = yield* Effect.all(
        Array.from({ length: 6 }, (_, index) =>
          Effect.zipRight(
            Effect.sync(() => write(root, { [`${index}.txt`]: `${index}\n` })),
            snapshot(root, "run", `snapshot ${index}`),
          ),
        ),
        { concurrency: "unbounded" },
      )
      const kept = yield* (yield* Workspaces).kept(root)
      const chain = git(root, "log", "--format=%H", kept[0]?.commit ?? "")
        .trim()
        .split("\n")
      for (const { commit } of saved) expect(chain).toContain(commit)
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("snapshots of many runs beside commits of the user: no failure on either side", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const users = Effect.promise(async () => {
        for (let index = 0; index < 12; index++) {
          write(root, { [`user-${index}.txt`]: `${index}\n` })
          const child = spawn("sh", ["-c", `git add user-${index}.txt && git -c user.name=u -c user.email=u commit -qm ${index}`], {
            cwd: root,
            stdio: "ignore",
          })
          const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
          expect(code).toBe(0)
        }
      })
      const ours = Effect.forEach(
        Array.from({ length: 12 }, (_, index) => index),
        (index) =>
          Effect.zipRight(
            Effect.sync(() => write(root, { [`ours-${index}.txt`]: `${index}\n` })),
            snapshot(root, `run ${index % 3}`),
          ),
        { concurrency: 3 },
      )
      const [, saved] = yield* Effect.all([users, ours], { concurrency: "unbounded" })
      expect(new Set(saved.map(({ commit }) => commit)).size).toBeGreaterThan(3)
      expect(git(root, "log", "--oneline").trim().split("\n")).toHaveLength(13)
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("a process that writes files during a restore makes it fail or wait, and no content is lost", () =>
    Effect.gen(function* () {
      const root = yield* repository(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`${index}.txt`, "0\n"])))
      const saved = yield* snapshot(root)
      for (let index = 0; index < 200; index++) write(root, { [`${index}.txt`]: "1\n" })
      const script =
        "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo written-$i > 150.txt; echo written-$i > new-$((i % 5)).txt; done"
      const writer = spawn("sh", ["-c", script], { cwd: root, stdio: "ignore" })
      const ended = new Promise((resolve) => writer.on("close", resolve))
      const result = yield* Effect.either(restore(root, saved.commit))
      yield* Effect.promise(() => ended)
      if (result._tag === "Left")
        expect(["RestoreIncomplete", "WorkspaceFailed"]).toContain(Reflect.get(Object(result.left), "_tag"))
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual(Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`${index}.txt`, 'file "0\\n"'])))
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("a ref of a run that someone removed begins a new chain, and what it held is missing by name", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, { "n.txt": "only here\n" })
      const saved = yield* snapshot(root)
      git(root, "update-ref", "-d", "refs/smithers/run")
      git(root, "gc", "--prune=now", "--quiet")
      const again = yield* snapshot(root)
      expect(again.isNew).toBe(true)
      expect(again.tree).toBe(saved.tree)
      expect(git(root, "fsck", "--strict")).toBe("")
      if (again.commit !== saved.commit)
        expect(yield* Effect.flip(restore(root, saved.commit))).toMatchObject({ _tag: "SnapshotMissing" })
    }))

  test("an index between snapshots that is damaged is thrown away", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      yield* snapshot(root)
      const slots = join(root, ".git", "smithers")
      const index = join(slots, readdirSync(slots)[0] ?? "", "run", "index")
      for (const content of [Buffer.alloc(0), Buffer.from("garbage"), readFileSync(index).subarray(0, 60), Buffer.alloc(4096, 7)]) {
        writeFileSync(index, content)
        write(root, { "a.txt": `${content.length}\n` })
        const saved = yield* snapshot(root)
        expect(shown(root, saved.tree, "a.txt")).toBe(`${content.length}\n`)
        expect(listed(root, saved.tree)).toEqual(["a.txt", "src/b.txt"])
      }
    }))
})

describe("a disk that is full", () => {
  const mount = (() => {
    const probe = `/tmp/smithers-probe-${process.pid}`
    mkdirSync(probe)
    const isMounted = hasSucceeded("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", probe)
    if (isMounted) command("umount", probe)
    rmSync(probe, { recursive: true, force: true })
    return isMounted
  })()

  const small = Effect.acquireRelease(
    Effect.map(folder, (directory) => {
      command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", directory)
      return realpathSync(directory)
    }),
    (directory) => Effect.sync(() => command("umount", "-l", directory)),
  )
  /** Leaves so many bytes. */
  const fill = (directory: string, left: number): string => {
    const file = join(directory, ".git", "filler")
    writeFileSync(file, "")
    const free = Number(command("df", "-B1", "--output=avail", directory).split("\n")[1])
    writeFileSync(file, Buffer.alloc(Math.max(0, free - left)))
    return file
  }

  test(
    "fails a snapshot and changes nothing; with room again it succeeds (needs the right to mount)",
    () =>
      Effect.gen(function* () {
        const root = yield* small
        git(root, "init", "-q")
        write(root, { "a.txt": "a\n" })
        const first = yield* snapshot(root)
        writeFileSync(join(root, "large.bin"), crypto.getRandomValues(new Uint8Array(60_000)))
        const filler = fill(root, 20_000)
        const before = contents(root)
        expect(yield* Effect.flip(snapshot(root))).toMatchObject({ _tag: "WorkspaceFailed", operation: "snapshot" })
        expect(contents(root)).toEqual(before)
        unlinkSync(filler)
        const second = yield* snapshot(root)
        expect(second.isNew).toBe(true)
        yield* restore(root, first.commit)
        yield* restore(root, second.commit)
        expect(contents(root)).toEqual(before)
        expect(git(root, "fsck", "--strict")).toBe("")
      }),
    { skip: !mount },
  )

  test(
    "in the middle of a restore is reported with what differs, and the restore can be repeated or taken back (needs the right to mount)",
    () =>
      Effect.gen(function* () {
        const root = yield* small
        git(root, "init", "-q")
        const random = (size: number): Buffer => Buffer.from(crypto.getRandomValues(new Uint8Array(size)))
        for (const index of [1, 2, 3, 4, 5, 6]) writeFileSync(join(root, `${index}.bin`), random(60_000))
        const target = contents(root)
        const saved = yield* snapshot(root)
        for (const index of [1, 2, 3, 4, 5, 6]) writeFileSync(join(root, `${index}.bin`), "small\n")
        yield* snapshot(root)
        const before = contents(root)
        const filler = fill(root, 200_000)
        const failure = yield* Effect.flip(restore(root, saved.commit))
        expect(failure).toMatchObject({ _tag: "RestoreIncomplete", target: saved.commit })
        expect(String(failure)).toMatch(/No space left|unable to/)
        if (!("safety" in failure)) return
        unlinkSync(filler)
        yield* restore(root, saved.commit)
        expect(contents(root)).toEqual(target)
        yield* restore(root, failure.safety)
        expect(contents(root)).toEqual(before)
      }),
    { skip: !mount },
  )
})

describe("git", () => {
  test("that is missing, or too old, is a failure of its own", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const programs = yield* folder
      const workspaces = (path: string) =>
        Effect.zipRight(environment({ PATH: path }), Effect.provide(Effect.flip(snapshot(root)), GitWorkspaces.layer())).pipe(
          Effect.scoped,
        )
      expect(yield* workspaces(programs)).toMatchObject({ _tag: "NoGit" })
      writeFileSync(join(programs, "git"), "#!/bin/sh\necho git version 2.17.1\n")
      chmodSync(join(programs, "git"), 0o755)
      expect(String(yield* workspaces(programs))).toContain("this machine has git version 2.17.1. Install git 2.30 or later")
    }))
})
