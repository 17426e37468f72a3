/** Writes the documents that are made from code: `bun run docs`. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { groups } from "@smithers/cli/Catalog"
import { markdown, schemas } from "@smithers/cli/Document"

const docs = join(import.meta.dir, "..", "docs")
writeFileSync(join(docs, "cli.md"), markdown(groups))
writeFileSync(join(docs, "cli.schema.json"), schemas(groups))
