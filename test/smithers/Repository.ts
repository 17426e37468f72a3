/** Repositories of git for tests about the files of tasks. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folders: Array<string> = []

/** Removes all repositories so far. */
export const removeAll = (): void => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

/** A repository with one commit. */
export const repository = () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-files-")))
  folders.push(root)
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: root, encoding: "utf8" })
  git("init", "-q", "-b", "main")
  writeFileSync(join(root, "a.txt"), "one\n")
  git("add", "-A")
  git("commit", "-qm", "first")
  const read = (name: string) => (existsSync(join(root, name)) ? readFileSync(join(root, name), "utf8") : undefined)
  const write = (name: string, text: string) => writeFileSync(join(root, name), text)
  return { root, git, read, write }
}
