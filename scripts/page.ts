/** Builds the page to where `smithers serve` finds it in this repository: `bun run ui:build`. */
import { join } from "node:path"
import { build } from "@smithers/ui/Build"

await build(join(import.meta.dirname, "..", "packages", "ui", "dist"))
