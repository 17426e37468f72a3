/**
 * The rules by which a tree ignores files. A restore brings the `.gitignore` of its target: what these name was left alone when the target was saved, and is left
 * alone again, although it is not ignored now.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { NoGit } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import { type Repository, textOfFile } from "./repository.ts"
import type { Ignores } from "./saved.ts"

const name = ".gitignore"

/** `true` of a file with rules. */
export const isRules = (path: string): boolean => path === name || path.endsWith(`/${name}`)

interface Rules {
  readonly path: string
  readonly content: string
}

/** Directories of the work tree above the root, whose rules apply to it and which no restore changes. */
const above = (repository: Repository): ReadonlyArray<Rules> => {
  const names = repository.place.prefix.split("/").slice(0, -1)
  return names.map((_, at) => {
    const path = [...names.slice(0, at), name].join("/")
    return { path, content: textOfFile(join(repository.place.top, Git.textOf(path))) }
  })
}

/** A tree as far as it says what is ignored. */
interface Target {
  readonly rules: ReadonlyArray<Rules>
  readonly files: ReadonlySet<string>
  readonly directories: ReadonlySet<string>
}

const directoriesAbove = (path: string): ReadonlyArray<string> => {
  const names = path.split("/").slice(0, -1)
  return names.map((_, at) => names.slice(0, at + 1).join("/"))
}

const read = (repository: Repository, tree: string): Effect.Effect<Target, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const entries = Git.partsOf(yield* repository.git(["ls-tree", "-r", "-z", tree])).map((entry) => {
      const end = entry.indexOf("\t")
      const [mode = "", , object = ""] = entry.slice(0, end).split(" ")
      return { mode, object, path: entry.slice(end + 1) }
    })
    const files = new Set(entries.map(({ path }) => path))
    const directories = new Set(entries.flatMap(({ path }) => directoriesAbove(path)))
    // A link is not read by git.
    const named = entries.filter(({ mode, path }) => isRules(path) && mode.startsWith("100"))
    if (named.length === 0) return { rules: [], files, directories }
    const stdin = named.map(({ object }) => `${object}\n`).join("")
    const output = Git.bytesOf(yield* repository.git(["cat-file", "--batch"], { stdin }))
    let at = 0
    const rules = named.map(({ path }) => {
      const start = output.indexOf("\n", at) + 1
      const end = start + Number(output.slice(at, start).split(" ")[2])
      at = end + 1
      return { path, content: output.slice(start, end) }
    })
    return { rules, files, directories }
  })

/** Answers by the rules of a tree, of what is in the way of none of its files. */
export const of = (repository: Repository, tree: string): Effect.Effect<Ignores> =>
  Effect.map(
    Effect.cached(
      Effect.gen(function* () {
        const target = yield* read(repository, tree)
        // A directory that has nothing but those rules.
        const top = join(repository.temporary, "rules")
        yield* Effect.try({
          try: () => {
            mkdirSync(top, { recursive: true })
            for (const { path, content } of [...above(repository), ...target.rules]) {
              mkdirSync(Buffer.from(join(top, dirname(path)), "latin1"), { recursive: true })
              writeFileSync(Buffer.from(join(top, path), "latin1"), content, "latin1")
            }
          },
          catch: (thrown) => new Git.GitFailed({ command: "check-ignore", problem: String(thrown) }),
        })
        return { target, top }
      }),
    ),
    (prepared): Ignores =>
      (paths) =>
        Effect.gen(function* () {
          if (paths.length === 0) return new Set<string>()
          const { target, top } = yield* prepared
          const { files, directories } = target
          const output = yield* repository.git(["check-ignore", "-z", "--no-index", "--stdin"], {
            stdin: Git.asInput(paths.map((path) => `:(top)${path}`)),
            codes: [1],
            isLiteral: false,
            workTree: top,
          })
          const ignored = Git.partsOf(output).map((path) => path.slice(":(top)".length))
          const isInTheWay = (path: string): boolean =>
            files.has(path) || directories.has(path) || directoriesAbove(path).some((one) => files.has(one))
          return new Set(ignored.filter((path) => !isInTheWay(path)))
        }),
  )
