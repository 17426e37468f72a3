import { copyFileSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

/** A request that the receiver got. */
interface Received {
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
}

const received: Array<Received> = []
let server: ReturnType<typeof Bun.serve>
let place: Folder

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      received.push({ path: new URL(request.url).pathname, headers: request.headers, body: await request.bytes() })
      return new Response()
    },
  })
  place = folder()
  copyFileSync(join(import.meta.dirname, "fixtures", "telemetry.ts"), place.file("telemetry.ts"))
})
afterEach(() => received.splice(0))
afterAll(() => {
  server.stop(true)
  place.remove()
})

const token = "wt-5f1c9b2e7a40"

const env = (more: { readonly [name: string]: string } = {}) => ({
  WORK_TOKEN: token,
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${server.port}/`,
  ...more,
})

const textOf = (body: Uint8Array): string => new TextDecoder().decode(body)

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string }
}
interface Span {
  readonly name: string
  readonly status: { readonly code: number; readonly message?: string }
  readonly attributes: ReadonlyArray<Attribute>
}

/** The spans that came as JSON. */
const spans = (): ReadonlyArray<Span> =>
  received
    .filter(({ path }) => path === "/v1/traces")
    .flatMap(({ body }) => JSON.parse(textOf(body)).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap((scope) => scope.spans)

/** Fields of a message of protobuf that hold bytes, by number. */
const fieldsOf = (bytes: Uint8Array): ReadonlyArray<readonly [number: number, bytes: Uint8Array]> => {
  const fields: Array<readonly [number, Uint8Array]> = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error("the message ends in a number")
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const kind = key % 8
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else {
      const length = varint()
      fields.push([Math.floor(key / 8), bytes.subarray(at, at + length)])
      at += length
    }
  }
  return fields
}
const inside = (bytes: Uint8Array, path: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const [first, ...rest] = path
  if (first === undefined) return [bytes]
  return fieldsOf(bytes).flatMap(([number, field]) => (number === first ? inside(field, rest) : []))
}

/** The names of the spans that came as protobuf: spans are field 2 of scopes, those 2 of resources, those 1 of a request. */
const names = (): ReadonlyArray<string> =>
  received.filter(({ path }) => path === "/v1/traces").flatMap(({ body }) => inside(body, [1, 2, 2, 5]).map(textOf))

describe("--otel", () => {
  it("sends spans and metrics as JSON with the headers that are asked for, without secrets and without false marks", async () => {
    const settings = env({
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_HEADERS: "api-key=k%20ey-77aa31",
      OTEL_SERVICE_NAME: "shop",
    })
    const args = ["up", "telemetry.ts", "--otel", "--input", '{"fail":true}', "--run-id", "fails"]
    const { code, stderr } = await place.start(args, { env: settings }).result
    expect(code, stderr).toBe(1)
    expect(new Set(received.map(({ path }) => path))).toEqual(new Set(["/v1/traces", "/v1/metrics"]))
    for (const { headers } of received) {
      expect(headers.get("api-key")).toBe("k ey-77aa31")
      expect(headers.get("content-type")).toBe("application/json")
    }
    expect(spans().map(({ name }) => name)).toEqual(
      expect.arrayContaining(["smithers.run", "smithers.step", "smithers.attempt", "labelled"]),
    )
    const labelled = spans().find(({ name }) => name === "labelled")
    const attributes = Object.fromEntries((labelled?.attributes ?? []).map(({ key, value }) => [key, value.stringValue]))
    expect(attributes).toMatchObject({ "span.label": "mine", "status.interrupted": "never" })
    expect(labelled?.attributes.filter(({ key }) => key === "span.label")).toHaveLength(1)
    const attempt = spans().find(({ name }) => name === "smithers.attempt")
    expect(attempt?.status).toMatchObject({ code: 2, message: "the work is refused" })
    expect(attempt?.attributes.map(({ key }) => key)).not.toContain("span.label")
    const all = received.map(({ body }) => textOf(body)).join("\n")
    expect(all).toContain("smithers_runs_started_total")
    expect(all).toContain('"shop"')
    expect(attributes.token).toContain("WORK_TOKEN")
    expect(all).not.toContain(token)
    expect(all).not.toContain("ey-77aa31")
  })

  it("sends protobuf unless asked otherwise, from the process of a detached run", async () => {
    const args = ["up", "telemetry.ts", "--otel", "--detach", "--input", '{"fail":false}', "--run-id", "detached"]
    const { code, stderr } = await place.start(args, { env: env() }).result
    expect(code, stderr).toBe(0)
    await until(() => names().includes("smithers.run"), "the span of the run came")
    expect(names()).toEqual(expect.arrayContaining(["smithers.run", "smithers.step", "smithers.attempt", "labelled"]))
    expect(received.every(({ headers }) => headers.get("content-type") === "application/x-protobuf")).toBe(true)
  })

  it("sends the spans of the runs that a supervisor resumes", async () => {
    await place.run("up", "telemetry.ts#asks", "--input", "{}", "--run-id", "asks")
    await place.run("approve", "asks", "ok")
    const { code, stderr } = await place.start(["supervise", "--once", "--otel"], { env: env() }).result
    expect(code, stderr).toBe(0)
    expect(names()).toEqual(expect.arrayContaining(["smithers.run", "smithers.attempt"]))
  })

  it("sends the spans of what a server answers, and of the runs that it starts and wakes", async () => {
    const child = place.start(["serve", "--port", "0", "--json", "--supervise", "--otel"], {
      env: env({ OTEL_EXPORTER_OTLP_PROTOCOL: "http/json", OTEL_BSP_SCHEDULE_DELAY: "200" }),
    })
    await until(
      () => child.said().stdout.includes("\n"),
      () => `the server listens; it said ${JSON.stringify(child.said())}`,
    )
    const { url, tokenFile } = JSON.parse(child.said().stdout.split("\n")[0] ?? "") as {
      readonly url: string
      readonly tokenFile: string
    }
    const owner = readFileSync(tokenFile, "utf8").trim()
    const ask = (path: string, body: unknown) =>
      fetch(`${url}/api/v1/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${owner}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      })
    expect((await ask("runs", { workflow: "telemetry.ts#asks", input: {}, runId: "served" })).status).toBe(200)
    await until(
      () => ["smithers.run", "http.server POST"].every((name) => spans().some((span) => span.name === name)),
      () => `spans of a request and of the run came: ${spans().map(({ name }) => name)}`,
    )
    received.splice(0)
    expect((await place.run("approve", "served", "ok")).code).toBe(0)
    await until(
      () => spans().some(({ name }) => name === "smithers.attempt"),
      () => `spans of the run that was woken came: ${spans().map(({ name }) => name)}`,
    )
    expect(received.map(({ body }) => textOf(body)).join("\n")).not.toContain(owner)
    child.kill("SIGTERM")
    await child.result
  })

  it("warns once of a receiver that is not there, and changes nothing", async () => {
    const settings = env({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY: "1" })
    const args = ["up", "telemetry.ts", "--otel", "--input", '{"fail":false}', "--run-id", "unheard"]
    const { code, stdout, stderr } = await place.start(args, { env: settings }).result
    expect(code, stderr).toBe(0)
    expect(stdout).toContain("done")
    expect(stderr.split("Telemetry was not taken")).toHaveLength(2)
  })

  it("refuses settings that it does not know before anything runs", async () => {
    const args = ["up", "telemetry.ts", "--otel", "--input", '{"fail":false}', "--run-id", "refused"]
    const { code, stderr } = await place.start(args, { env: env({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }) }).result
    expect(code).toBe(4)
    expect(stderr).toContain('OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json, not "grpc"')
    expect((await place.run("inspect", "refused")).code).not.toBe(0)
  })
})
