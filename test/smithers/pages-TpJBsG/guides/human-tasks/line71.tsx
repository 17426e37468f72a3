import { createSmithers, renderPlan } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, HumanTask, smithers, outputs } = createSmithers({ rating: z.object({ stars: z.number() }) })
const survey = smithers(() => (
  <Workflow name="survey-jsx">
    <HumanTask id="rate" output={outputs.rating} timeout="7d" onTimeout="continue">
      How was it? One to five stars.
    </HumanTask>
  </Workflow>
))
console.log(renderPlan(survey, { input: {} }).tasks.map(({ id }) => id))
