import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as ConfinedFiles from "@smithers/agents/ConfinedFiles"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let base: string
let root: string
let outside: string
let files: ConfinedFiles.ConfinedFiles

const put = (path: string, text: string) => {
  mkdirSync(dirname(join(base, path)), { recursive: true })
  writeFileSync(join(base, path), text)
}

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "smithers-files-")))
  root = join(base, "root")
  outside = join(base, "outside")
  put("root/a.txt", "a\n")
  put("root/dir/b.txt", "b\n")
  put("root/.git/config", "config\n")
  put("outside/secret.txt", "secret\n")
  put("rootbeer/secret.txt", "secret\n")
  files = ConfinedFiles.make(root)
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

const text = (path: string) => files.read(path).bytes.toString()
/** Descriptors of this process that are of the folder of the test. */
const open = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(base)
    } catch {
      return false
    }
  }).length

const reasonOf = (act: () => unknown): string => {
  try {
    act()
  } catch (thrown) {
    if (thrown instanceof ConfinedFiles.PathRefused) return thrown.reason
    throw thrown
  }
  return "allowed"
}

describe("files below a root", () => {
  it("are read and written by relative paths, by absolute ones below the root, and through links that stay inside", () => {
    symlinkSync("a.txt", join(root, "relative"))
    symlinkSync(join(root, "dir"), join(root, "absolute"))
    symlinkSync("../dir/../a.txt", join(root, "dir", "up"))
    expect([text("a.txt"), text("./dir//b.txt"), text(join(root, "a.txt")), text("dir/../a.txt")]).toEqual([
      "a\n",
      "b\n",
      "a\n",
      "a\n",
    ])
    expect([text("relative"), text("absolute/b.txt"), text("dir/up")]).toEqual(["a\n", "b\n", "a\n"])
    files.write("relative", Buffer.from("new\n"))
    expect([text("a.txt"), lstatSync(join(root, "relative")).isSymbolicLink()]).toEqual(["new\n", true])
    files.write("made/deep/c.txt", Buffer.from("c\n"))
    expect(readFileSync(join(root, "made/deep/c.txt"), "utf8")).toBe("c\n")
    expect(files.list(".").map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      ".git directory",
      "a.txt file",
      "absolute link",
      "dir directory",
      "made directory",
      "relative link",
    ])
    expect(files.list("dir").map(({ name }) => name)).toEqual(["b.txt", "up"])
    expect([files.resolve("absolute/b.txt"), files.resolve("dir/.."), files.resolve(".")]).toEqual(["dir/b.txt", ".", "."])
  })

  it("are replaced whole, keep their permissions, and never change what another name of them holds", () => {
    chmodSync(join(root, "a.txt"), 0o751)
    linkSync(join(root, "a.txt"), join(base, "other-name"))
    const before = statSync(join(root, "a.txt")).ino
    files.write("a.txt", Buffer.from("changed\n"))
    expect(text("a.txt")).toBe("changed\n")
    expect(statSync(join(root, "a.txt")).mode & 0o777).toBe(0o751)
    expect(statSync(join(root, "a.txt")).ino).not.toBe(before)
    expect(readFileSync(join(base, "other-name"), "utf8")).toBe("a\n")
    expect(readdirSync(root).filter((name) => name.includes("smithers"))).toEqual([])
  })

  const attacks: ReadonlyArray<readonly [title: string, path: string, reason: string]> = [
    ["..", "../outside/secret.txt", "outside"],
    [".. in the middle", "dir/../../outside/secret.txt", "outside"],
    ["many ..", `${"../".repeat(60)}etc/passwd`, "outside"],
    ["an absolute path", "/etc/passwd", "outside"],
    ["a neighbour whose name begins alike", "<base>/rootbeer/secret.txt", "outside"],
    ["a link to a file", "to-file", "outside"],
    ["a link to a directory", "to-directory/secret.txt", "outside"],
    ["a link to a link", "to-link", "outside"],
    ["a relative link", "to-relative", "outside"],
    ["a link to the root of the process", "to-proc/etc/passwd", "outside"],
    ["a link to a descriptor", "to-descriptor", "outside"],
    ["/proc/self/root", "/proc/self/root/etc/passwd", "outside"],
    ["/proc/self/cwd", "/proc/self/cwd/package.json", "outside"],
    ["links in a circle", "circle", "too-many-links"],
    ["a NUL", "a.txt\0.png", "invalid"],
    ["nothing", "", "invalid"],
    ["a directory as a file", "dir", "not-a-file"],
    ["the root as a file", ".", "not-a-file"],
    ["a file as a directory", "a.txt/x", "not-a-directory"],
    ["a file that does not exist", "nope.txt", "missing"],
    ["a directory that does not exist", "nope/x.txt", "missing"],
    ["a FIFO", "fifo", "not-a-file"],
    ["a socket or device", "device", "outside"],
  ]

  const prepare = () => {
    symlinkSync(join(outside, "secret.txt"), join(root, "to-file"))
    symlinkSync(outside, join(root, "to-directory"))
    symlinkSync("to-file", join(root, "to-link"))
    symlinkSync("../outside/secret.txt", join(root, "to-relative"))
    symlinkSync("/proc/self/root", join(root, "to-proc"))
    symlinkSync("/proc/self/fd/0", join(root, "to-descriptor"))
    symlinkSync("circle-2", join(root, "circle"))
    symlinkSync("circle", join(root, "circle-2"))
    symlinkSync("/dev/zero", join(root, "device"))
    symlinkSync(join(outside, "new.txt"), join(root, "dangling"))
    execFileSync("sh", ["-c", 'mkfifo "$1"', "sh", join(root, "fifo")])
  }

  it.each(attacks)("are not read by %s", (_, path, reason) => {
    prepare()
    const before = open()
    expect(reasonOf(() => files.read(path.replace("<base>", base)))).toBe(reason)
    expect(open()).toBe(before)
  })

  it.each(attacks.filter(([, , reason]) => reason !== "missing"))("are not written by %s", (_, path, reason) => {
    prepare()
    const before = open()
    expect(reasonOf(() => files.write(path.replace("<base>", base), Buffer.from("evil\n")))).toBe(reason)
    expect([open(), readFileSync(join(outside, "secret.txt"), "utf8")]).toEqual([before, "secret\n"])
  })

  it.each([
    ["a link to a file that is not there", "dangling", "outside"],
    ["git's directory", ".git/config", "protected"],
    ["git's directory in other letters", ".GIT/hooks/pre-commit", "protected"],
    ["git's directory with an invisible character", ".g\u200cit/config", "protected"],
    ["git's directory with a dot at its end", ".git./config", "protected"],
    ["git's directory by its short name", "GIT~1/config", "protected"],
    ["git's file of a worktree", "dir/.git", "protected"],
    ["git's directory through a link", "git-link/config", "protected"],
  ])("are not written by %s", (_, path, reason) => {
    prepare()
    symlinkSync(".git", join(root, "git-link"))
    expect(reasonOf(() => files.write(path, Buffer.from("evil\n")))).toBe(reason)
    expect([existsSync(join(outside, "new.txt")), readFileSync(join(root, ".git/config"), "utf8")]).toEqual([false, "config\n"])
  })

  it("are refused where they are too large, before they are read", () => {
    writeFileSync(join(root, "large"), Buffer.alloc(ConfinedFiles.mostBytes + 1))
    expect(reasonOf(() => files.read("large"))).toBe("too-large")
  })

  it("are never outside, however fast a directory and a link take each other's place", { timeout: 60_000 }, async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dirname, "fixtures", "swap.ts"), root, outside], { stdout: "pipe" })
    await child.stdout.getReader().read()
    writeFileSync(join(outside, "b.txt"), "secret\n")
    const before = open()
    const counts = { inside: 0, refused: 0, elsewhere: 0 }
    const until = Date.now() + 2000
    for (let index = 0; Date.now() < until; index++) {
      try {
        if (index % 4 === 0) files.write(`dir/new-${index}`, Buffer.from("new\n"))
        else if (text("dir/b.txt") === "b\n") counts.inside++
        else counts.elsewhere++
      } catch (thrown) {
        // A directory that is moved away between two looks is missing, for us and for the kernel.
        expect(thrown instanceof ConfinedFiles.PathRefused || (thrown as { code?: string }).code === "ENOENT", String(thrown)).toBe(
          true,
        )
        counts.refused++
      }
    }
    child.kill("SIGKILL")
    await child.exited
    expect(counts.elsewhere).toBe(0)
    expect(counts.inside + counts.refused).toBeGreaterThan(100)
    expect(readdirSync(outside).sort()).toEqual(["b.txt", "secret.txt"])
    expect(open()).toBe(before)
  })
})
