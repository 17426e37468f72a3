import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { normalise } from "@smithers/cli/Argv"
import * as Catalog from "@smithers/cli/Catalog"
import { markdown, schemas } from "@smithers/cli/Document"
import * as Output from "@smithers/cli/Output"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { maskTimes } from "./Fixture.ts"

const root = join(import.meta.dirname, "..", "..")
const text = (file: string) => readFileSync(join(root, file), "utf8")

describe("the documents of the command line", () => {
  it("are those that the definitions give; bun run docs writes them", () => {
    expect(text("docs/cli.md")).toBe(markdown(Catalog.groups))
    expect(text("docs/cli.schema.json")).toBe(schemas(Catalog.groups))
  })

  it("are refused where something that is printed has no JSON Schema, and where a name stands for two", () => {
    const ps = Catalog.all.filter(({ path }) => path[0] === "ps")
    const document = (Runs: Schema.Schema.AnyNoContext) => () => schemas([["Runs", ps]], { ...Output, Runs })
    interface Tree {
      readonly inside: ReadonlyArray<Tree>
    }
    const Tree: Schema.Schema<Tree> = Schema.Struct({ inside: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree)) })
    expect(document(Tree)).toThrow(/The output of "[a-z-]+" has no JSON Schema: [\s\S]*identifier/)
    expect(document(Schema.Struct({ trees: Schema.Array(Tree) }))).toThrow("has no JSON Schema")
    const Run = Schema.Struct({ a: Schema.String }).annotations({ identifier: "error" })
    expect(document(Schema.Struct({ run: Run }))).toThrow('Two JSON Schemas have the name "error"')
  })

  it("have examples that can be typed", () => {
    for (const definition of Catalog.all) {
      for (const { line } of definition.examples) {
        const [, command = ""] = /(?:^|\()smithers ([^>)]*)/.exec(line) ?? []
        const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "")
        expect(Catalog.find(words)?.path, line).toEqual(definition.path)
        const rest = normalise(definition.options, words.slice(definition.path.length))
        expect(Either.isRight(rest), line).toBe(true)
      }
    }
  })

  it("the tour of the terminal goes as it is written", { timeout: 60_000 }, () => {
    const [, tour = ""] = /```console\n([\s\S]*?)```/.exec(text("docs/guides/terminal.md")) ?? []
    const steps = tour.split(/^\$ /m).slice(1)
    expect(steps.length).toBeGreaterThan(6)
    const folder = mkdtempSync(join(tmpdir(), "smithers-tour-"))
    try {
      // The tour is of a folder with the package installed; here the command stands for it.
      const shim = join(folder, "smithers")
      writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "packages", "smithers", "src", "bin.ts")}" "$@"\n`)
      chmodSync(shim, 0o755)
      const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, CI: "1" }
      let code: number = 0
      for (const step of steps) {
        const [line = "", ...expected] = step.trimEnd().split("\n")
        const command: string = line.replaceAll("$?", String(code))
        const child = Bun.spawnSync(["sh", "-c", `${command} 2>&1`], { cwd: folder, env })
        code = child.exitCode
        const same = (said: string) =>
          maskTimes(said, `${folder}/`)
            .replaceAll("<folder>", "")
            .replaceAll(/approved by \S+:/g, "approved by <name>:")
            .replaceAll(/ by \S+, with the note/g, " by <name>, with the note")
        expect(same(child.stdout.toString().trimEnd()), command).toBe(same(expected.join("\n")))
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
