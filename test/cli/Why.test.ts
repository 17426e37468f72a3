import type { NodeSummary, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import { type Known, waitLine, why } from "@smithers/server/views/Why"
import { describe, expect, it } from "vitest"

const now = 1_000_000
const run = (more: Partial<RunSummary>): RunSummary => ({
  runId: "r",
  workflow: "w",
  version: null,
  status: "running",
  isPaused: false,
  tags: [],
  createdAt: 0,
  updatedAt: 0,
  finishedAt: null,
  epoch: 1,
  owner: null,
  leaseUntil: null,
  source: "workflow.ts",
  parent: null,
  children: 0,
  forkedFrom: null,
  stuck: null,
  ...more,
})
const node = (more: Partial<NodeSummary>): NodeSummary => ({
  runId: "r",
  nodeId: "a",
  iteration: 0,
  kind: "step",
  status: "running",
  attempt: 2,
  startedAt: now - 5000,
  finishedAt: null,
  retryAt: null,
  table: null,
  error: null,
  passes: null,
  isExhausted: null,
  isSoft: false,
  ...more,
})
const wait = (more: Partial<WaitSummary>): WaitSummary => ({
  runId: "r",
  nodeId: "ok",
  iteration: 0,
  workflow: "w",
  kind: "approval",
  status: "open",
  reason: null,
  since: now - 60_000,
  deadline: null,
  request: { title: "Ship it?" },
  digest: null,
  name: null,
  correlation: null,
  approved: null,
  note: null,
  by: null,
  endedAt: null,
  decidedAt: null,
  timedOut: false,
  isAnswered: false,
  requestSeq: 7,
  requestCount: 1,
  requestId: "7-abc",
  refusals: 0,
  refused: null,
  ...more,
})
const known = (
  details: {
    readonly run?: Partial<RunSummary>
    readonly nodes?: ReadonlyArray<NodeSummary>
    readonly hasPendingCommands?: boolean
  },
  more: Partial<Known> = {},
): Known => ({
  details: {
    ...{ run: run(details.run ?? {}), nodes: details.nodes ?? [], attempts: [], input: {}, output: undefined, failure: null },
    seq: 1,
    hasPendingCommands: details.hasPendingCommands ?? false,
    cancel: null,
    leaving: [],
  },
  waits: [],
  now,
  isOwnerAlive: false,
  ...more,
})
const owned = { owner: "me", leaseUntil: now + 1000 }

describe("why a run is not done", () => {
  it("it is at work: on what, for how long, and what it waits for beside", () => {
    const at = known({ run: owned, nodes: [node({}), node({ nodeId: "b" })] }, { isOwnerAlive: true })
    expect(why(at)).toEqual({
      requests: [],
      reason: "running",
      sentence: 'Run r runs "a" (attempt 2 for 5.0s) and 1 other step.',
      commands: ["smithers logs r --follow"],
    })
    const beside = why({ ...at, waits: [wait({})] })
    expect(beside.sentence).toContain('and waits for the approval of "ok": Ship it?')
    expect(beside.commands[0]).toBe("smithers approve r --node ok --iteration 0 --request 7-abc")
  })

  it("its process lives and cannot write: since when, and that nothing is lost", () => {
    const overdue = known({ run: { owner: "me", leaseUntil: now - 1000 }, nodes: [node({})] }, { isOwnerAlive: true })
    const { reason, sentence, commands } = why(overdue)
    expect(reason).toBe("store-unavailable")
    expect(sentence).toContain("The process that works on run r is alive but cannot renew its lease")
    expect(sentence).toContain(`expired at ${new Date(now - 1000).toISOString()}`)
    expect(sentence).toContain("stored once it can write")
    expect(commands).toEqual(["smithers db check"])
  })

  it("it tries again: when, and after what", () => {
    const error = { name: "TypeError", message: "no \u001b[31m", retryable: true }
    const retrying = node({ status: "retrying", retryAt: now + 90_000, error })
    expect(why(known({ run: owned, nodes: [retrying] }, { isOwnerAlive: true })).sentence).toBe(
      'Run r retries "a" in 1m 30s after TypeError: no \\x1b[31m (2 attempts so far).',
    )
  })

  it("it waits for a slot of a limit: which, how many are before it, and what runs beside", () => {
    const slot = { name: "hub", key: "", nodeId: "upload", iteration: 0, attempt: 1, before: 3, since: now - 90_000 }
    const at = known({ run: owned, nodes: [node({})] }, { isOwnerAlive: true })
    const why1 = why({ ...at, details: { ...at.details, nodes: [], slots: [slot] } })
    expect(why1).toMatchObject({ reason: "slot", commands: ["smithers limit list"] })
    expect(why1.sentence).toBe('Run r: "upload" waits for a slot of hub, 3 before it, for 1m 30s now.')
    const keyed = { ...slot, key: "acme", nodeId: "a", before: 0 }
    expect(why({ ...at, details: { ...at.details, slots: [keyed, slot, slot] } }).sentence).toBe(
      'Run r: "a" waits for a slot of hub (acme), none before it, for 1m 30s now, and so do 2 others.',
    )
    expect(why({ ...at, details: { ...at.details, slots: [slot] } }).sentence).toContain('; "a" runs.')
  })

  it("it waits: people come first, and the commands name the iteration and the database", () => {
    const waits = [
      wait({ kind: "timer", nodeId: "t", deadline: now + 1000, request: null }),
      wait({ iteration: 2, deadline: now + 3_600_000 }),
      wait({ kind: "subflow", nodeId: "child", name: "r.child", request: null }),
    ]
    expect(why(known({ run: { status: "waiting-approval" } }, { waits, db: "my db" }))).toEqual({
      requests: [waits[1]],
      reason: "approval",
      sentence: 'Run r has waited 1m for the approval of "ok": Ship it? (1h left), and for 2 other events.',
      commands: [
        "smithers approve r --node ok --iteration 2 --request 7-abc --db 'my db'",
        "smithers deny r --node ok --iteration 2 --request 7-abc --db 'my db'",
        "smithers up --resume r --db 'my db'",
      ],
    })
    expect(why(known({ run: { status: "waiting-approval" } }, { waits: waits.slice(2) }))).toMatchObject({
      reason: "subflow",
      commands: ["smithers why r.child", "smithers up --resume r"],
    })
  })

  it("nobody works on it: its process is gone, or it was stopped, or it was told something", () => {
    expect(why(known({ run: { ...owned } })).reason).toBe("orphaned")
    expect(why(known({ run: { ...owned, status: "orphaned", isPaused: true } }))).toMatchObject({
      reason: "orphaned",
      sentence: expect.stringContaining("It is also paused"),
      commands: ["smithers unpause r", "smithers up --resume r", "smithers supervise"],
    })
    expect(why(known({ run: { status: "suspended" } })).reason).toBe("suspended")
    expect(why(known({ run: { status: "waiting-approval" }, hasPendingCommands: true }, { waits: [wait({})] })).reason).toBe(
      "pending-command",
    )
    // A retry that nobody is there to make.
    const retrying = node({ status: "retrying", retryAt: now + 1 })
    expect(why(known({ run: owned, nodes: [retrying] })).reason).toBe("orphaned")
  })
})

describe("a run that is done", () => {
  const loop = (more: Partial<NodeSummary>) => node({ kind: "loop", status: "finished", passes: 3, isExhausted: true, ...more })

  it("says which of its loops made all their passes without their until holding", () => {
    const sentence = (...nodes: ReadonlyArray<NodeSummary>) => why(known({ run: { status: "finished" }, nodes })).sentence
    expect(sentence(loop({ isExhausted: false }))).toBe("Run r has finished.")
    expect(sentence(loop({ nodeId: "review" }))).toBe(
      'Run r has finished, but loop "review" reached maxIterations (3) before its "until" held.',
    )
    expect(sentence(loop({ nodeId: "review", passes: 1 }), loop({ iteration: 1 }))).toBe(
      'Run r has finished, but loop "review" reached maxIterations (1) before its "until" held, and so did 1 other.',
    )
  })
})

describe("a run that a program started without naming its workflow file", () => {
  it("is resumed by a command that names the file, and is left to no supervisor", () => {
    const found = why(
      known(
        { run: { status: "waiting-approval", source: null }, hasPendingCommands: true },
        { waits: [wait({ isAnswered: true })] },
      ),
    )
    expect(found.commands).toEqual(["smithers up <workflow file> --resume r"])
  })
})

describe("a run that was told something", () => {
  const takeUp = ["smithers up --resume r", "smithers supervise"]

  it("is to be taken up, whatever it was when it was told: nothing needs to be said to it again", () => {
    const answered = [wait({ isAnswered: true })]
    for (const status of ["waiting-approval", "suspended", "paused"] as const) {
      const commands = status === "paused" ? ["smithers unpause r", ...takeUp] : takeUp
      expect(why(known({ run: { status }, hasPendingCommands: true }, { waits: answered }))).toMatchObject({
        reason: "pending-command",
        commands,
      })
    }
    const other = wait({ nodeId: "also" })
    expect(why(known({ run: { status: "waiting-approval" }, hasPendingCommands: true }, { waits: [...answered, other] }))).toEqual({
      requests: [other],
      reason: "pending-command",
      sentence: 'Run r has a pending command, and no process works on it; it also waits for the approval of "also": Ship it?',
      commands: [
        ...takeUp,
        "smithers approve r --node also --iteration 0 --request 7-abc",
        "smithers deny r --node also --iteration 0 --request 7-abc",
      ],
    })
  })

  it("hears it from whoever works on it", () => {
    const at = known(
      { run: { ...owned, status: "waiting-approval" }, hasPendingCommands: true },
      { waits: [wait({})], isOwnerAlive: true },
    )
    expect(why(at).reason).toBe("approval")
  })
})

describe("a wait in a list", () => {
  it("says when its time comes, and who may decide", () => {
    const timer = wait({ kind: "timer", request: null, deadline: now + 90_000 })
    expect(waitLine(timer, now)).toBe("its time, in 1m 30s")
    expect(waitLine(timer, now + 90_000)).toBe("its time, due now")
    const approvers = ["a", "b", "c", "d", "e", "f", "g"]
    expect(waitLine(wait({ request: { title: "Go?", approvers } }), now)).toBe("approval: Go? (approvers: a, b, c, d, e or 2 more)")
    expect(waitLine(wait({}), now)).toBe("approval: Ship it?")
  })
})
