import { createSmithers, runWorkflow, Saga, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ booking: z.object({ number: z.string() }) })

const trip = smithers(() => (
  <Workflow name="trip-jsx">
    <Saga onCompensated="continue">
      <Task id="flight" output={outputs.booking} compensate={(booking) => console.log(`cancel ${booking.number}`)}>
        {() => ({ number: "SM1" })}
      </Task>
      <Task id="pay" noRetry>{() => Promise.reject(new Error("declined"))}</Task>
    </Saga>
  </Workflow>
))

const result = await runWorkflow(trip, { input: {}, runtime: Smithers.memory })
console.log(result.status)
