/** @jsxImportSource smithers-orchestrator */
/** Participants that are late: each pattern has an outcome for them. */
import * as Effect from "effect/Effect"
import {
  ClassifyAndRoute,
  Debate,
  GatherAndSynthesize,
  Kanban,
  Optimizer,
  Panel,
  ReviewLoop,
  ScanFixVerify,
  Supervisor,
  type Work,
} from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, failure, outcome, outputs, Task } from "./Fixture.tsx"

/** A participant that never ends. */
const never = ({ id, output }: Work) => (
  <Task id={id} output={output}>
    {() => Effect.never}
  </Task>
)
const timeout = "1m"

describe("a participant that is late", () => {
  it("fails a ReviewLoop, or stops it", async () => {
    const draw = (more: object) => (
      <ReviewLoop
        id="post"
        producer={agent("producer", { text: "a" })}
        reviewer={never}
        produceOutput={outputs.draft}
        reviewOutput={outputs.review}
        timeout={timeout}
        {...more}
      >
        Write.
      </ReviewLoop>
    )
    expect(await failure(() => draw({}))).toContain("post:review:time")
    expect(await outcome(() => draw({ onParticipantFailure: "stop" }))).toMatchObject({ outcome: "failed", draft: { text: "a" } })
  })

  it("stops an Optimizer with the best so far", async () => {
    const generator = agent("generator", { text: "a" })
    const draw = () => (
      <Optimizer
        id="slogan"
        generator={generator}
        evaluator={never}
        generateOutput={outputs.draft}
        evaluateOutput={outputs.score}
        targetScore={9}
        onParticipantFailure="stop"
        timeout={timeout}
      >
        Find.
      </Optimizer>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "failed" })
  })

  it("leaves a Debate without its arguments", async () => {
    const draw = () => (
      <Debate
        id="tabs"
        proposer={agent("pro", { text: "1" }, { text: "2" })}
        opponent={never}
        judge={agent("judge", { winner: "proposer" })}
        argumentOutput={outputs.draft}
        verdictOutput={outputs.winner}
        onParticipantFailure="stop"
        timeout={timeout}
      >
        Tabs?
      </Debate>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "failed" })
  })

  it("leaves an item of ClassifyAndRoute without an answer", async () => {
    const draw = () => (
      <ClassifyAndRoute
        id="mail"
        items={["m"]}
        classifier={agent("classifier", { category: "bug" })}
        classifyOutput={outputs.category}
        routes={{ bug: never }}
        routeOutput={outputs.draft}
        timeout={timeout}
      >
        Handle.
      </ClassifyAndRoute>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "partial", items: [{ key: "m", outcome: "failed" }] })
  })

  it("blocks a card of Kanban", async () => {
    const draw = () => (
      <Kanban id="board" cards={["a"]} columns={[{ name: "build", worker: never, output: outputs.draft }]} timeout={timeout}>
        Work.
      </Kanban>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "partial", blocked: [{ key: "a", column: "build" }] })
  })

  it("gives up an issue of ScanFixVerify", async () => {
    const draw = () => (
      <ScanFixVerify
        id="lint"
        scanner={agent("scanner", { issues: [{ id: "a" }] })}
        scanOutput={outputs.scan}
        fixer={never}
        fixOutput={outputs.fix}
        verifier={agent("verifier")}
        verifyOutput={outputs.verdict}
        onExhausted="accept"
        timeout={timeout}
      >
        Find.
      </ScanFixVerify>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "survivors", survivors: [{ key: "a", fixes: 0 }] })
  })

  it("fails the run where it scans, moderates or synthesizes: all others depend on it", async () => {
    const scanning = (
      <ScanFixVerify
        id="lint"
        scanner={never}
        scanOutput={outputs.scan}
        fixer={never}
        fixOutput={outputs.fix}
        verifier={never}
        verifyOutput={outputs.verdict}
        timeout={timeout}
      >
        Find.
      </ScanFixVerify>
    )
    const moderating = (
      <Panel
        id="panel"
        panelists={{ ann: agent("ann", { text: "a" }) }}
        panelistOutput={outputs.draft}
        strategy="synthesize"
        voteOf={() => "some"}
        moderator={never}
        moderatorOutput={outputs.draft}
        timeout={timeout}
      >
        Judge.
      </Panel>
    )
    const synthesizing = (
      <GatherAndSynthesize
        id="report"
        sources={{ web: agent("web", { text: "a" }) }}
        gatherOutput={outputs.draft}
        synthesizer={never}
        synthesisOutput={outputs.draft}
        timeout={timeout}
      >
        Report.
      </GatherAndSynthesize>
    )
    expect(await failure(() => scanning)).toContain("lint:scan:time")
    expect(await failure(() => moderating)).toContain("panel:moderate:time")
    expect(await failure(() => synthesizing)).toContain("report:synthesize:time")
  })

  it("has its task delegated again by a Supervisor", async () => {
    const draw = () => (
      <Supervisor
        id="site"
        boss={agent("boss", { tasks: [{ id: "a", instructions: "do a" }] }, { rejected: [] })}
        workers={{ coder: never }}
        planOutput={outputs.plan}
        workerOutput={outputs.draft}
        reviewOutput={outputs.rejected}
        maxIterations={1}
        onExhausted="accept"
        timeout={timeout}
      >
        Build.
      </Supervisor>
    )
    expect(await outcome(draw)).toMatchObject({ outcome: "exhausted", left: { a: "its worker has failed" } })
  })
})
