/**
 * `smithers serve` as a process, on a run that lives in the process of the test, on runs of other processes, and on those of dead ones.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onStorage } from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connect, Unreachable } from "smithers-orchestrator/client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Fixture from "../cli/Fixture.ts"
import { slow } from "../cli/fixtures/workflows.ts"
import * as Served from "./Served.ts"

describe("smithers serve", () => {
  const folder = Fixture.folder()
  const file = folder.file("smithers.db")
  let server: Served.Served
  let here: Fiber.RuntimeFiber<unknown, unknown>
  const get = async (path: string) => {
    const { status, body } = await server.ask(path)
    expect({ path, status, body }).toMatchObject({ status: 200 })
    return body
  }
  const post = async (path: string, body: unknown = {}) => {
    const answer = await server.ask(path, body)
    expect({ path, status: answer.status, body: answer.body }).toMatchObject({ status: 200 })
    return answer.body
  }
  const statusOf = async (runId: string) => (await get(`runs/${runId}`)).run.status
  const becomes = (runId: string, status: string) =>
    Fixture.until(
      async () => (await statusOf(runId)) === status,
      () => `run ${runId} is ${status}`,
    )

  beforeAll(async () => {
    await Fixture.fill(file)
    server = await Served.serve(folder)
    const run = Effect.provide(
      slow.execute({ gate: folder.file("here") }, { runId: "here", source: "workflow.ts#slow" }),
      onStorage(SqliteStorage.layer({ filename: file })),
    )
    here = Effect.runFork(run)
    await Promise.all([
      post("runs", { workflow: "workflow.ts#slow", input: { gate: folder.file("there") }, runId: "there", tags: ["api"] }),
      // Its process may die before or after the reply.
      server.ask("runs", { workflow: "workflow.ts#slow", input: { dies: true }, runId: "dead" }),
    ])
  })
  afterAll(async () => {
    for (const gate of ["here", "there"]) writeFileSync(folder.file(gate), "")
    await Effect.runPromise(Effect.ignore(Fiber.await(here)))
    await server.stop()
    folder.remove()
  })

  it("lists runs of living and dead processes, by filters and in pages, and counts them", async () => {
    await becomes("dead", "orphaned")
    const all = await get("runs")
    expect(all.runs.map(({ runId }: { runId: string }) => runId)).toContain("ship-waits")
    expect(all.runs.find(({ runId }: { runId: string }) => runId === "ship-waits").sentence).toBe("ok: approval: Ship this diff?")
    const ids = async (query: string) => (await get(`runs?${query}`)).runs.map(({ runId }: { runId: string }) => runId).sort()
    expect(await ids("status=running")).toEqual(["here", "there"])
    expect(await ids("status=running&status=orphaned")).toEqual(["dead", "here", "there"])
    expect(await ids("tag=api")).toEqual(["there"])
    expect(await ids("workflow=nap&waiting=timer")).toEqual(["nap-1", "nap-paused"])
    expect(await ids("q=ship-")).toEqual(["ship-done", "ship-waits"])
    const { runs: stuck } = await get("runs?stuck=true")
    expect(stuck).toEqual([expect.objectContaining({ runId: "dead", stuckSince: stuck[0].updatedAt })])
    expect(await ids(`stuck=true&changedBefore=${stuck[0].updatedAt}`)).toEqual([])
    expect(await ids(`stuck=true&changedBefore=${stuck[0].updatedAt + 1}`)).toEqual(["dead"])
    const first = await get("runs?limit=4")
    const second = await get(`runs?limit=100&before=${first.next}`)
    expect([...first.runs, ...second.runs].length).toBe(all.runs.length)
    const counts = await get("counts")
    expect(counts.byStatus).toMatchObject({ running: 2, orphaned: 1, "waiting-approval": 2 })
    expect(counts.byWorkflow).toMatchObject({ ship: { finished: 1, "waiting-approval": 1 } })
  })

  it("shows a run with its plan, state, frames, events, nodes, outputs, costs and waits, whoever works on it", async () => {
    for (const runId of ["here", "there", "dead", "ship-done"]) {
      const overview = await get(`runs/${runId}`)
      expect(overview).toMatchObject({ run: { runId }, failure: null, children: [], forks: [] })
      expect((await get(`runs/${runId}/details`)).run.runId).toBe(runId)
      expect((await get(`runs/${runId}/why`)).runId).toBe(runId)
      const plan = await get(`runs/${runId}/plan`)
      expect(plan.nodes[0]).toMatchObject({ kind: "sequence" })
      const [early, now] = [await get(`runs/${runId}/state?frame=1`), await get(`runs/${runId}/state`)]
      expect(early.frame).toBe(1)
      expect(now.frame).toBeGreaterThan(1)
      const timeline = await get(`runs/${runId}/timeline?limit=1`)
      expect(timeline).toMatchObject({ frames: [{ frame: 1 }], next: timeline.frames[0].lastSeq })
      const { events } = await get(`runs/${runId}/events`)
      expect(events.map(({ seq }: { seq: number }) => seq)).toEqual(events.map((_: unknown, index: number) => index + 1))
      const step = runId === "ship-done" ? "implement" : "first"
      const node = await get(`runs/${runId}/nodes/${step}`)
      expect(node).toMatchObject({ nodes: [{ nodeId: step, status: "finished" }], attempts: [{ attempt: 1, status: "succeeded" }] })
      expect(await get(`runs/${runId}/nodes/${step}/attempts/1/transcript`)).toEqual({ conversations: [] })
      const { rows } = await get(`runs/${runId}/outputs`)
      expect(rows.find(({ nodeId }: { nodeId: string }) => nodeId === step)).toBeDefined()
      expect(await get(`runs/${runId}/costs`)).toEqual({ usage: [], budgets: [] })
      expect((await get(`runs/${runId}/waits?all=true`)).waits.length).toBe(runId === "ship-done" ? 1 : 0)
    }
    expect(await get("runs/here/why")).toMatchObject({ status: "running" })
    expect((await get("runs/dead/why")).actions).toContainEqual({ kind: "resume", runId: "dead" })
    expect(await get("diff?a=ship-done@2&b=ship-done")).toMatchObject({ before: { frame: 2 }, after: { status: "finished" } })
    expect(await get("runs/poll-failed/nodes/end/diff?a=1&b=1")).toBeDefined()
    expect(await get("costs?by=day")).toEqual({ by: "day", rows: [] })
    expect((await server.ask("runs/ship-done/state?frame=99")).body.error.tag).toBe("NoSuchMoment")
    const transcript = async (path: string) => (await server.ask(`runs/ship-done/nodes/${path}/transcript`)).body
    expect(await transcript("deploy/attempts/1")).toEqual({ conversations: [] })
    expect((await transcript("deploy/attempts/9")).error).toMatchObject({ tag: "NoSuchAttempt", known: [1] })
    expect((await transcript("ok/attempts/1")).error).toMatchObject({ tag: "NoSuchAttempt", known: [] })
    expect((await transcript("none/attempts/1")).error.tag).toBe("NodeNotFound")
  })

  it("takes a decision about the request that was shown, by the name of the token, and answers a stale one with the open request", async () => {
    const { waits } = await get("inbox?kind=approval")
    const [wait] = waits
    expect(wait).toMatchObject({ runId: "ship-waits", nodeId: "ok", request: { title: "Ship this diff?" } })
    const { requestId, digest } = wait
    const stale = await server.ask("runs/ship-waits/approve", { node: "ok", requestId, digest: "0".repeat(64) })
    expect(stale.status).toBe(409)
    expect(stale.body.error).toMatchObject({ tag: "StaleRequest", current: { requestId, digest, request: wait.request } })
    expect(await statusOf("ship-waits")).toBe("waiting-approval")
    const { token } = (await folder.json("token", "add", "ann", "--scope", "decide")).value as { token: string }
    const said = await server.ask("runs/ship-waits/approve", { node: "ok", requestId, digest, note: "fine" }, { token })
    expect(said).toMatchObject({ status: 200, body: { nodeId: "ok", by: "ann" } })
    await post("runs/ship-waits/resume")
    await becomes("ship-waits", "finished")
    expect((await get("runs/ship-waits/waits")).waits[0]).toMatchObject({ approved: true, by: "ann", note: "fine" })
    const [question] = (await get("runs/triage-1/waits")).waits
    const refused = await server.ask("runs/triage-1/answer", { node: "rate", ...ask(question), value: { severity: "none" } })
    expect(refused).toMatchObject({ status: 400, body: { error: { tag: "InvalidAnswer" } } })
    await post("runs/triage-1/answer", { node: "rate", ...ask(question), value: { severity: "low", score: 1 } })
    await post("runs/triage-1/resume")
    await becomes("triage-1", "finished")
  })
  const ask = ({ requestId, digest }: { readonly requestId: string; readonly digest: string }) => ({ requestId, digest })

  it("signals, pauses, cancels, retries and resumes runs", async () => {
    const paid = { name: "paid", correlation: "o-1", payload: { amount: 3 }, id: "delivery-1" }
    await post("runs/pay-1/signal", paid)
    await post("runs/pay-1/signal", paid)
    expect((await server.ask("runs/pay-1/signal", { ...paid, payload: { amount: 4 } })).status).toBe(409)
    await post("runs/pay-1/resume")
    await becomes("pay-1", "finished")
    await post("runs/here/pause")
    await Fixture.until(async () => (await get("runs/here")).run.isPaused, "the living run is paused")
    await post("runs/here/unpause")
    await Fixture.until(async () => !(await get("runs/here")).run.isPaused, "the living run is not paused")
    await post("runs/nap-1/cancel", { reason: "enough" })
    await becomes("nap-1", "cancelled")
    const again = await server.ask("runs/nap-1/resume", {})
    expect(again).toMatchObject({ status: 409, body: { error: { tag: "RunWasCancelled", runId: "nap-1" } } })
    expect(again.body.error.message).toContain("smithers up --resume nap-1 --uncancel")
    await post("runs/poll-failed/retry", { node: "end" })
    await post("runs/dead/resume")
    await becomes("dead", "finished")
    expect((await get("runs/dead/nodes/second")).attempts.map(({ status }: { status: string }) => status)).toEqual([
      "interrupted",
      "succeeded",
    ])
  })

  it("describes, checks and starts workflows of the project, and refuses bad inputs and files outside of it", async () => {
    const described = await get(`workflows/${encodeURIComponent("workflow.ts#pay")}`)
    expect(described).toMatchObject({ workflow: "pay", input: { required: ["order"] }, plan: [{ id: "paid" }], problem: null })
    expect(await get("workflows")).toEqual({ root: folder.path, workflows: [] })
    expect(await post("workflows/check", { workflow: "workflow.ts", against: "ship-done" })).toMatchObject({
      problems: [],
      difference: { kept: ["implement", "ok", "deploy"] },
    })
    const wrong = await server.ask("workflows/check", { workflow: "workflow.ts", input: { spec: 1 } })
    expect([wrong.status, wrong.body.error.tag]).toEqual([400, "InvalidInput"])
    expect((await post("workflows/check", { workflow: "workflow.ts", input: { spec: "x" } })).problems).toEqual([])
    const refused = async (body: object) => {
      const { status, body: reply } = await server.ask("runs", body)
      return [status, reply.error.tag]
    }
    expect(await refused({ workflow: "workflow.ts", input: { spec: 1 } })).toEqual([400, "InvalidInput"])
    expect(await refused({ workflow: "../workflow.ts" })).toEqual([400, "OutsideRoot"])
    expect(await refused({ workflow: "/etc/hostname" })).toEqual([400, "OutsideRoot"])
    // A link within the root leads out of it.
    const outside = mkdtempSync(join(tmpdir(), "smithers-outside-"))
    copyFileSync(folder.file("workflow.ts"), join(outside, "workflow.ts"))
    symlinkSync(outside, folder.file("linked"))
    expect(await refused({ workflow: "linked/workflow.ts", input: { spec: "x" } })).toEqual([400, "OutsideRoot"])
    mkdirSync(folder.file("workflows"))
    symlinkSync(join(outside, "workflow.ts"), folder.file("workflows/named.ts"))
    expect(await refused({ workflow: "named", input: { spec: "x" } })).toEqual([400, "OutsideRoot"])
    const checked = await server.ask("workflows/check", { workflow: "named" })
    expect([checked.status, checked.body.error.tag]).toEqual([400, "OutsideRoot"])
    expect((await server.ask("workflows/named")).body.error.tag).toBe("OutsideRoot")
    rmSync(folder.file("workflows"), { recursive: true })
    rmSync(folder.file("linked"))
    rmSync(outside, { recursive: true })
    expect(await refused({ workflow: "none" })).toEqual([404, "NoSuchWorkflow"])
    expect(await refused({ workflow: "workflow.ts#pay", input: { order: "x" }, runId: "ship-done" })).toEqual([409, "RunIdTaken"])
    expect(await refused({ workflow: "workflow.ts", inputs: {} })).toEqual([400, "InvalidRequest"])
  })

  it("forks a run after it has shown what the fork would keep, and reverts one", async () => {
    const before = { before: "deploy" }
    const preview = await post("runs/ship-done/fork", { ...before, dryRun: true })
    expect(preview).toMatchObject({
      isDryRun: true,
      kept: [{ nodeId: "implement" }, { nodeId: "ok" }],
      rerun: [{ nodeId: "deploy" }],
    })
    await post("runs/ship-done/fork", { ...before, newRunId: "forked" })
    expect((await get("runs/ship-done")).forks.map(({ runId }: { runId: string }) => runId)).toEqual(["forked"])
    await post("runs/forked/resume")
    await becomes("forked", "finished")
    expect(await post("runs/forked/revert", { node: "deploy" })).toMatchObject({ isDryRun: false, resets: [{ nodeId: "deploy" }] })
    expect(await statusOf("forked")).not.toBe("finished")
  })

  it("adds schedules of workflows of the project, shows their ticks, pauses and removes them, and refuses bad ones", async () => {
    const { ask } = server
    const add = { workflow: "workflow.ts#nap", cron: "30 2 * * *", tz: "Europe/Berlin", catchUp: "6h", tags: ["nightly"] }
    const added = await ask("schedules", add)
    expect([added.status, added.body.schedule]).toMatchObject([
      200,
      { scheduleId: "nap", catchUpMs: 21_600_000, tags: ["nightly"] },
    ])
    expect(await ask("schedules", { ...add, cron: "@hourly" })).toMatchObject({
      status: 409,
      body: { error: { tag: "ScheduleIdTaken" } },
    })
    expect((await ask("schedules", { ...add, cron: "@hourly", onExisting: "replace" })).body.schedule.cron).toBe("@hourly")
    expect(await ask("schedules", { ...add, cron: "30 2" })).toMatchObject({ status: 400 })
    expect(await ask("schedules", { ...add, workflow: "../../etc/passwd.ts" })).toMatchObject({
      status: 400,
      body: { error: { tag: "OutsideRoot" } },
    })
    expect((await ask("schedules")).body.schedules).toHaveLength(1)
    expect((await ask("schedules/nap")).body.next).toHaveLength(10)
    expect((await ask("schedules/nap/pause", {})).body.schedule.isPaused).toBe(true)
    expect((await ask("schedules/nap/run", {})).body.tick).toMatchObject({ outcome: "started", scheduleId: "nap" })
    expect(await ask("schedules/nap/run", {})).toMatchObject({ status: 409, body: { error: { tag: "ScheduleBusy" } } })
    expect((await ask("schedules/nap/unpause", {})).body.schedule.isPaused).toBe(false)
    expect((await ask("schedules/nap/remove", {})).status).toBe(200)
    expect(await ask("schedules/nap")).toMatchObject({ status: 404, body: { error: { tag: "NoSuchSchedule" } } })
  })

  it("publishes events to the runs that wait for them, once, and tells who took them", async () => {
    const { ask } = server
    await ask("runs", { workflow: "workflow.ts#pay", input: { order: "o9" }, runId: "pays" })
    await becomes("pays", "waiting-event")
    const { body: waits } = await ask("runs/pays/waits")
    const [{ name, correlation }] = waits.waits
    const event = { name, id: "delivery-1", payload: { amount: 3 }, ...(correlation === null ? {} : { correlation }) }
    const published = await ask("publish", event)
    expect([published.status, published.body.event.takenBy]).toMatchObject([200, [{ runId: "pays" }]])
    expect((await ask("publish", event)).body).toEqual(published.body)
    expect(await ask("publish", { ...event, payload: { amount: 4 } })).toMatchObject({
      status: 409,
      body: { error: { tag: "EventIdTaken" } },
    })
    expect((await ask("published?id=delivery-1")).body.events).toEqual([published.body.event])
    expect((await ask("publish", { name, payload: 1 })).status).toBe(400)
  })

  it("tells events as they happen, and goes on behind the last one that a client has seen, without a gap", async () => {
    const first = await server.follow("runs=there,ship-done", (messages) => messages.length >= 5)
    const last = first.at(-2)?.id as string
    const rest = server.follow(
      "runs=there,ship-done&inbox=1",
      (messages) => messages.some(({ data }) => data.runId === "there" && data.event?._tag === "RunFinished"),
      last,
    )
    await Bun.sleep(100)
    writeFileSync(folder.file("there"), "")
    const all = [...first.slice(0, -1), ...(await rest).filter(({ event }) => event === "run")]
    for (const runId of ["there", "ship-done"]) {
      const seqs = all.filter(({ data }) => data.runId === runId).map(({ data }) => data.seq)
      expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    }
    const reset = await server.follow("runs=there", (messages) => messages.length > 0, "nonsense")
    expect(reset[0]).toMatchObject({ event: "reset", id: undefined })
    const ahead = await server.follow("runs=there", (messages) => messages.length > 1, "99999")
    expect(ahead.slice(0, 2)).toMatchObject([{ event: "reset" }, { event: "run", id: "1" }])
    const changed = server.follow("all=1", (messages) => messages.some(({ data }) => data.runId === "here"))
    await Bun.sleep(200)
    writeFileSync(folder.file("here"), "")
    expect((await changed).every(({ event, id }) => event === "changed" && id === undefined)).toBe(true)
  })

  it("describes the database and itself, and gives metrics", async () => {
    expect(await get("database")).toMatchObject({ path: file, problems: [] })
    expect(Object.keys((await get("openapi.json")).paths)).toContain("/api/v1/runs/{id}/why")
    const metrics = await server.ask("/metrics")
    expect(metrics.text).toContain('smithers_runs{status="finished",workflow="ship"}')
    for (const path of ["/healthz", "/readyz"]) expect((await server.ask(path, undefined, { token: "" })).status).toBe(200)
    expect((await server.ask("/", undefined, { token: "" })).status).toBe(200)
  })

  it("stands beside a run that is started with --serve, as long as the command lasts", async () => {
    const gate = folder.file("beside")
    const child = folder.start(["up", "workflow.ts#slow", "--input", JSON.stringify({ gate }), "--run-id", "beside", "--serve"])
    await Fixture.until(() => child.said().stderr.includes("Listening on"), "it listens")
    const [, url] = /Listening on (\S+)\./.exec(child.said().stderr) ?? []
    const client = connect({ baseUrl: url as string, token: server.token })
    await Fixture.until(async () => (await client.listRuns({ q: "beside" })).runs[0]?.status === "running", "the run is at work")
    writeFileSync(gate, "")
    expect((await child.result).code).toBe(0)
    await expect(client.countRuns()).rejects.toBeInstanceOf(Unreachable)
  })

  it("keeps its token in a file of its own, and closes streams when it is stopped", async () => {
    expect(statSync(`${file}.token`).mode & 0o777).toBe(0o600)
    expect(statSync(`${file}.tokens`).mode & 0o777).toBe(0o600)
    expect(readFileSync(`${file}.tokens`, "utf8")).not.toContain(server.token)
    const other = await Served.serve(folder)
    expect(other.token).toBe(server.token)
    const stream = other.follow("all=1", () => false).catch(() => [])
    await Bun.sleep(50)
    const began = performance.now()
    const { stdout, stderr } = await other.stop()
    await stream
    expect(performance.now() - began).toBeLessThan(3000)
    expect(`${stdout}${stderr}`).not.toContain(server.token)
    const outside = await folder.run("serve", "--host", "0.0.0.0")
    expect(outside).toMatchObject({ code: 4 })
    expect(outside.stderr).toContain("--token-file")
  })
})
