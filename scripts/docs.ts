/**
 * Writes the documents that are made from code: `bun run docs`. Before that it brings what names the published package in step with
 * `packages/smithers/package.json`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dir, "..")
const source = join(root, "packages", "core", "src", "Package.ts")
const constant = (name: string): RegExp => new RegExp(`(?<=^export const ${name} = ")[^"]*`, "m")

const manifest: { readonly name: string; readonly version: string } = JSON.parse(
  readFileSync(join(root, "packages", "smithers", "package.json"), "utf8"),
)
const before = constant("name").exec(readFileSync(source, "utf8"))?.[0] ?? ""

if (before !== manifest.name) {
  const { stdout } = Bun.spawnSync(
    ["git", "grep", "-lIF", "--untracked", before, "--", ".", ":!bun.lock", ":!packages/smithers/package.json"],
    { cwd: root },
  )
  for (const file of stdout
    .toString()
    .split("\n")
    .filter((file) => file !== "")) {
    const path = join(root, file)
    writeFileSync(
      path,
      readFileSync(path, "utf8").replaceAll(before, () => manifest.name),
    )
  }
}
writeFileSync(
  source,
  readFileSync(source, "utf8").replace(constant("version"), () => manifest.version),
)

// Only now, since they hold what was written.
const { groups } = await import("@smithers/cli/Catalog")
const { markdown, schemas } = await import("@smithers/cli/Document")
writeFileSync(join(root, "docs", "cli.md"), markdown(groups))
writeFileSync(join(root, "docs", "cli.schema.json"), schemas(groups))
const patterns = await import("../test/patterns43/Document.ts")
writeFileSync(join(root, "docs", "patterns43.md"), patterns.markdown())

const { indexes, reference } = await import("./reference/documents.ts")
for (const [path, text] of reference()) writeFileSync(join(root, path), text)
// Of the pages as they are now.
for (const [path, text] of indexes()) writeFileSync(join(root, path), text)
