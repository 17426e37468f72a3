/** What the look for repositories finds, and what a command is shown where others replace what it has found. */
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Isolation } from "@smithers/core/Isolation"
import { Bubblewrap, Command } from "@smithers/sandbox"
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { find, hold } from "../../packages/sandbox/src/internal/repositories.ts"
import { hasBubblewrap } from "./fixtures/here.ts"

let base: string
let root: string
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "smithers-repositories-")))
  root = join(base, "root")
  mkdirSync(root)
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const make = (...paths: ReadonlyArray<string>): void => {
  for (const path of paths) mkdirSync(join(root, path), { recursive: true })
}
const found = (directory = root) => Effect.runPromise(find(directory))
const refused = (directory = root) => Effect.runPromise(Effect.flip(find(directory)))

describe("the look for repositories", () => {
  it("finds directories and files .git, and repositories without a work tree, and looks into none of them", async () => {
    make(".git/modules/a/.git", "a/b/.git", "a/c", "mirror/objects/.git", "mirror/refs", "plain/objects", "plain/refs")
    writeFileSync(join(root, "a/c/.git"), "gitdir: ../../.git/worktrees/c\n")
    writeFileSync(join(root, "mirror/HEAD"), "ref: refs/heads/main\n")
    make("windows/.GIT")
    symlinkSync("a", join(root, "link"))
    expect(await found()).toEqual([".git", "a/b/.git", "a/c/.git", "mirror", "windows/.GIT"])
  })

  it("finds what was made, moved and removed since, also where times of files were set back", async () => {
    make("a/b", "c")
    expect(await found()).toEqual([])
    await Bun.sleep(2100)
    expect(await found()).toEqual([])
    make("a/b/.git")
    Bun.spawnSync(["touch", "-d", "2001-01-01", join(root, "a/b"), join(root, "a")])
    expect(await found()).toEqual(["a/b/.git"])
    Bun.spawnSync(["mv", join(root, "a/b"), join(root, "c")])
    expect(await found()).toEqual(["c/b/.git"])
    rmSync(join(root, "c"), { recursive: true })
    expect(await found()).toEqual([])
  })

  it("takes a directory that it cannot look through, and one whose path is too long, for one", async () => {
    make("closed/sub")
    const name = "n".repeat(250)
    let deep = root
    for (let depth = 0; depth < 13; depth++) {
      deep = join(deep, name)
      mkdirSync(deep)
    }
    const long = Array.from({ length: 12 }, () => name).join("/")
    if (process.getuid?.() === 0) expect(await found()).toEqual([long])
    else {
      chmodSync(join(root, "closed"), 0)
      expect(await found()).toEqual(["closed", long])
      chmodSync(join(root, "closed"), 0o755)
    }
  })

  it("looks into directories whose names are not UTF-8, and protects the one above a repository there", async () => {
    make("a")
    const odd = Buffer.concat([Buffer.from(`${root}/a/x`), Buffer.from([0xff])])
    mkdirSync(odd)
    expect(await found()).toEqual([])
    mkdirSync(Buffer.concat([odd, Buffer.from("/deep")]))
    mkdirSync(Buffer.concat([odd, Buffer.from("/deep/.git")]))
    expect(await found()).toEqual(["a"])
    expect((await refused(join(root, "a"))).message).toBe(
      "The policy of a command cannot be carried out: root is a git repository without a work tree, or holds a directory that cannot be looked through beside a name that is not UTF-8: name another directory.",
    )
  })

  it("opens nothing that has become a link, and refuses more than can be mounted", async () => {
    make("a/.git", "b/.git")
    mkdirSync(join(base, "outside/.git"), { recursive: true })
    rmSync(join(root, "b"), { recursive: true })
    symlinkSync("../outside", join(root, "b"))
    const held = await Effect.runPromise(Effect.scoped(hold(root, ["a/.git", "b/.git"])))
    expect(held.map(({ path, isProtected }) => [path.slice(base.length + 1), isProtected])).toEqual([
      ["root", false],
      ["root/a", false],
      ["root/a/.git", true],
    ])
    for (let at = 0; at < 260; at++) make(`many/${at}/.git`)
    const many = await found()
    expect((await Effect.runPromise(Effect.flip(Effect.scoped(hold(root, many))))).message).toMatch(
      /more than 500 git repositories/,
    )
  })
})

it.skipIf(!hasBubblewrap)(
  "a command is not started, and shown nothing, where another one has put a link in the place of a repository (needs the Debian package bubblewrap)",
  async () => {
    mkdirSync(join(base, "outside/.git"), { recursive: true })
    for (const file of ["secret.txt", ".git/secret.txt"]) writeFileSync(join(base, "outside", file), "s3cr3t\n")
    const script = `cat x/secret.txt x/.git/secret.txt ${base}/outside/secret.txt ${base}/outside/.git/secret.txt; echo started`
    /** Starts the command as it was prepared, after a change. */
    const outputAfter = (change: () => void) =>
      Effect.gen(function* () {
        const isolation = yield* Isolation
        const { argv, env, inherited = [] } = yield* isolation.prepare({ root }, ["bash", "-c", script])
        change()
        const [program, ...args] = argv
        const { stdout } = spawnSync(program, args, { env, stdio: ["ignore", "pipe", "ignore", "pipe", ...inherited] })
        return stdout.toString()
      }).pipe(Effect.scoped, Effect.provide(Bubblewrap.layer), Effect.runPromise)
    make("x/.git")
    expect(await outputAfter(() => {})).toBe("started\n")
    const swap = (): void => {
      rmSync(join(root, "x"), { recursive: true })
      symlinkSync("../outside", join(root, "x"))
    }
    expect(await outputAfter(swap)).toBe("")
    rmSync(join(root, "x"))
    make("x/.git")
    const swapRoot = (): void => {
      rmSync(root, { recursive: true })
      symlinkSync("outside", root)
    }
    expect(await outputAfter(swapRoot)).toBe("")
  },
)

it.skipIf(!hasBubblewrap)(
  "repositories below the root are read-only also with a bubblewrap that mounts no open files (needs the Debian package bubblewrap)",
  async () => {
    make("a/.git", "b")
    const old = join(base, "bin")
    mkdirSync(old)
    const real = Bun.which("bwrap")
    writeFileSync(join(old, "bwrap"), `#!/bin/sh\n[ "$1" = --help ] || exec ${real} "$@"\n${real} --help 2>&1 | grep -v bind-fd\n`)
    chmodSync(join(old, "bwrap"), 0o755)
    const path = process.env.PATH
    process.env.PATH = `${old}:${path}`
    try {
      const script = "echo x > b/made; echo evil > a/.git/config; mv a/.git c; cat b/made; ls a/.git"
      const { stdout, stderr } = await Effect.runPromise(
        Effect.provide(Command.run(["bash", "-c", script], { policy: { root } }), Bubblewrap.layer),
      )
      expect(stdout.text).toBe("x\n")
      expect(stderr.text).toMatch(/config: Read-only file system[\s\S]*busy/)
    } finally {
      process.env.PATH = path
    }
  },
)
