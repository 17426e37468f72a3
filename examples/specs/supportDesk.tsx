/** @jsxImportSource smithers-orchestrator */
/**
 * Support desk. A ticket is answered by a small model, by a large one if that is unsure, and by a person if nobody is sure. A refund of
 * more than 100 needs an approval. The customer gets one letter.
 */
import { ApprovalGate, createSmithers } from "smithers-orchestrator"
import { EscalationChain, type EscalationOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { large, small } from "./agents.ts"

const Answer = z.object({ text: z.string(), refund: z.number(), isSure: z.boolean() })
const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    answer: Answer,
    resolution: z.object({ by: z.string(), text: z.string(), refund: z.number() }),
    refund: z.object({ approved: z.boolean() }),
    letter: z.string(),
  },
  { input: z.object({ ticket: z.string() }), output: "letter" },
)

export default smithers((ctx) => {
  const refund = ctx.outputMaybe(outputs.resolution)?.refund
  return (
    <Workflow name="support-desk">
      <EscalationChain
        id="answer"
        levels={{ small, large }}
        levelOutput={outputs.answer}
        escalateIf={({ isSure }) => !isSure}
        human
        output={outputs.resolution}
        result={({ level = "nobody", answer }: EscalationOutcome<z.infer<typeof Answer>>) => ({
          by: level,
          text: answer?.text ?? "",
          refund: answer?.refund ?? 0,
        })}
      >
        {ctx.input.ticket}
      </EscalationChain>
      {refund !== undefined && (
        <ApprovalGate
          id="refund"
          output={outputs.refund}
          when={refund > 100}
          onDeny="continue"
          request={{ title: `Refund ${refund}?` }}
        />
      )}
      <Task id="letter" output={outputs.letter} dependsOn={["refund"]}>
        {(ctx) => {
          const { by, text } = ctx.output(outputs.resolution)
          const paid = ctx.outputMaybe(outputs.refund)?.approved === true ? refund : 0
          return `${text} You get ${paid} back. (${by})`
        }}
      </Task>
    </Workflow>
  )
})
