/**
 * Copies the source of a pattern into a project, where it imports what it needs from the package.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { quoted } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { facade, find } from "../BundledPackages.ts"
import { CannotWrite, InvalidUsage } from "../Errors.ts"

/** The module that patterns share, which an ejected one imports from the package. */
const shared = "Participant.tsx"

/** Returns the folder with the sources of the patterns: of the package that the project has, or else of the one of this command. */
const sources = (): string | undefined =>
  [process.cwd(), dirname(Bun.main)]
    .flatMap((home) => find(facade, home)?.folder ?? [])
    // As published, and in its own repository.
    .flatMap((folder) => [join(folder, "src", "patterns"), join(folder, "..", "patterns", "src")])
    .find((folder) => existsSync(join(folder, shared)))

/** Names the modules of an ejected pattern as users import them: those of the package, and those beside it without an extension. */
const linked = (source: string): string =>
  source
    .replaceAll(/(\bfrom )"@smithers\/jsx\/[^"]+"/g, `$1"${facade}"`)
    .replaceAll(/(\bfrom )"\.\/Participant\.tsx"/g, `$1"${facade}/patterns"`)
    .replaceAll(/(\bfrom "\.\/[^"]+)\.tsx?"/g, `$1"`)

const refused = (problem: string) => new InvalidUsage({ problem, command: "eject" })

export const eject = ({
  pattern,
  to = "patterns",
  force,
}: {
  readonly pattern: string
  readonly to: string | undefined
  readonly force: boolean
}) =>
  Effect.gen(function* () {
    const folder = sources()
    if (folder === undefined)
      return yield* refused(`The package ${facade} is here without the sources of its patterns: install it again`)
    const names = readdirSync(folder)
      .filter((file) => file.endsWith(".tsx") && file !== shared)
      .map((file) => basename(file, ".tsx"))
      .toSorted()
    const name = names.find((one) => one.toLowerCase() === pattern.toLowerCase())
    if (name === undefined) return yield* refused(`There is no pattern "${pattern}": there are ${names.join(", ")}`)
    const path = join(resolve(to), `${name}.tsx`)
    const shown = relative(process.cwd(), path)
    const source = linked(readFileSync(join(folder, `${name}.tsx`), "utf8"))
    // Modules that only this pattern has go with it.
    const own = [...source.matchAll(/\bfrom "\.\/([^"]+)"/g)].map(([, module]) => `${module}.ts`)
    const files = [...new Set(own)].map((file) => [file, readFileSync(join(folder, file), "utf8")] as const)
    const targets = [[path, source] as const, ...files.map(([file, content]) => [join(dirname(path), file), content] as const)]
    const taken = force ? undefined : targets.find(([target]) => existsSync(target))
    if (taken !== undefined)
      return yield* refused(
        `${quoted(relative(process.cwd(), taken[0]))} exists, and is kept. Overwrite it with --force, or choose another folder with --to`,
      )
    yield* Effect.try({
      try: () => {
        mkdirSync(dirname(path), { recursive: true })
        for (const [target, content] of targets) writeFileSync(target, content)
      },
      catch: (thrown) => new CannotWrite({ path, problem: thrown instanceof Error ? thrown.message : String(thrown) }),
    })
    const line = `import { ${name} } from "./${shown.replaceAll("\\", "/").replace(/\.tsx$/, "")}"`
    const beside = files.length === 0 ? "" : `, and ${files.map(([file]) => file).join(", ")} beside it`
    return {
      value: { pattern: name, path },
      text: [`Wrote ${shown}${beside}. It is yours now. Import it instead:`, `  ${line}`].join("\n"),
    }
  })
