/**
 * Every path of the API and its streams, on runs that hold a secret everywhere: they were stored before anybody called it one.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as HttpApi from "@effect/platform/HttpApi"
import * as Secrets from "@smithers/core/Secrets"
import { Api } from "@smithers/server/http/Api"
import * as Effect from "effect/Effect"
import { Smithers } from "smithers-orchestrator"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Canary from "../canary/Canary.ts"
import * as Local from "./Local.ts"

const [canary = { name: "", value: "" }] = Canary.make().filter(({ name }) => name.endsWith("QUOTED"))
const file = join(import.meta.dirname, "..", "cli", "fixtures", "leaks.ts")
const before = process.cwd()

describe("a secret that older rows hold", () => {
  let local: Local.Local
  beforeAll(async () => {
    local = await Local.make()
    const root = join(local.folder, "work")
    mkdirSync(root)
    execFileSync("git", ["init", "-q"], { cwd: root })
    process.chdir(root)
    process.env.LEAKED_VALUE = canary.value
    // It looks at the folder and the environment when it is loaded.
    const { leak } = await import("../cli/fixtures/leaks.ts")
    const store = Smithers.sqlite({
      filename: join(local.folder, "smithers.db"),
      tools: { root },
      limits: { hub: { concurrency: 1 } },
    })
    const filled = Effect.gen(function* () {
      for (const [runId, end] of [
        ["open", undefined],
        ["bad", "fail"],
      ] as const) {
        const input = { key: canary.value, ...(end === undefined ? {} : { end }) }
        yield* leak.run(input, { runId, tags: [`tag ${canary.value}`], source: file })
        yield* Smithers.approve(runId, "gated", { note: `because ${canary.value}`, by: `by ${canary.value}` })
        yield* leak.run(input, { runId })
        if (runId === "open") continue
        yield* Smithers.approve(runId, "ok", { note: canary.value })
        yield* Smithers.answer(runId, "form", { text: canary.value })
        yield* Smithers.signal(runId, "go", { payload: { text: canary.value } })
        yield* leak.run(input, { runId })
      }
    })
    await Effect.runPromise(Effect.provide(filled, store))
    Secrets.add(canary.name, canary.value)
  })
  afterAll(async () => {
    process.chdir(before)
    await local.close()
  })

  const isClean = (text: string) => Canary.leaks([canary], text)

  it("is in no reply of any path; its name stands for it", async () => {
    const paths: Array<string> = []
    HttpApi.reflect(Api, {
      onGroup: () => {},
      onEndpoint: ({ endpoint: { method, path } }) => {
        if (method === "GET") paths.push(path)
      },
    })
    const shown = new Set<string>()
    for (const path of paths)
      for (const [id, node] of [
        ["open", "returns"],
        ["open", "gated"],
        ["bad", "chain"],
        ["bad", "returns"],
      ] as const) {
        const whole = path
          .replace(":id", id)
          .replace(":node", node)
          .replace(":attempt", "1")
          .replace(":name", encodeURIComponent(canary.value))
        const query = path === "/api/v1/diff" ? "?a=open&b=bad" : path.endsWith("/diff") ? "?a=1&b=2" : ""
        const { text } = await local.ask(`${whole}${query}`)
        expect([whole.replace(encodeURIComponent(canary.value), "…"), isClean(text)]).toEqual([expect.anything(), []])
        if (text.includes(canary.name)) shown.add(path.replace("/api/v1", ""))
      }
    for (const path of [
      "/runs",
      "/runs/:id",
      "/runs/:id/why",
      "/runs/:id/state",
      "/runs/:id/outputs",
      "/runs/:id/nodes/:node",
      "/inbox",
      "/diff",
    ])
      expect([...shown]).toContain(path)
    const { text } = await local.ask("/metrics")
    expect(isClean(text)).toEqual([])
  })

  it("is in no reply to a request that holds it", async () => {
    const secret = encodeURIComponent(canary.value)
    for (const path of [
      `runs/${secret}/why`,
      `runs?status=${secret}`,
      `runs?${secret}=1`,
      `runs/open/nodes/${secret}`,
      `diff?a=${secret}&b=open`,
    ]) {
      const { text, status } = await local.ask(`/api/v1/${path}`)
      expect([status >= 400, isClean(text)]).toEqual([true, []])
    }
    for (const [path, body] of [
      ["runs", { workflow: canary.value }],
      ["runs/open/signal", { name: "go", id: "1", payload: { text: canary.value } }],
      ["runs/open/approve", { node: canary.value, requestId: canary.value, digest: canary.value }],
      ["runs/open/retry", { node: "ok", iteration: canary.value }],
    ] as const) {
      const { text, status } = await local.ask(`/api/v1/${path}`, { body })
      expect([path, status >= 400, isClean(text)]).toEqual([path, true, []])
    }
  })

  it("is in no event of a stream", async () => {
    const response = await local.app(
      new Request(`http://${Local.host}/api/v1/events?runs=open,bad&all=1&inbox=1`, {
        headers: { host: Local.host, authorization: "Bearer read" },
      }),
    )
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    let text = ""
    while (!text.includes("RunFailed")) text += new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    expect(text).toContain(canary.name)
    expect(isClean(text)).toEqual([])
  })
})
