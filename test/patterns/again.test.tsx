/** @jsxImportSource smithers-orchestrator */
/**
 * Patterns in a loop: in each pass they begin anew, and what they gave in the pass before is not taken for what they give in this one.
 */
import type * as React from "react"
import { Loop } from "smithers-orchestrator"
import {
  ClassifyAndRoute,
  Debate,
  EscalationChain,
  GatherAndSynthesize,
  Kanban,
  Optimizer,
  Panel,
  Poller,
  ReviewLoop,
  ScanFixVerify,
  Supervisor,
} from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, outcome, outputs } from "./Fixture.tsx"

type Agents = ReadonlyArray<ReturnType<typeof agent>>
/** A pattern that does something else in each of two passes, what it gives in the second one, and the replies of each agent that are left then. */
type Case = readonly [
  name: string,
  agents: Agents,
  draw: (agents: Agents) => React.ReactNode,
  second: unknown,
  left: ReadonlyArray<number>,
]

const twice = (pattern: React.ReactNode) => (
  <Loop id="twice" until={false} maxIterations={2} onMaxReached="return-last">
    {pattern}
  </Loop>
)
const answers = (...texts: ReadonlyArray<string>) => texts.map((answer) => ({ answer, sure: answer.startsWith("sure") }))
const drafts = (...texts: ReadonlyArray<string>) => texts.map((text) => ({ text }))
const nobody = agent("nobody")

const cases: ReadonlyArray<Case> = [
  [
    "EscalationChain",
    [agent("small", ...answers("unsure 1", "unsure 2")), agent("large", ...answers("sure 1", "unsure 3"))],
    ([small = nobody, large = nobody]) => (
      <EscalationChain
        id="help"
        levels={{ small, large }}
        levelOutput={outputs.answer}
        escalateIf={({ sure }) => !sure}
        onExhausted="accept"
      >
        Help.
      </EscalationChain>
    ),
    {
      outcome: "exhausted",
      tried: [
        { level: "small", answer: { answer: "unsure 2" } },
        { level: "large", answer: { answer: "unsure 3" } },
      ],
    },
    [0, 0],
  ],
  [
    "Kanban",
    [agent("a", ...drafts("a1", "a2")), agent("b", ...drafts("b1"), down), agent("c", ...drafts("c1", "c2"))],
    ([a = nobody, b = nobody, c = nobody]) => (
      <Kanban
        id="board"
        cards={["one"]}
        columns={[
          { name: "a", worker: a, output: outputs.draft },
          { name: "b", worker: b, output: outputs.draft },
          { name: "c", worker: c, output: outputs.draft },
        ]}
      >
        Work.
      </Kanban>
    ),
    { outcome: "partial", done: [], blocked: [{ key: "one", column: "b" }] },
    [0, 0, 1],
  ],
  [
    "Panel",
    [agent("ann", { vote: "x" }, down), agent("bob", { vote: "x" }, { vote: "y" }), agent("moderator", ...drafts("m1", "m2"))],
    ([ann = nobody, bob = nobody, moderator = nobody]) => (
      <Panel
        id="panel"
        panelists={{ ann, bob }}
        panelistOutput={outputs.vote}
        moderator={moderator}
        moderatorOutput={outputs.draft}
      >
        Vote.
      </Panel>
    ),
    { outcome: "noQuorum", absent: ["ann"] },
    [0, 0, 1],
  ],
  [
    "ClassifyAndRoute",
    [agent("classifier", { category: "bug" }, { category: "spam" }), agent("fixer", ...drafts("fixed"))],
    ([classifier = nobody, fixer = nobody]) => (
      <ClassifyAndRoute
        id="mail"
        items={["m"]}
        classifier={classifier}
        classifyOutput={outputs.category}
        routes={{ bug: fixer }}
        routeOutput={outputs.draft}
      >
        Sort.
      </ClassifyAndRoute>
    ),
    { outcome: "partial", items: [{ key: "m", category: "spam", outcome: "unrouted" }] },
    [0, 0],
  ],
  [
    "GatherAndSynthesize",
    [agent("web", ...drafts("w"), down), agent("writer", ...drafts("s1", "s2"))],
    ([web = nobody, writer = nobody]) => (
      <GatherAndSynthesize
        id="report"
        sources={{ web }}
        gatherOutput={outputs.draft}
        synthesizer={writer}
        synthesisOutput={outputs.draft}
      >
        Report.
      </GatherAndSynthesize>
    ),
    { outcome: "tooFew", found: {} },
    [0, 1],
  ],
  [
    "Debate",
    [
      agent("pro", ...drafts("p1"), down),
      agent("con", ...drafts("c1")),
      agent("judge", { winner: "proposer" }, { winner: "opponent" }),
    ],
    ([pro = nobody, con = nobody, judge = nobody]) => (
      <Debate
        id="debate"
        proposer={pro}
        opponent={con}
        judge={judge}
        argumentOutput={outputs.draft}
        verdictOutput={outputs.winner}
        rounds={1}
        onParticipantFailure="stop"
      >
        Is it?
      </Debate>
    ),
    { outcome: "failed", proposed: [], opposed: [] },
    [0, 0, 1],
  ],
  [
    "Optimizer",
    [agent("make", ...drafts("1", "2", "3", "4")), agent("score", { score: 9 }, { score: 1 }, { score: 3 }, { score: 2 })],
    ([make = nobody, score = nobody]) => (
      <Optimizer
        id="best"
        generator={make}
        evaluator={score}
        generateOutput={outputs.draft}
        evaluateOutput={outputs.score}
        maxIterations={2}
      >
        Improve.
      </Optimizer>
    ),
    { rounds: 2, best: { candidate: { text: "3" }, score: 3, round: 0 } },
    [0, 0],
  ],
  [
    "ReviewLoop",
    [agent("write", ...drafts("1", "2", "3")), agent("review", { approved: false }, { approved: true }, { approved: false })],
    ([write = nobody, review = nobody]) => (
      <ReviewLoop
        id="post"
        producer={write}
        reviewer={review}
        produceOutput={outputs.draft}
        reviewOutput={outputs.review}
        maxIterations={2}
        onExhausted="accept"
        onParticipantFailure="stop"
      >
        Write.
      </ReviewLoop>
    ),
    { outcome: "failed", rounds: 1 },
    [0, 0],
  ],
  [
    "Poller",
    [agent("check", { satisfied: true, at: 1 }, { satisfied: false, at: 2 }, { satisfied: false, at: 3 })],
    ([check = nobody]) => (
      <Poller id="deploy" checker={check} checkOutput={outputs.check} maxIterations={2} onExhausted="accept">
        Ready?
      </Poller>
    ),
    { outcome: "exhausted", checks: 2, last: { at: 3 } },
    [0],
  ],
  [
    "ScanFixVerify",
    [
      agent("scan", { issues: [{ id: "x" }] }, { issues: [] }, { issues: [{ id: "y" }] }, { issues: [{ id: "z" }] }),
      agent("fix", { diff: "1" }, { diff: "2" }, { diff: "3" }),
      agent("verify", { fixed: true }, { fixed: true }, { fixed: false }),
    ],
    ([scan = nobody, fix = nobody, verify = nobody]) => (
      <ScanFixVerify
        id="lint"
        scanner={scan}
        scanOutput={outputs.scan}
        fixer={fix}
        fixOutput={outputs.fix}
        verifier={verify}
        verifyOutput={outputs.verdict}
        maxIterations={1}
        maxScans={2}
        onExhausted="accept"
      >
        Scan.
      </ScanFixVerify>
    ),
    { outcome: "survivors", fixed: ["y"], survivors: [{ key: "z", fixes: 1 }] },
    [0, 0, 0],
  ],
  [
    "Supervisor",
    [
      agent(
        "boss",
        ...[{ tasks: [{ id: "a", instructions: "a" }] }, { rejected: [] }],
        ...[{ tasks: [{ id: "a", instructions: "a" }] }, { rejected: [{ id: "a", feedback: "thin" }] }],
      ),
      agent("coder", ...drafts("1", "2")),
    ],
    ([boss = nobody, coder = nobody]) => (
      <Supervisor
        id="site"
        boss={boss}
        workers={{ coder }}
        planOutput={outputs.plan}
        workerOutput={outputs.draft}
        reviewOutput={outputs.rejected}
        maxIterations={1}
        onExhausted="accept"
      >
        Build.
      </Supervisor>
    ),
    { outcome: "exhausted", rounds: 1, done: {}, left: { a: "thin" } },
    [0, 0],
  ],
]

describe("in the second pass of a loop", () => {
  it.each(cases)("%s gives the outcome of that pass alone", async (_, agents, draw, second, left) => {
    for (const one of agents) one.reset()
    expect(await outcome(() => twice(draw(agents)))).toMatchObject(second as object)
    expect(agents.map((one) => one.left())).toEqual(left)
  })

  it("a board survives a crash at every commit", async () => {
    const [, agents, draw] = cases[1] ?? cases[0] ?? (["", [], () => null, {}, []] as const)
    await crash(agents, () => twice(draw(agents)))
  })
})
