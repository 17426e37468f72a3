/** @jsxImportSource smithers-orchestrator */
/**
 * Data clean-up. Bad rows are found, repaired and checked by a rule, twice at most. Rows that stay bad are put into quarantine, and a
 * person confirms that before anything is deleted.
 */
import { ApprovalGate, createSmithers } from "smithers-orchestrator"
import { type FixOutcome, ScanFixVerify } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { repairer } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    scan: z.object({ issues: z.array(z.object({ id: z.string(), email: z.string() })) }),
    repaired: z.object({ id: z.string(), email: z.string() }),
    verdict: z.object({ fixed: z.boolean() }),
    cleaned: z.object({ fixed: z.array(z.string()), left: z.array(z.string()) }),
    go: z.object({ approved: z.boolean(), note: z.string().nullable() }),
    report: z.string(),
  },
  { input: z.object({ rows: z.array(z.object({ id: z.string(), email: z.string() })) }), output: "report" },
)

const isEmail = (text: string): boolean => /^\S+@\S+\.\S+$/.test(text)
export default smithers((ctx) => {
  const left = ctx.outputMaybe(outputs.cleaned)?.left ?? []
  return (
    <Workflow name="data-clean-up">
      <ScanFixVerify
        id="clean"
        scanner={({ id, output }) => (
          <Task id={id} output={output}>
            {(ctx) => ({ issues: ctx.input.rows.filter(({ email }) => !isEmail(email)) })}
          </Task>
        )}
        scanOutput={outputs.scan}
        fixer={repairer}
        fixOutput={outputs.repaired}
        verifier={({ id, output }) => (
          <Task id={id} output={output}>
            {(ctx) => ({ fixed: isEmail(ctx.output(outputs.repaired, { nodeId: id.replace("verify", "fix") }).email) })}
          </Task>
        )}
        verifyOutput={outputs.verdict}
        onExhausted="accept"
        output={outputs.cleaned}
        result={({ fixed, survivors }: FixOutcome) => ({ fixed, left: survivors.map(({ key }) => key) })}
      >
        Find rows without a valid address.
      </ScanFixVerify>
      <ApprovalGate id="go" output={outputs.go} when={left.length > 0} request={{ title: `Delete ${left.join(", ")}?` }} />
      <Task id="report" output={outputs.report}>
        {(ctx) => `${ctx.output(outputs.cleaned).fixed.length} repaired, ${left.length} deleted`}
      </Task>
    </Workflow>
  )
})
