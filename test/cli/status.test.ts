/**
 * What is shown of runs, with real processes: every command says the same, and says the truth.
 */
import { Database } from "bun:sqlite"
import { existsSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

interface Listed {
  readonly runs: ReadonlyArray<{ readonly runId: string; readonly status: string; readonly waits: ReadonlyArray<object> }>
}

/** What each command shows of a run, which must be one word. */
const shown = async (runId: string): Promise<string> => {
  const [listed, inspected, why] = await Promise.all([
    place.json("ps", "--children"),
    place.json("inspect", runId),
    place.json("why", runId),
  ])
  const status = (listed.value as Listed).runs.find((run) => run.runId === runId)?.status
  expect((inspected.value as { run: { status: string } }).run.status).toBe(status)
  expect((why.value as { status: string }).status).toBe(status)
  const only = (await place.json("ps", "--children", "--status", status ?? "")).value as Listed
  expect(only.runs.map((run) => run.runId)).toContain(runId)
  return status ?? ""
}

/** A run whose second step waits for the file `open`, in a process of its own. */
const start = async () => {
  const up = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"open"}', "--run-id", "s"])
  await until(() => up.said().stderr.includes("→ second"), "the second step is at work")
  return up
}

describe("a run whose process", () => {
  it("lives is running, was killed is orphaned, and was stopped in order is suspended", { timeout: 60_000 }, async () => {
    const first = await start()
    expect(await shown("s")).toBe("running")
    first.kill("SIGKILL")
    await first.result
    expect(await shown("s")).toBe("orphaned")
    expect((await place.run("ps", "--status", "running")).stdout).toContain("No matching runs")
    const graph = await place.run("graph", "s")
    expect(graph.stdout).toContain("step second (needs first; interrupted)")
    expect((await place.run("inspect", "s")).stdout).toMatch(/second +0 +interrupted/)
    const next = place.start(["up", "--resume", "s"])
    await until(() => next.said().stderr.includes("→ second (attempt 2"), "it goes on")
    expect(await shown("s")).toBe("running")
    next.kill("SIGTERM")
    await next.result
    expect(await shown("s")).toBe("suspended")
    writeFileSync(place.file("open"), "")
    expect((await place.run("up", "--resume", "s")).code).toBe(0)
    expect(await shown("s")).toBe("finished")
  })

  it("lives is shown as paused once it is, and as what it waits for where nothing else goes on", { timeout: 60_000 }, async () => {
    const up = place.start(["up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "w", "--wait"])
    await until(() => up.said().stderr.includes("waits for approval"), "it waits")
    expect(await shown("w")).toBe("waiting-approval")
    await place.run("pause", "w")
    await until(async () => (await place.run("logs", "w")).stdout.includes("‖ paused"), "it is paused")
    expect(await shown("w")).toBe("paused")
    await place.run("unpause", "w")
    await until(async () => (await place.run("logs", "w")).stdout.includes("▶ unpaused"), "it goes on")
    expect(await shown("w")).toBe("waiting-approval")
    up.kill("SIGTERM")
    await up.result
    expect(await shown("w")).toBe("waiting-approval")
  })
})

describe("a run that another process works on", () => {
  it("is followed by whoever asks for it too, who is told whose it is, and shows as at work what is", {
    timeout: 60_000,
  }, async () => {
    const first = await start()
    const { pid } = first
    const args = [
      ["up", "--resume", "s"],
      ["up", "workflow.ts#slow", "--input", '{"gate":"open"}', "--run-id", "s"],
    ]
    const others = args.map((words) => place.start(words))
    for (const other of others) await until(() => other.said().stderr.includes("works on run s"), "it says who works on it")
    for (const other of others) {
      expect(other.said().stderr).toContain(`Process ${pid} on ${hostname()} works on run s. This process follows it`)
      expect(other.said().stderr).not.toContain("interrupted")
    }
    writeFileSync(place.file("open"), "")
    for (const { code, stdout } of await Promise.all([first, ...others].map(({ result }) => result)))
      expect([code, stdout]).toEqual([0, expect.stringContaining("two")])
    expect((await place.run("logs", "s")).stdout).not.toContain("resumed")
  })
})

it("runs that others have started hide none that started them, and are counted and listed on their own", {
  timeout: 120_000,
}, async () => {
  writeFileSync(
    place.file("many.ts"),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
const child = Smithers.createWorkflow({ name: "child", input: Schema.Void }).build(($) =>
  $.step("one", { output: Schema.Number, run: () => 1 }))
export default Smithers.createWorkflow({ name: "many", input: Schema.Void }).build(($) => $.parallel(
  ...Array.from({ length: 300 }, (_, index) => $.subflow("c" + index, { workflow: child, input: () => undefined }))))
`,
  )
  const up = await place.run("up", "many.ts", "--run-id", "parent")
  expect([up.code, up.stderr.slice(-500)]).toEqual([0, expect.anything()])
  const listed = await place.run("ps")
  expect(listed.stdout.split("\n")[1]).toMatch(/^parent +many +finished /)
  expect(listed.stdout).toContain("… and 300 child runs: smithers ps --children")
  expect((await place.json("ps")).value).toMatchObject({ runs: [{ runId: "parent", children: 300 }], hasMore: false })
  const all = (await place.json("ps", "--children", "--limit", "100")).value as Listed & { hasMore: boolean }
  expect(all.runs.map(({ runId }) => runId).slice(0, 1)).toEqual(["parent"])
  expect([all.runs.length, all.hasMore]).toEqual([101, true])
  // Page by page each of them comes once.
  const found = new Set<string>()
  for (let before: string | undefined; ; ) {
    const page = await place.json(
      "ps",
      "--parent",
      "parent",
      "--limit",
      "120",
      ...(before === undefined ? [] : ["--before", before]),
    )
    const { runs, hasMore } = page.value as Listed & { hasMore: boolean }
    for (const { runId } of runs) found.add(runId)
    before = runs.at(-1)?.runId
    if (!hasMore) break
  }
  expect(found.size).toBe(300)
})

describe("a decision that nobody has taken up", () => {
  it("is known to every command, and is not asked for again", { timeout: 60_000 }, async () => {
    const asked = await place.json("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "w")
    expect(asked).toMatchObject({ code: 3, value: { status: "waiting-approval" } })
    expect(await shown("w")).toBe("waiting-approval")
    await place.run("approve", "w", "--by", "ann", "--note", "fine")
    expect(await shown("w")).toBe("suspended")
    const texts = await Promise.all(
      [["ps"], ["inspect", "w"], ["graph", "w"], ["node", "w", "ok"], ["inbox"], ["why", "w"]].map((args) => place.run(...args)),
    )
    for (const { stdout } of texts) expect(stdout).not.toContain("smithers approve")
    const [listed, inspected, graph, node, inbox, why] = texts.map(({ stdout }) => stdout)
    // The run and the node show what was decided on, beside the decision.
    for (const text of [listed, graph, inbox, why]) expect(text).not.toContain("Ship this diff?")
    expect(listed).toMatch(/^w +ship +suspended /m)
    expect(inspected).toContain("approved by ann: fine")
    expect(inspected).toContain("smithers up --resume w")
    expect(graph).toMatch(/● approval ok \(.*decided\)/)
    expect(node).toContain("approved by ann: fine, not yet processed")
    expect((await place.json("ps")).value).toMatchObject({ runs: [{ runId: "w", waits: [] }] })
    expect((await place.json("inbox")).value).toMatchObject({ waits: [] })
  })

  it("of a person's task, and a signal, too", { timeout: 60_000 }, async () => {
    await place.run("up", "workflow.ts#triage", "--run-id", "t")
    await place.run("up", "workflow.ts#pay", "--input", '{"order":"o1"}', "--run-id", "p")
    expect(await shown("p")).toBe("waiting-event")
    await place.run("signal", "p", "paid", "--correlation", "another", "--data", '{"amount":1}')
    expect(await shown("p")).toBe("waiting-event")
    await place.run("signal", "p", "paid", "--correlation", "o1", "--data", '{"amount":1}')
    await place.run("answer", "t", "rate", "--value", '{"severity":"low","score":1}', "--by", "ann")
    for (const [run, said] of [
      ["t", "rate: answered by ann"],
      ["p", "paid: signal sent"],
    ] as const) {
      expect(await shown(run)).toBe("suspended")
      const { stdout } = await place.run("inspect", run)
      expect(stdout).toContain(said)
      expect(stdout).not.toMatch(/Waits for/)
      expect((await place.run("graph", run)).stdout).toContain("answered")
    }
  })
})

it("a run that waits for a child run waits for the same, whoever says it", { timeout: 60_000 }, async () => {
  const up = await place.json("up", "workflow.ts#family", "--run-id", "f")
  expect(up).toMatchObject({
    code: 3,
    value: { status: "waiting-approval", waits: [{ runId: "f~inner~0", nodeId: "sure", kind: "approval" }] },
  })
  expect(await shown("f")).toBe("waiting-approval")
  expect(await shown("f~inner~0")).toBe("waiting-approval")
  const approve = "smithers approve 'f~inner~0' --node sure"
  for (const args of [["inspect", "f"], ["why", "f"], ["inbox"]])
    expect((await place.run(...args)).stdout, args.join(" ")).toContain(approve)
  expect((await place.run("ps")).stdout).toContain("sure: approval: Sure?")
  expect((await place.json("why", "f")).value).toMatchObject({ reason: "approval" })
  await place.run("approve", "f~inner~0")
  expect(await shown("f")).toBe("suspended")
  expect((await place.run("why", "f")).stdout).not.toContain("smithers approve")
  expect((await place.run("up", "--resume", "f")).code).toBe(0)
})

it("the failure of a run is printed with its message", async () => {
  const up = await place.json("up", "workflow.ts#poll", "--input", '{"fail":true}', "--run-id", "p")
  const failure = { _tag: "StepFailed", message: expect.stringContaining('Step "end" of run "p" failed'), nodeId: "end" }
  expect(up).toMatchObject({ code: 1, value: { status: "failed", error: failure } })
  expect((await place.json("inspect", "p")).value).toMatchObject({ run: { status: "failed" }, failure })
})

describe("output that cannot be written", () => {
  /** What a command says on the standard error, and how it ends, where its standard output leads to a device that is full. */
  const full = async (...args: ReadonlyArray<string>) => {
    const line = [process.execPath, place.bin, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ")
    const child = Bun.spawn(["sh", "-c", `${line} > /dev/full`], { cwd: place.path, stderr: "pipe", stdout: "ignore" })
    const stderr = await new Response(child.stderr).text()
    return { code: await child.exited, stderr }
  }

  it.skipIf(!existsSync("/dev/full"))("is an error, and no success (skipped without /dev/full)", { timeout: 60_000 }, async () => {
    await place.run("up", "workflow.ts#poll", "--input", '{"fail":false}', "--run-id", "p")
    for (const args of [["ps"], ["output", "p"], ["events", "p"], ["--version"], ["--help"], ["completions", "bash"]]) {
      const human = await full(...args)
      expect([human.code, human.stderr], args.join(" ")).toEqual([1, expect.stringMatching(/could[ \w]+written.*ENOSPC/)])
      const json = await full(...args, "--json")
      expect([json.code, json.stderr], args.join(" ")).toEqual([1, expect.stringMatching(/could[ \w]+written.*ENOSPC/)])
    }
    // The run goes on all the same, and is not concerned.
    const up = await full("up", "workflow.ts#poll", "--input", '{"fail":false}', "--run-id", "q", "--json")
    expect(up.code).toBe(1)
    expect(JSON.parse(up.stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({
      error: { tag: "OutputFailed", runId: "q", code: "ENOSPC" },
    })
    expect(await shown("q")).toBe("finished")
  })
})

it("the words are those of the documents and of the option", async () => {
  await place.run("up", "workflow.ts#poll", "--input", '{"fail":false}', "--run-id", "p")
  const stored = new Database(place.file("smithers.db"), { readonly: true })
  expect(stored.query("SELECT status FROM smithers_runs").values()).toEqual([["finished"]])
  stored.close()
  const { stderr } = await place.run("ps", "--status", "nonsense")
  const words = "running, suspended, orphaned, finished, failed, cancelled, paused, waiting-approval, waiting-event, waiting-timer"
  expect(stderr).toContain(words)
})
