import { Approval, createSmithers, Race, Sequence, Signal, Timer } from "smithers-orchestrator"
import { planText } from "smithers-orchestrator/testing"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() })

const decide = smithers(() => (
  <Workflow name="decide">
    <Race id="decision">
      <Approval key="person" id="ask" request={{ title: "Release?" }} />
      <Signal key="bot" id="checks" name="checks-passed" />
      <Sequence key="time">
        <Timer id="patience" duration="1d" />
        <Task id="remind">{() => console.log("reminded")}</Task>
      </Sequence>
    </Race>
    <Task id="log" output={outputs.note}>{(ctx) => `decided by ${ctx.winner("decision")}`}</Task>
  </Workflow>
))
console.log(planText(decide, { input: {} }).split("\n").length > 5)
