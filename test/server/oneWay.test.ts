/**
 * Commands, routes and tools that look back: they answer alike, errors included.
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { servicesOf } from "@smithers/cli/actions/serve"
import * as Smithers from "@smithers/core/Smithers"
import { Snapshots } from "@smithers/core/Snapshots"
import * as Mcp from "@smithers/server/mcp/Server"
import { Caller } from "@smithers/server/operations/Caller"
import * as Waits from "@smithers/server/operations/waits"
import { Effect, Schema } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Local from "./Local.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

let local: Local.Local
let client: Client
let commits: ReadonlyArray<string>

/** A step that writes another text with each attempt, and fails with the first. */
const editing = () => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: local.folder, encoding: "utf8" }).trim()
  const commit = (text: string): string => {
    writeFileSync(join(local.folder, "notes.txt"), text)
    git("add", "notes.txt")
    git("commit", "-qm", text.trim())
    return git("rev-parse", "HEAD")
  }
  git("init", "-q")
  commits = [commit("one\n"), commit("two\n")]
  return Smithers.createWorkflow({ name: "editing", input: Schema.Struct({}) }).build(($) =>
    $.step("edit", {
      output: Schema.String,
      retry: { maxAttempts: 2, initialDelay: "1 milli" },
      run: ({ runId, attempt }) =>
        Effect.flatMap(Snapshots, ({ recordSnapshot }) =>
          recordSnapshot({
            ...{ runId, epoch: 1, nodeId: "edit", iteration: 0, attempt, moment: "after", root: local.folder, at: Date.now() },
            ...{ commit: commits[attempt - 1] ?? null, tree: "t", skipped: [], sharedWith: [], failure: null },
          }),
        ).pipe(Effect.orDie, Effect.andThen(attempt === 1 ? Effect.fail(new Error("no ink")) : Effect.succeed("edited"))),
    }),
  )
}

beforeAll(async () => {
  local = await Local.make()
  await local.run(editing().execute({}, { runId: "r" }))
  const place = { self: [], file: local.storage.storeId, root: local.folder }
  const services = await servicesOf(place, local.storage)()
  const server = await Mcp.make({ storage: local.storage, ...services, pages: [], caller: { scope: "read", name: "reader" } })
  const [here, there] = InMemoryTransport.createLinkedPair()
  client = new Client({ name: "test", version: "1" })
  await Promise.all([server.connect(there), client.connect(here)])
})
afterAll(async () => {
  await client.close()
  await local.close()
})

/** A run that goes on as two others, the last of which asks. */
const counting = Smithers.createWorkflow({ name: "counting", input: Schema.Struct({ n: Schema.Number }) }).build(($) =>
  $.sequence(
    $.step("wait", { output: Schema.Void, run: () => Effect.sleep("5 millis") }),
    $.branch({
      when: ({ input }) => input.n < 2,
      then: $.continueAsNew("again", { input: ({ input }) => ({ n: input.n + 1 }) }),
      else: $.approval("end", { request: () => ({ title: "End?" }) }),
    }),
  ),
)

/** What a command prints: its value, or the tag and the message of its error. */
const command = (...args: ReadonlyArray<string>): unknown => {
  const { stdout } = Bun.spawnSync([process.execPath, bin, ...args, "--json", `--db=${local.storage.storeId}`], {
    cwd: local.folder,
    env: { ...process.env, SMITHERS_DB: undefined },
  })
  const lines = stdout
    .toString()
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line))
  return lines.length === 1 ? lines[0] : lines
}

const route = async (path: string): Promise<unknown> => JSON.parse((await local.ask(`/api/v1/${path}`)).text)

const tool = async (name: string, args: { readonly [name: string]: unknown }): Promise<unknown> => {
  const { structuredContent, content, isError } = await client.callTool({ name, arguments: args })
  return isError === true ? JSON.parse((content as ReadonlyArray<{ readonly text: string }>)[0]?.text ?? "") : structuredContent
}

const errorOf = (value: unknown) => (value as { readonly error: { readonly tag: string; readonly message: string } }).error

describe("the command, the route and the tool", () => {
  it("compare two attempts alike, with the files that they left", async () => {
    const expected = {
      files: {
        ...{ root: local.folder, from: commits[0], to: commits[1], isTruncated: false },
        files: [{ path: "notes.txt", change: "changed", added: 1, removed: 1 }],
        patch: expect.stringContaining("-one\n+two"),
      },
    }
    const said = await route("runs/r/nodes/edit/diff?a=1&b=2")
    expect(said).toMatchObject({ runId: "r", nodeId: "edit", output: [{ change: "added", after: "edited" }], ...expected })
    expect(command("diff", "r", "--node", "edit", "--attempts", "1,2")).toEqual(said)
    expect(await tool("diff_attempts", { runId: "r", nodeId: "edit", a: 1, b: 2 })).toEqual(said)
  })

  it("compare two frames alike, with the files as of each", async () => {
    const said = (await route("diff?a=r@2&b=r")) as { readonly files: unknown }
    expect(said).toMatchObject({ before: { frame: 2 }, files: { from: commits[0], to: commits[1] } })
    expect(command("diff", "r", "2")).toEqual(said)
    expect(await tool("diff", { a: { runId: "r", frame: 2 }, b: { runId: "r" } })).toEqual(said)
  })

  it("list the same frames", async () => {
    const said = (await route("runs/r/timeline")) as { readonly frames: ReadonlyArray<unknown> }
    expect(said.frames.length).toBeGreaterThan(2)
    expect(command("timeline", "r")).toEqual(said.frames)
    expect(await tool("timeline", { runId: "r" })).toEqual(said)
  })

  it("tell of a run whose child goes on as others what the latest of those waits for", async () => {
    const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) =>
      $.subflow("count", { workflow: counting, input: { n: 0 } }),
    )
    await local.run(parent.run({}, { runId: "p" }))
    const said = (await route("runs/p/why")) as { readonly requests: ReadonlyArray<object>; readonly actions: unknown }
    expect(said.requests).toMatchObject([{ runId: "p~count~0~g2", nodeId: "end", request: { title: "End?" } }])
    expect(said.actions).toContainEqual(expect.objectContaining({ kind: "approve", runId: "p~count~0~g2", nodeId: "end" }))
    expect(command("why", "p")).toMatchObject({ requests: said.requests, reason: "approval" })
    expect(await route("runs")).toMatchObject({
      runs: expect.arrayContaining([expect.objectContaining({ runId: "p", sentence: "end: approval: End?" })]),
    })
  })

  it("let no caller that works in a run decide what the runs ask that it goes on as, or that those have started", async () => {
    const outer = Smithers.createWorkflow({ name: "outer", input: Schema.Struct({ n: Schema.Number }) }).build(($) =>
      $.branch({
        when: ({ input }) => input.n < 1,
        then: $.continueAsNew("again", { input: ({ input }) => ({ n: input.n + 1 }) }),
        else: $.subflow("count", { workflow: counting, input: { n: 0 } }),
      }),
    )
    await local.run(outer.run({ n: 0 }, { runId: "own" }))
    await local.run(counting.run({ n: 0 }, { runId: "ownCount" }))
    const { waits, hasMore } = (await route("inbox")) as {
      readonly waits: ReadonlyArray<{ readonly runId: string; readonly requestId: string; readonly digest: string }>
      readonly hasMore: boolean
    }
    expect(hasMore).toBe(false)
    expect(await route("inbox?limit=1")).toEqual({ waits: waits.slice(0, 1), hasMore: true })
    const refusal = async (caller: string, runId: string) => {
      const { requestId, digest } = waits.find((wait) => wait.runId === runId) ?? {}
      const decided = Waits.approve.run({ runId, node: "end", requestId: requestId ?? "", digest: digest ?? "" })
      const tagged = Effect.provideService(decided, Caller, { name: "agent", scope: "operate", runId: caller })
      return local.run(Effect.match(tagged, { onFailure: ({ _tag }) => _tag, onSuccess: ({ by }) => by }))
    }
    // A generation later, a child run of that, and what that child run goes on as.
    for (const caller of ["own", "own~g1"]) expect(await refusal(caller, "own~g1~count~0~g2")).toBe("OwnRequest")
    for (const caller of ["ownCount", "ownCount~g1", "ownCount~g2"]) expect(await refusal(caller, "ownCount~g2")).toBe("OwnRequest")
    expect(await refusal("own", "ownCount~g2")).toBe("agent")
  })

  it("read of a run that goes on as others the plan of the latest, or of the latest at a time", async () => {
    await local.run(counting.run({ n: 0 }, { runId: "c" }))
    const planOf = async (query: string) =>
      (await route(`runs/c/plan?${query}`)) as { readonly runId: string; readonly nodes: unknown }
    expect(await planOf("")).toMatchObject({ runId: "c" })
    const latest = await planOf("latest=true")
    expect(latest.runId).toBe("c~g2")
    expect(JSON.stringify(latest.nodes)).toContain('"status":"waiting"')
    expect(await tool("get_plan", { runId: "c", latest: true })).toEqual(latest)
    const createdAt = async (runId: string) =>
      ((await route(`runs/${runId}`)) as { readonly run: { readonly createdAt: number } }).run.createdAt
    expect((await planOf(`latest=true&at=${await createdAt("c")}`)).runId).toBe("c")
    expect((await planOf(`latest=true&at=${await createdAt("c~g1")}`)).runId).toBe("c~g1")
    expect((await planOf(`latest=true&at=${await createdAt("c~g2")}`)).runId).toBe("c~g2")
  })

  it("refuse frames and attempts that are not there with the same error", async () => {
    const frame = errorOf(await route("diff?a=r@99&b=r"))
    expect(frame).toMatchObject({ tag: "NoSuchMoment", frame: 99 })
    expect(errorOf(command("diff", "r", "99"))).toEqual(frame)
    expect(errorOf(await tool("diff", { a: { runId: "r", frame: 99 }, b: { runId: "r" } }))).toEqual(frame)
    const attempt = errorOf(await route("runs/r/nodes/edit/diff?a=1&b=9"))
    expect(attempt).toMatchObject({ tag: "NoSuchAttempt" })
    expect(errorOf(command("diff", "r", "--node", "edit", "--attempts", "1,9"))).toEqual(attempt)
    expect(errorOf(await tool("diff_attempts", { runId: "r", nodeId: "edit", a: 1, b: 9 }))).toEqual(attempt)
    expect(errorOf(await route("runs/none/timeline"))).toMatchObject({ tag: "RunNotFound", runId: "none" })
    expect(errorOf(await tool("timeline", { runId: "none" }))).toEqual(errorOf(await route("runs/none/timeline")))
  })
})
