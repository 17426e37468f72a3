import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Smithers } from "smithers-orchestrator"

const root = mkdtempSync(join(tmpdir(), "work-"))
export const runtime = Smithers.sqlite({ filename: "smithers.db", tools: { root, isolation: "bubblewrap" } })
