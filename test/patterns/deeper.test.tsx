/** @jsxImportSource smithers-orchestrator */
/**
 * Patterns three deep in other orders than usual, each with a participant that fails, whenever their process dies.
 */
import { Loop } from "smithers-orchestrator"
import {
  Debate,
  type DebateOutcome,
  EscalationChain,
  type EscalationOutcome,
  GatherAndSynthesize,
  type GatherOutcome,
  Kanban,
  Optimizer,
  Panel,
  type PanelOutcome,
  Poller,
  type PollOutcome,
  ReviewLoop,
  type ReviewOutcome,
  ScanFixVerify,
  Supervisor,
  type Work,
} from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, outcome, outputs, Task } from "./Fixture.tsx"

const drafts = (...texts: ReadonlyArray<string>) => texts.map((text) => ({ text }))

describe("a supervisor whose worker is a chain, whose last level is a panel", () => {
  const small = agent("small", down, ...["no", "no", "no"].map((answer) => ({ answer, sure: false })))
  const [ann, bob] = ["ann", "bob"].map((name) => agent(name, ...["yes", "yes", "yes", "yes"].map((vote) => ({ vote }))))
  const boss = agent(
    "boss",
    { tasks: ["a", "b"].map((id) => ({ id, instructions: `do ${id}`, needs: id === "b" ? ["a"] : [] })) },
    { rejected: [{ id: "a", feedback: "again" }] },
    { rejected: [] },
  )
  const agents = [boss, small, ann, bob].flatMap((one) => one ?? [])
  const Jury = (work: Work) => (
    <Panel
      {...work}
      panelists={{ ann: ann ?? [], bob: bob ?? [] }}
      panelistOutput={outputs.vote}
      result={({ vote = "none" }: PanelOutcome) => ({ answer: vote, sure: true })}
    />
  )
  const Worker = (work: Work) => (
    <EscalationChain
      {...work}
      levels={{ small, jury: Jury }}
      levelOutput={outputs.answer}
      escalateIf={({ sure }) => !sure}
      result={({ answer }: EscalationOutcome<{ readonly answer: string }>) => ({ text: answer?.answer ?? "" })}
    />
  )
  const draw = () => (
    <Supervisor
      id="site"
      boss={boss}
      workers={{ one: Worker }}
      planOutput={outputs.plan}
      workerOutput={outputs.draft}
      reviewOutput={outputs.rejected}
      maxConcurrency={1}
    >
      Build.
    </Supervisor>
  )

  it("does again what was rejected, with what needs it", async () => {
    for (const one of agents) one.reset()
    expect(await outcome(draw)).toMatchObject({ outcome: "done", rounds: 2, done: { a: { text: "yes" }, b: { text: "yes" } } })
    expect(ann?.calls).toHaveLength(4)
  })

  it("survives a crash at every commit", async () => {
    await crash(agents, draw)
  })
})

describe("an optimizer whose generator gathers, whose source is a review loop, in a loop", () => {
  const write = agent("write", ...drafts("a", "b", "c", "d", "e", "f"))
  const review = agent("review", ...[false, true, true, true, true].map((approved) => ({ approved })))
  const web = agent("web", down, ...drafts("w2", "w3", "w4"))
  const join = agent("join", ...drafts("j1", "j2", "j3", "j4"))
  const score = agent("score", ...[1, 2, 4, 3].map((n) => ({ score: n })))
  const agents = [write, review, web, join, score]
  const Source = (work: Work) => (
    <ReviewLoop
      {...work}
      producer={write}
      reviewer={review}
      produceOutput={outputs.draft}
      reviewOutput={outputs.review}
      result={({ draft }: ReviewOutcome) => draft}
    />
  )
  const Generator = (work: Work) => (
    <GatherAndSynthesize
      {...work}
      sources={{ web, own: Source }}
      gatherOutput={outputs.draft}
      minSources={1}
      synthesizer={join}
      synthesisOutput={outputs.draft}
      maxConcurrency={1}
      result={({ synthesis }: GatherOutcome) => synthesis}
    />
  )
  const draw = () => (
    <Loop id="twice" until={false} maxIterations={2} onMaxReached="return-last">
      <Optimizer
        id="best"
        generator={Generator}
        evaluator={score}
        generateOutput={outputs.draft}
        evaluateOutput={outputs.score}
        maxIterations={2}
      >
        Improve.
      </Optimizer>
    </Loop>
  )

  it("counts in each pass what that pass has made", async () => {
    for (const one of agents) one.reset()
    expect(await outcome(draw)).toMatchObject({ rounds: 2, best: { candidate: { text: "j3" }, score: 4, round: 0 } })
  })

  it("survives a crash at every commit", async () => {
    await crash(agents, draw)
  })
})

describe("a board whose workers fix what a scan finds, whose verifier is a debate", () => {
  const scan = agent("scan", { issues: [{ id: "x" }, { id: "y" }] }, { issues: [] })
  const fix = agent("fix", ...["1", "2", "3", "4"].map((diff) => ({ diff })))
  const [pro, con] = ["pro", "con"].map((name) => agent(name, ...drafts("1", "2", "3", "4")))
  const judge = agent("judge", ...["proposer", "opponent", "proposer"].map((winner) => ({ winner })))
  const agents = [scan, fix, pro, con, judge].flatMap((one) => one ?? [])
  const Verifier = (work: Work) => (
    <Debate
      {...work}
      proposer={pro ?? []}
      opponent={con ?? []}
      judge={judge}
      argumentOutput={outputs.draft}
      verdictOutput={outputs.winner}
      rounds={1}
      result={({ outcome: side }: DebateOutcome) => ({ fixed: side === "proposer" })}
    />
  )
  const Fixer = (work: Work) => (
    <ScanFixVerify
      {...work}
      scanner={scan}
      scanOutput={outputs.scan}
      fixer={fix}
      fixOutput={outputs.fix}
      verifier={Verifier}
      verifyOutput={outputs.verdict}
      maxConcurrency={1}
      result={({ fixed }) => ({ text: fixed.join() })}
    />
  )
  const Check = ({ id, output }: Work) => (
    <Poller
      id={id}
      output={output}
      checker={({ id: check, output: checked }: Work) => (
        <Task id={check} output={checked}>
          {({ iteration }) => ({ satisfied: iteration % 2 === 1 })}
        </Task>
      )}
      checkOutput={outputs.check}
      timeout="1 hour"
      result={({ checks }: PollOutcome) => ({ text: `${checks} checks` })}
    />
  )
  const draw = () => (
    <Kanban
      id="board"
      cards={["one", "two"]}
      columns={[
        { name: "fix", worker: Fixer, output: outputs.draft, limit: 1 },
        { name: "check", worker: Check, output: outputs.draft },
      ]}
    >
      Work.
    </Kanban>
  )

  it("takes each card through both columns", async () => {
    for (const one of agents) one.reset()
    expect(await outcome(draw)).toEqual({ outcome: "done", done: ["one", "two"], blocked: [] })
    expect(fix.calls).toHaveLength(3)
  })

  it("survives a crash at every commit", async () => {
    await crash(agents, draw)
  })
})
