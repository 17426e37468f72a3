/** @jsxImportSource smithers-orchestrator */
/**
 * Hiring loop. A panel reads each application; whoever has its majority is interviewed by a person, one candidate after another. The
 * hiring manager selects one of those, or nobody.
 */
import { Approval, createSmithers, ForEach, HumanTask, MergeQueue } from "smithers-orchestrator"
import { Panel, type PanelOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { panelists } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    vote: z.object({ vote: z.enum(["yes", "no"]) }),
    screening: z.object({ isInvited: z.boolean() }),
    interview: z.object({ notes: z.string() }),
    choice: z.object({ approved: z.boolean(), selected: z.string().nullable() }),
    letter: z.string(),
  },
  { input: z.object({ role: z.string(), candidates: z.array(z.object({ name: z.string(), cv: z.string() })) }), output: "letter" },
)

export default smithers((ctx) => {
  const { candidates, role } = ctx.input
  const screenings = candidates.map(({ name }) => ctx.outputMaybe(outputs.screening, { nodeId: `screen ${name}` }))
  const isScreened = !screenings.includes(undefined)
  const invited = isScreened ? candidates.flatMap(({ name }, index) => (screenings[index]?.isInvited ? [name] : [])) : []
  return (
    <Workflow name="hiring-loop">
      <ForEach id="screening" items={candidates} by={({ name }) => name}>
        {({ name, cv }) => (
          <Panel
            id={`screen ${name}`}
            panelists={panelists}
            panelistOutput={outputs.vote}
            output={outputs.screening}
            result={({ vote }: PanelOutcome) => ({ isInvited: vote === "yes" })}
          >
            Does this fit the role of {role}? {cv}
          </Panel>
        )}
      </ForEach>
      <MergeQueue id="interviews" items={invited}>
        {(name) => <HumanTask id={`interview ${name}`} output={outputs.interview} prompt={`Interview ${name}, and take notes.`} />}
      </MergeQueue>
      {invited.length > 0 && (
        <Approval
          id="choice"
          output={outputs.choice}
          options={invited}
          onDeny="continue"
          request={{ title: `Who is our ${role}?` }}
        />
      )}
      <Task id="letter" output={outputs.letter}>
        {(ctx) => `The role goes to ${(invited.length > 0 ? ctx.output(outputs.choice).selected : null) ?? "nobody"}`}
      </Task>
    </Workflow>
  )
})
