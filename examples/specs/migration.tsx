/** @jsxImportSource smithers-orchestrator */
/**
 * Migration. Every use of an old function is found, rewritten and verified, twice at most. What was migrated is merged one module at a
 * time; what was not is listed for people.
 */
import { createSmithers, MergeQueue, Sequence } from "smithers-orchestrator"
import { type FixOutcome, ScanFixVerify } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { rewriter, scanner, tester } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    scan: z.object({ issues: z.array(z.object({ id: z.string(), uses: z.number() })) }),
    patch: z.object({ diff: z.string() }),
    verdict: z.object({ fixed: z.boolean(), why: z.string() }),
    migrated: z.object({ fixed: z.array(z.string()), left: z.array(z.string()) }),
    merged: z.string(),
    report: z.object({ merged: z.array(z.string()), left: z.array(z.string()) }),
  },
  { input: z.object({ from: z.string(), to: z.string() }), output: "report" },
)

export default smithers((ctx) => {
  const migrated = ctx.outputMaybe(outputs.migrated)?.fixed ?? []
  return (
    <Workflow name="migration">
      <ScanFixVerify
        id="migrate"
        {...{ scanner, fixer: rewriter, verifier: tester }}
        scanOutput={outputs.scan}
        fixOutput={outputs.patch}
        verifyOutput={outputs.verdict}
        onExhausted="accept"
        output={outputs.migrated}
        result={({ fixed, survivors }: FixOutcome) => ({ fixed, left: survivors.map(({ key }) => key) })}
      >
        Find every module that calls {ctx.input.from}, to call {ctx.input.to} instead.
      </ScanFixVerify>
      <MergeQueue id="merges" items={migrated}>
        {(module) => (
          <Sequence>
            <Task id={`rebase ${module}`}>{() => `rebased ${module}`}</Task>
            <Task id={`merge ${module}`} output={outputs.merged}>
              {module}
            </Task>
          </Sequence>
        )}
      </MergeQueue>
      <Task id="report" output={outputs.report}>
        {(ctx) => ({ merged: ctx.output(outputs.migrated).fixed, left: ctx.output(outputs.migrated).left })}
      </Task>
    </Workflow>
  )
})
