import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const word = "Hello"

export default Smithers.createWorkflow({ name: "greeting", input: Schema.Struct({}) }).build(($) => {
  const slow = $.step("slow", {
    output: Schema.String,
    run: async () => {
      await Bun.sleep(5_000)
      return `${word} from slow`
    },
  })
  const write = $.step("write", { needs: { slow }, output: Schema.String, run: ({ slow }) => `${slow}, ${word} from write` })
  return $.sequence(slow, write)
})
