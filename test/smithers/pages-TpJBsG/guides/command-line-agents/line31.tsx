import { chmodSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { CliAgent } from "smithers-orchestrator/agents"
import { z } from "zod"

const root = mkdtempSync(join(tmpdir(), "work-"))
const program = join(root, "counter")
writeFileSync(program, `#!/bin/sh
if grep -q "was not accepted"; then echo '{ "lines": 3 }'; else echo "I counted three."; fi
`)
chmodSync(program, 0o755)

const { Workflow, Task, smithers, outputs } = createSmithers({ count: z.object({ lines: z.number() }) })
const counter = CliAgent({ name: "counter", command: program, timeout: "1 minute" })
const workflow = smithers(() => (
  <Workflow name="count">
    <Task id="count" output={outputs.count} agent={counter}>
      How many lines has the file?
    </Task>
  </Workflow>
))

const runtime = Smithers.sqlite({ filename: ":memory:", tools: { root, isolation: "none" } })
console.log(await Effect.runPromise(workflow.execute({}).pipe(Effect.provide(runtime))))
