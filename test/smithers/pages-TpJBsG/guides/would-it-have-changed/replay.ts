import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import triage from "./triage.ts"

const report = await Effect.runPromise(
  Smithers.replay(triage, "large").pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" }))),
)
console.log(Smithers.hasChanged(report), report.findings.length)
