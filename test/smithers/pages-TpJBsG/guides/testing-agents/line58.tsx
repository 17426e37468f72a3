import { createSmithers, renderPlan } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ score: z.number(), note: z.string() })
const review = smithers((ctx) => (
  <Workflow name="review">
    <Task id="score" output={outputs.score}>{() => 7}</Task>
    {(ctx.outputMaybe(outputs.score) ?? 10) < 8 && <Task id="fix" output={outputs.note}>{`fix ${Math.random()}`}</Task>}
  </Workflow>
))
const { tasks, impurities } = renderPlan(review, { input: {}, outputs: { score: 7 }, checkPurity: true })
console.log(tasks.map(({ id, isProvisional }) => `${id}: ${isProvisional}`), impurities.length)
