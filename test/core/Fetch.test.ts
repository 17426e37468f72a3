/** How failures of the network and of what it brings are taken: with real sockets, and the `fetch` that the tests run on. */
import * as net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { workflow } from "./Flows.ts"

/** A server on a port of its own that does so to each connection once it was asked something; closed with the scope. */
const serving = (answer: (socket: net.Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<net.Server>((resume) => {
        const server = net.createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => answer(socket))
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close()),
    ),
    (server) => `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
  )

/** A port at which nobody listens. */
const closed = Effect.scoped(serving(() => {}))

const page = "<html>Bad Gateway</html>"
const head = (length: number) => `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`

/** Answers in order. */
const answering = serving((socket) => socket.end(`${head(5)}"yes"`))
const html = serving((socket) => socket.end(head(page.length) + page))
/** Resets the connection before it has answered. */
const resetting = serving((socket) => socket.resetAndDestroy())
/** Closes the connection before it has answered. */
const closing = serving((socket) => socket.destroy())
/** Resets, or closes, the connection in the middle of the body. */
const cutting = (end: (socket: net.Socket) => void) =>
  serving((socket) => socket.write(`${head(100)}abc`, () => setTimeout(() => end(socket), 20)))

const read = async (url: string): Promise<unknown> => (await fetch(url)).json()

type Address = Effect.Effect<string, never, Scope.Scope>

describe("a request of a step", () => {
  const failures: ReadonlyArray<readonly [what: string, bad: Address, kept: object, scheme?: string]> = [
    ["is refused", closed, { code: "ECONNREFUSED" }],
    ["is reset", resetting, { code: "ECONNRESET" }],
    ["is closed without an answer", closing, { code: "ECONNRESET" }],
    ["has its body cut off", cutting((socket) => socket.destroy()), { code: "ECONNRESET" }],
    ["is reset in its body", cutting((socket) => socket.resetAndDestroy()), { code: "ECONNRESET" }],
    ["names a host that is not there", Effect.succeed("no-such-host.invalid"), { name: "TypeError", code: expect.any(String) }],
    ["asks for TLS where there is none", answering, { name: "TypeError", code: expect.any(String) }, "https"],
    ["gets a page where JSON is asked for", html, { name: "SyntaxError" }],
  ]
  const how: ReadonlyArray<readonly [how: string, run: (url: string) => unknown]> = [
    ["an async function", read],
    ["Effect.tryPromise", (url) => Effect.tryPromise(() => read(url))],
    ["Effect.tryPromise with a catch", (url) => Effect.tryPromise({ try: () => read(url), catch: (error) => error })],
  ]
  for (const [what, bad, kept, scheme = "http"] of failures) {
    for (const [way, run] of how) {
      it.scopedLive(`is made again where it ${what}, in ${way}`, () =>
        Effect.gen(function* () {
          const [wrong, right] = [`${scheme}://${yield* bad}/`, `http://${yield* answering}/`]
          const W = workflow(($) =>
            $.step("ask", {
              output: Schema.String,
              retry: { maxAttempts: 2, initialDelay: 0 },
              run: ({ attempt }) => run(attempt === 1 ? wrong : right) as Promise<string>,
            }),
          )
          expect(yield* W.execute({}, { runId: "r" })).toBe("yes")
          const { attempts } = yield* Effect.flatMap(Storage, (storage) => storage.inspect("r"))
          expect(attempts.map(({ status }) => status)).toEqual(["failed", "succeeded"])
          expect(attempts[0]?.error).toMatchObject({ ...kept, retryable: true })
        }).pipe(Effect.provide(Smithers.memory)),
      )
    }
  }
})
