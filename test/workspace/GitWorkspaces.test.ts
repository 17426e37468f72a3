/** Saving and restoring files, in real work trees. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect } from "@effect/vitest"
import * as Secrets from "@smithers/core/Secrets"
import { Workspaces } from "@smithers/core/Workspaces"
import { GitWorkspaces } from "@smithers/workspace"
import * as Effect from "effect/Effect"
import { restore, snapshot, test, thereAndBack } from "./fixtures/operations.ts"
import { contents, folder, git, owned, repository, write } from "./fixtures/trees.ts"

describe("a snapshot", () => {
  test("holds modified, staged, new, deleted, executable and linked files, and any names, and a restore brings all of them back", () =>
    Effect.gen(function* () {
      const root = yield* repository({
        "a.txt": "a\n",
        "staged.txt": "s\n",
        "deleted.txt": "d\n",
        "run.sh": "#!/bin/sh\n",
        "deep/er/file.txt": "x\n",
        "-rf": "dash\n",
        "ü and blanks.txt": "ü\n",
      })
      const names = {
        "new\nline.txt": "1",
        'quote".txt': "2",
        "--force": "3",
        "tab\t.txt": "4",
        "ünï/cödé.txt": "5",
        "back\\slash": "6",
        ":(top)magic": "7",
        "*.txt": "8",
        "[a].txt": "9",
        " leading": "10",
        "😀.txt": "11",
      }
      const { restored } = yield* thereAndBack(root, () => {
        write(root, { "a.txt": "changed\n", "staged.txt": "changed\n", ...names })
        git(root, "add", "staged.txt")
        unlinkSync(join(root, "deleted.txt"))
        chmodSync(join(root, "run.sh"), 0o755)
        symlinkSync("a.txt", join(root, "link"))
        rmSync(join(root, "deep"), { recursive: true })
        write(root, { deep: "a file now" })
        write(root, { "-rf": "more" })
      })
      expect(restored.changes).toContainEqual({ path: "new\nline.txt", change: "remove" })
      expect(restored.changes).toContainEqual({ path: "deleted.txt", change: "create" })
      expect(restored.changes).toContainEqual({ path: "a.txt", change: "replace" })
    }))

  test("and its restore leave HEAD, index, branches, stash and configuration of the user as they are, byte for byte", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, { "a.txt": "stashed\n" })
      git(root, "stash")
      write(root, { "a.txt": "staged\n", "new.txt": "new\n" })
      git(root, "add", "a.txt")
      const before = owned(root)
      yield* thereAndBack(root, () => write(root, { "a.txt": "again\n", "other.txt": "other\n" }))
      expect(owned(root)).toEqual(before)
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("of unchanged files is the last one again", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const first = yield* snapshot(root)
      const second = yield* snapshot(root)
      expect(first.isNew).toBe(true)
      expect(second).toEqual({ ...first, isNew: false })
      write(root, { "a.txt": "b\n" })
      const third = yield* snapshot(root)
      expect(third.isNew).toBe(true)
      write(root, { "a.txt": "a\n" })
      const fourth = yield* snapshot(root)
      expect(fourth.tree).toBe(first.tree)
      expect(fourth.commit).not.toBe(first.commit)
    }))

  test("is one commit more on the one ref of its run, with its label, and no other ref is made", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const first = yield* snapshot(root, "Run A/1 ~^:?*[\\ü", "before build, attempt 1\nwith a second line")
      write(root, { "a.txt": "1\n" })
      const second = yield* snapshot(root, "Run A/1 ~^:?*[\\ü", "after build, attempt 1")
      yield* snapshot(root, "other")
      const refs = git(root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/smithers").trim().split("\n")
      expect(refs).toHaveLength(2)
      expect(refs.some((line) => line.endsWith(` ${second.commit}`))).toBe(true)
      expect(git(root, "log", "--format=%H %s", second.commit).trim().split("\n")).toEqual([
        `${second.commit} after build, attempt 1`,
        `${first.commit} before build, attempt 1 with a second line`,
      ])
      const kept = yield* Effect.flatMap(Workspaces, (it) => it.kept(root))
      expect(kept.map(({ runId }) => runId).sort()).toEqual(["Run A/1 ~^:?*[\\ü", "other"])
      expect(git(root, "branch", "-a").trim()).toBe("* main")
    }))

  test("is of the run of one store: a run of the same id in another one has its own, and keeps it when the first is forgotten", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const workspaces = yield* Workspaces
      const save = (store: string | undefined, text: string) => {
        write(root, { "a.txt": text })
        return workspaces.snapshot({ root, runId: "run", label: text, store })
      }
      const [one, other] = ["/srv/one.db", "/srv/other.db"]
      const shared = yield* save(undefined, "before stores had names")
      const first = yield* save(one, "first of one")
      const second = yield* save(other, "first of the other")
      const third = yield* save(one, "second of one")
      const chain = (commit: string) => git(root, "log", "--format=%H", commit).trim().split("\n")
      // Each goes on from what there was, and from nothing of the other.
      expect(chain(third.commit)).toEqual([third.commit, first.commit, shared.commit])
      expect(chain(second.commit)).toEqual([second.commit, shared.commit])
      const same = yield* workspaces.snapshot({ root, runId: "run", label: "again", store: one })
      expect([same.commit, same.isNew]).toEqual([third.commit, false])
      yield* workspaces.forget({ root, runIds: ["run"], store: one })
      git(root, "gc", "--prune=now", "--quiet")
      yield* workspaces.restore({ root, runId: "run", store: other, target: shared.commit })
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("before stores had names")
      expect(yield* Effect.flip(restore(root, third.commit))).toMatchObject({ _tag: "SnapshotMissing" })
      yield* workspaces.forget({ root, runIds: ["run"], store: other })
      expect(yield* workspaces.kept(root)).toEqual([])
      expect(git(root, "for-each-ref", "refs/smithers")).toBe("")
    }))

  test("survives the user's gc, and is gone after its run is forgotten", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, { "new.txt": "new\n" })
      const saved = yield* snapshot(root)
      write(root, { "new.txt": "newer\n" })
      yield* snapshot(root)
      git(root, "gc", "--prune=now", "--quiet")
      yield* restore(root, saved.commit)
      expect(readFileSync(join(root, "new.txt"), "utf8")).toBe("new\n")
      const workspaces = yield* Workspaces
      yield* workspaces.forget({ root, runIds: ["run", "never seen"] })
      expect(yield* workspaces.kept(root)).toEqual([])
      git(root, "gc", "--prune=now", "--quiet")
      const failure = yield* Effect.flip(restore(root, saved.commit))
      expect(failure).toMatchObject({ _tag: "SnapshotMissing", snapshot: saved.commit })
      yield* snapshot(root)
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("names what it leaves out: secrets, large files, repositories below, pipes; and a restore touches none of it", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n", ".gitignore": "ignored/\n" })
      write(root, {
        ".env": "SECRET=1\n",
        "config/.env.local": "SECRET=2\n",
        "certs/server.pem": "key\n",
        id_ed25519: "key\n",
        "ignored/file": "i\n",
        "smithers.db": "db",
        "smithers.db-wal": "wal",
        "sub/.smithers/state": "own",
      })
      writeFileSync(join(root, "large.bin"), Buffer.alloc(50_000_001))
      mkdirSync(join(root, "nested"))
      git(join(root, "nested"), "init", "-q")
      write(root, { "nested/file": "n\n" })
      git(root, "-c", "init.defaultBranch=x", "init", "-q", "vendor/lib")
      Bun.spawnSync(["mkfifo", join(root, "pipe")])
      const saved = yield* snapshot(root)
      expect(saved.skipped).toEqual([
        { path: ".env", reason: "secret" },
        { path: "certs/server.pem", reason: "secret" },
        { path: "config/.env.local", reason: "secret" },
        { path: "id_ed25519", reason: "secret" },
        { path: "large.bin", reason: "large" },
        { path: "nested", reason: "repository" },
        { path: "vendor/lib", reason: "repository" },
      ])
      expect(git(root, "ls-tree", "-r", "--name-only", saved.tree).trim().split("\n")).toEqual([".gitignore", "a.txt"])
      const before = contents(root)
      write(root, { "a.txt": "b\n" })
      yield* restore(root, saved.commit)
      expect(contents(root)).toEqual(before)
    }))

  test("leaves out files that hold a secret of the process, as they are or encoded, by name or behind a link; by force a restore takes them in", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n", "config.json": "{}\n" })
      const before = yield* snapshot(root)
      const secret = `sk-${crypto.randomUUID()}`
      const base64 = Buffer.from(`u:${secret}`).toString("base64")
      const large = Buffer.alloc(9_000_000, "x")
      // Across the end of a piece, and not within the first one.
      large.write(secret, 8 * 1024 * 1024 - 64 * 1024 - 10)
      const planted = {
        "config.json": `{"authorization":"Basic ${base64}"}\n`,
        "notes/new.txt": `the key is ${secret}\n`,
        [`named-${secret}.txt`]: "x\n",
        "large.txt": large.toString(),
      }
      write(root, { ...planted, "b.txt": "b\n" })
      symlinkSync(`/nowhere/${secret}`, join(root, "link"))
      // Not known yet: a file is looked through for the secrets of its time.
      const unaware = yield* snapshot(root, "unaware")
      Secrets.add("PLANTED", secret)
      const saved = yield* snapshot(root)
      const paths = [...Object.keys(planted), "link"].sort()
      expect(saved.skipped).toEqual(paths.map((path) => ({ path, reason: "secret" })))
      expect(git(root, "ls-tree", "-r", "--name-only", saved.tree).trim().split("\n")).toEqual(["a.txt", "b.txt"])
      // What would replace a file that no snapshot holds is refused.
      const refused = yield* Effect.flip(restore(root, before.commit))
      expect(refused).toMatchObject({ _tag: "RestoreRefused", overwrites: ["config.json"] })
      yield* restore(root, before.commit, true)
      expect(readFileSync(join(root, "config.json"), "utf8")).toBe("{}\n")
      expect(readFileSync(join(root, "notes/new.txt"), "utf8")).toContain(secret)
      // A snapshot from before the secret was known is restored as it is.
      for (const path of ["notes", "large.txt", "link", `named-${secret}.txt`]) rmSync(join(root, path), { recursive: true })
      yield* restore(root, unaware.commit, true, "unaware")
      expect(readFileSync(join(root, "notes/new.txt"), "utf8")).toContain(secret)
    }))

  test("outside of git goes into a shadow repository below the root", () =>
    Effect.gen(function* () {
      const root = yield* folder
      write(root, { "a.txt": "a\n", "node_modules/x.js": "x\n", ".gitignore": "node_modules\n" })
      const { saved } = yield* thereAndBack(root, () => {
        write(root, { "a.txt": "b\n", "new/c.txt": "c\n", "node_modules/x.js": "y\n" })
        write(root, { "node_modules/x.js": "x\n" })
      })
      expect(saved.isShadow).toBe(true)
      expect(existsSync(join(root, ".smithers", "snapshots.git", "HEAD"))).toBe(true)
      expect(existsSync(join(root, ".git"))).toBe(false)
      const workspaces = yield* Workspaces
      expect((yield* workspaces.kept(root)).map(({ runId }) => runId)).toEqual(["run"])
      yield* workspaces.forget({ root, runIds: ["run"] })
      expect(yield* workspaces.kept(root)).toEqual([])
    }))

  test("of a folder holds and restores that folder alone", () =>
    Effect.gen(function* () {
      const top = yield* repository({ "a.txt": "a\n", "app/b.txt": "b\n", "app/deep/c.txt": "c\n", "apple/d.txt": "d\n" })
      const root = join(top, "app")
      const saved = yield* snapshot(root)
      expect(git(top, "ls-tree", "-r", "--name-only", saved.tree).trim().split("\n")).toEqual(["app/b.txt", "app/deep/c.txt"])
      write(top, {
        "a.txt": "changed\n",
        "app/b.txt": "changed\n",
        "app/new.txt": "new\n",
        "apple/d.txt": "changed\n",
        "apple/e.txt": "e\n",
      })
      const restored = yield* restore(root, saved.commit)
      expect(restored.changes).toEqual([
        { path: "b.txt", change: "replace" },
        { path: "new.txt", change: "remove" },
      ])
      expect(contents(top)).toMatchObject({
        "a.txt": 'file "changed\\n"',
        "app/b.txt": 'file "b\\n"',
        "apple/d.txt": 'file "changed\\n"',
        "apple/e.txt": 'file "e\\n"',
      })
      const failure = yield* Effect.flip(restore(join(top, "apple"), saved.commit))
      expect(failure).toMatchObject({ _tag: "WorkspaceFailed" })
      expect(String(failure)).toContain("the snapshot is of the directory app/")
    }))

  test("of more new files than its bound fails, and names the directory", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      write(root, Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`node_modules/${index}.js`, "x"])))
      const failure = yield* Effect.flip(Effect.provide(snapshot(root), GitWorkspaces.layer({ limits: { newFiles: 20 } })))
      expect(String(failure)).toContain("30 new files are more than the 20 of a snapshot; 30 of them are below node_modules/")
      yield* snapshot(root)
    }))
})

describe("a comparison of snapshots", () => {
  test("lists files with their lines, renames and binary files, and prints a patch", () =>
    Effect.gen(function* () {
      const text = Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join("")
      const top = yield* repository({ "other.txt": "o\n", "app/old.txt": text, "app/a.txt": "1\n2\n", "app/gone.txt": "gone\n" })
      const root = join(top, "app")
      const from = yield* snapshot(root)
      write(root, { "a.txt": "1\n3\n4\n", "bin.dat": Buffer.from([0, 1, 2]), "ü\n.txt": "new\n" })
      renameSync(join(root, "old.txt"), join(root, "new.txt"))
      unlinkSync(join(root, "gone.txt"))
      const to = yield* snapshot(root)
      const workspaces = yield* Workspaces
      const diff = yield* workspaces.diff({ root, from: from.commit, to: to.commit })
      expect([...diff.files].sort((one, other) => (one.path < other.path ? -1 : 1))).toEqual([
        { path: "a.txt", change: "changed", added: 2, removed: 1 },
        { path: "bin.dat", change: "added" },
        { path: "gone.txt", change: "removed", added: 0, removed: 1 },
        { path: "new.txt", change: "renamed", previousPath: "old.txt", added: 0, removed: 0 },
        { path: "ü\n.txt", change: "added", added: 1, removed: 0 },
      ])
      expect(diff.isTruncated).toBe(false)
      expect(diff.patch).toContain("--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,3 @@\n 1\n-2\n+3\n+4\n")
      const one = yield* workspaces.diff({ root, from: from.commit, to: to.commit, path: "a.txt" })
      expect(one.files.map(({ path }) => path)).toEqual(["a.txt"])
      const cut = yield* workspaces.diff({ root, from: from.commit, to: to.commit, patchBytes: 60 })
      expect(cut.isTruncated).toBe(true)
      expect(cut.patch.length).toBeLessThanOrEqual(60)
      const failure = yield* Effect.flip(workspaces.diff({ root, from: from.commit, to: "0".repeat(40) }))
      expect(failure).toMatchObject({ _tag: "SnapshotMissing", snapshot: "0".repeat(40) })
    }))
})

describe("a restore", () => {
  test("can be previewed, and the preview writes nothing", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n", "b.txt": "b\n" })
      const saved = yield* snapshot(root)
      write(root, { "a.txt": "changed\n", "c.txt": "c\n" })
      unlinkSync(join(root, "b.txt"))
      const before = [contents(root), contents(join(root, ".git"))]
      const workspaces = yield* Workspaces
      expect(yield* workspaces.preview({ root, runId: "run", target: saved.commit })).toEqual({
        changes: [
          { path: "a.txt", change: "replace" },
          { path: "b.txt", change: "create" },
          { path: "c.txt", change: "remove" },
        ],
        overwrites: [],
      })
      expect([contents(root), contents(join(root, ".git"))]).toEqual(before)
    }))

  test("that would replace an ignored file is refused, and forced the safety snapshot holds it", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      write(root, { "report.txt": "old\n", "out/x.txt": "x\n" })
      const saved = yield* snapshot(root)
      unlinkSync(join(root, "report.txt"))
      rmSync(join(root, "out"), { recursive: true })
      write(root, { ".gitignore": "report.txt\nout\n" })
      yield* snapshot(root)
      write(root, { "report.txt": "precious\n", out: "precious, too\n", "a.txt": "b\n" })
      const before = contents(root)
      const workspaces = yield* Workspaces
      expect((yield* workspaces.preview({ root, runId: "run", target: saved.commit })).overwrites.toSorted()).toEqual([
        "out",
        "report.txt",
      ])
      const failure = yield* Effect.flip(restore(root, saved.commit))
      expect(failure).toMatchObject({ _tag: "RestoreRefused", target: saved.commit })
      expect(String(failure)).toContain("report.txt")
      expect(contents(root)).toEqual(before)
      const { safety } = yield* restore(root, saved.commit, true)
      expect(contents(root)).toEqual({ "a.txt": 'file "a\\n"', "report.txt": 'file "old\\n"', "out/x.txt": 'file "x\\n"' })
      yield* restore(root, safety.commit)
      expect(contents(root)).toEqual(before)
    }))

  test("of another run's snapshot joins the chain of its own run", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const original = yield* snapshot(root, "original")
      write(root, { "a.txt": "later\n", "x.txt": "x\n" })
      yield* restore(root, original.commit, false, "fork")
      const workspaces = yield* Workspaces
      yield* workspaces.forget({ root, runIds: ["original"] })
      git(root, "gc", "--prune=now", "--quiet")
      const again = yield* snapshot(root, "fork")
      expect(again).toMatchObject({ tree: original.tree, isNew: false })
      expect(git(root, "fsck", "--strict")).toBe("")
    }))

  test("of a commit that is no snapshot, or of an id that is none, fails with that reason", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      const head = git(root, "rev-parse", "HEAD").trim()
      expect(String(yield* Effect.flip(restore(root, head)))).toContain("the commit is no snapshot")
      for (const id of ["HEAD", "--all", "", "zzz"])
        expect(yield* Effect.flip(restore(root, id))).toMatchObject({ _tag: "SnapshotMissing" })
    }))
})

describe("a root", () => {
  test("that does not exist, or is a file, is refused by name", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      for (const path of [join(root, "missing"), join(root, "a.txt")]) {
        const failure = yield* Effect.flip(snapshot(path))
        expect(failure).toMatchObject({ _tag: "WorkspaceFailed", operation: "snapshot", root: path })
      }
    }))

  test("is found in a work tree of git, also through a link, or has a shadow repository", () =>
    Effect.gen(function* () {
      const top = yield* repository({ "app/a.txt": "a\n" })
      const plain = yield* folder
      symlinkSync(join(top, "app"), join(plain, "link"))
      const workspaces = yield* Workspaces
      expect(yield* workspaces.identify(join(plain, "link"))).toEqual({
        root: join(top, "app"),
        isGit: true,
        top,
        store: join(top, ".git"),
      })
      expect(yield* workspaces.identify(plain)).toEqual({
        root: plain,
        isGit: false,
        top: plain,
        store: join(plain, ".smithers", "snapshots.git"),
      })
      expect(existsSync(join(plain, ".smithers"))).toBe(false)
    }))
})
