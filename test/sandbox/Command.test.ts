import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Options, RunningCommand } from "@smithers/core/CommandRunner"
import { Isolation, type IsolationUnavailable, type Policy } from "@smithers/core/Isolation"
import { Bubblewrap, Command, Unisolated } from "@smithers/sandbox"
import { Context, Effect, Either, Fiber, Layer } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hasBubblewrap } from "./fixtures/here.ts"

const has = (program: string) => existsSync(`/usr/bin/${program}`)

let root: string
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-command-")))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Processes that were started with this text on their command line. */
const processesWith = (text: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, "latin1")
      return line.includes(text) && !line.includes("vitest")
    } catch {
      return false
    }
  })

const gone = async (text: string) => {
  for (let waited = 0; waited < 1000 && processesWith(text).length > 0; waited += 20) await Bun.sleep(20)
  return processesWith(text)
}

/** The sign of a container, while a layer is built. */
const inContainer = Layer.scopedDiscard(
  Effect.acquireRelease(
    Effect.sync(() => {
      process.env.SMITHERS_CONTAINER = "1"
    }),
    () => Effect.sync(() => delete process.env.SMITHERS_CONTAINER),
  ),
)

const isolations: ReadonlyArray<readonly [name: string, layer: Layer.Layer<Isolation, IsolationUnavailable>, isHere: boolean]> = [
  ["bubblewrap", Bubblewrap.layer, hasBubblewrap],
  ["none", Unisolated.layerNone, true],
  ["container", Layer.provide(Unisolated.layerContainer, inContainer), true],
]

describe.each(isolations)("a command under %s", (name, layer, isHere) => {
  const run = (script: string, options: Partial<Options> = {}, policy: Partial<Policy> = {}) =>
    Command.run(["bash", "-c", script], { policy: { root, ...policy }, ...options }).pipe(Effect.either, Effect.provide(layer))
  const of = (script: string, options?: Partial<Options>, policy?: Partial<Policy>) =>
    Effect.runPromise(run(script, options, policy))
  const left = async (script: string, options?: Partial<Options>, policy?: Partial<Policy>) => {
    const result = await of(script, options, policy)
    if (Either.isRight(result)) throw new Error(`it ended by itself: ${JSON.stringify(result.right)}`)
    return result.left
  }
  const stopped = async (script: string, options: Partial<Options>) => {
    const error = await left(script, options)
    if (error._tag !== "CommandStopped") throw error
    return error
  }
  const here = it.skipIf(!isHere)

  here("takes its input, gives both streams and its exit code, and shows output as it comes", async () => {
    const seen: Array<string> = []
    const onOutput = (stream: string, chunk: Uint8Array) => seen.push(`${stream}: ${Buffer.from(chunk).toString()}`)
    const result = await of("cat; echo oh no >&2; exit 3", { stdin: "grüße\n", onOutput })
    expect(result).toMatchObject({
      _tag: "Right",
      right: {
        exitCode: 3,
        signal: undefined,
        stdout: { text: "grüße\n", bytes: 8, isTruncated: false },
        stderr: { text: "oh no\n" },
      },
    })
    expect(seen.sort()).toEqual(["stderr: oh no\n", "stdout: grüße\n"])
  })

  here("is talked to while it runs: its input stays open until it is ended", async () => {
    let seen = ""
    let talk: RunningCommand | undefined
    const result = await of('while read -r line; do echo "got $line"; done; echo over', {
      onStarted: (command) => {
        talk = command
        command.write("one\n")
      },
      onOutput: (_, chunk) => {
        seen += Buffer.from(chunk).toString()
        if (seen === "got one\n") talk?.write("two\n")
        if (seen === "got one\ngot two\n") talk?.endInput()
      },
    })
    expect(result).toMatchObject({ _tag: "Right", right: { exitCode: 0, stdout: { text: "got one\ngot two\nover\n" } } })
  })

  here("is asked to end: what it starts gets the signal, and its exit code is its own", async () => {
    let terminate: (() => void) | undefined
    const result = await of("trap 'echo tidied; exit 7' TERM; echo ready; while true; do sleep 0.05; done", {
      onStarted: (command) => {
        terminate = () => command.terminate()
      },
      // Before that the shell has no trap yet.
      onOutput: (_, chunk) => {
        if (Buffer.from(chunk).toString() === "ready\n") terminate?.()
      },
    })
    expect(result).toMatchObject({ _tag: "Right", right: { exitCode: 7, stdout: { text: "ready\ntidied\n" } } })
  })

  it.skipIf(!hasBubblewrap)(
    "in a namespace of processes of its own leaves none, also none that changed its environment and session",
    async () => {
      const mark = `32${Date.now() % 1_000_000}`
      const result = await of(
        `env -i setsid sleep ${mark} </dev/null >/dev/null 2>&1 & sleep 0.2; exit 4`,
        {},
        { ownProcesses: true },
      )
      expect(result).toMatchObject({ _tag: "Right", right: { exitCode: 4 } })
      expect(await gone(mark)).toEqual([])
    },
  )

  here("is killed after its time, with all that it has started, wherever that went; what it wrote is kept", async () => {
    const mark = `31${Date.now() % 1_000_000}`
    const script = `echo begun; setsid sleep ${mark} & nohup sleep ${mark} >/dev/null 2>&1 & (trap '' TERM; sleep ${mark}; sleep ${mark}) & sleep ${mark}`
    const error = await left(script, { timeout: "700 millis" })
    expect(error).toMatchObject({ _tag: "CommandStopped", reason: "timeout", limit: 700, stdout: { text: "begun\n" } })
    expect(error.message).toBe("The command was killed with all its processes: it ran longer than 700ms.")
    expect(await gone(mark)).toEqual([])
  })

  here("leaves nothing running where it ends before what it has started", async () => {
    const mark = `32${Date.now() % 1_000_000}`
    const begun = performance.now()
    expect(await of(`setsid sleep ${mark} & sleep ${mark} & echo done`)).toMatchObject({
      right: { exitCode: 0, stdout: { text: "done\n" } },
    })
    expect(performance.now() - begun).toBeLessThan(20_000)
    expect(await gone(mark)).toEqual([])
  })

  here("is killed by an interruption, which waits for its end", async () => {
    const mark = `33${Date.now() % 1_000_000}`
    const fiber = Effect.runFork(run(`setsid sleep ${mark} & sleep ${mark}`))
    for (let waited = 0; waited < 10_000 && processesWith(`sleep\0${mark}`).length < 2; waited += 20) await Bun.sleep(20)
    expect(processesWith(`sleep\0${mark}`).length).toBeGreaterThan(1)
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(await gone(mark)).toEqual([])
  })

  here(
    "keeps the beginning and the end of long output, says how much is left out, and is killed where it writes without end",
    async () => {
      const result = await of("for i in $(seq 1 20000); do echo line $i; done", { keptBytes: 1000 })
      if (Either.isLeft(result)) throw result.left
      const { text, bytes, isTruncated } = result.right.stdout
      expect([bytes, isTruncated, text.startsWith("line 1\n"), text.endsWith("line 20000\n")]).toEqual([208_894, true, true, true])
      expect(text).toContain("… 207894 bytes left out …")
      const error = await stopped("yes", { outputBytes: 5_000_000, keptBytes: 1000 })
      expect(error).toMatchObject({ reason: "output", limit: 5_000_000 })
      expect(error.stdout.text.length).toBeLessThan(2000)
    },
  )

  here("is killed where it has too many processes", async () => {
    const mark = `34${Date.now() % 1_000_000}`
    const result = await of(`for i in $(seq 1 400); do sleep ${mark} & done; wait`, { timeout: "30 seconds" }, { maxProcesses: 40 })
    // Of an ordinary user the kernel refuses them; root is stopped.
    if (Either.isLeft(result)) expect(result.left).toMatchObject({ reason: "processes", limit: 40 })
    else expect(result.right.stderr.text).toMatch(/fork|Resource temporarily unavailable/)
    expect(await gone(mark)).toEqual([])
  })

  here("is killed where it takes too much memory", async () => {
    const error = await left(`x=$(head -c 300000000 /dev/zero | tr '\\0' x); sleep 100`, {
      memoryBytes: 100_000_000,
      timeout: "60 seconds",
    })
    expect(error).toMatchObject({ reason: "memory", limit: 100_000_000 })
  })

  here("is refused, and not begun, with a policy that cannot be carried out", async () => {
    const refusals: ReadonlyArray<readonly [Partial<Policy>, string]> = [
      [{ root: "relative" }, "root is not absolute: relative"],
      [{ root: "/nowhere/at/all" }, "root does not exist: /nowhere/at/all"],
      [{ root: "/" }, "root is the root of the file system: name the directory of the work"],
      [{ root: "/etc/passwd" }, "root is no directory: /etc/passwd"],
      [{ cwd: "/etc" }, `cwd is outside the root ${root}: /etc`],
      [{ writable: ["/nowhere"] }, "writable[0] does not exist: /nowhere"],
      [{ writable: ["/"] }, "writable names the root of the file system"],
      [{ env: { "A=B": "x" } }, "env.A=B is no variable of an environment"],
    ]
    for (const [policy, problem] of refusals)
      expect((await left("touch begun", {}, policy)).message).toBe(`The policy of a command cannot be carried out: ${problem}.`)
    expect(existsSync(join(root, "begun"))).toBe(false)
  })

  here("tells a program that does not exist from a command that fails", async () => {
    const program = Command.run(["smithers-no-such-program"], { policy: { root } }).pipe(Effect.either, Effect.provide(layer))
    const result = await Effect.runPromise(program)
    if (Either.isLeft(result)) expect(result.left).toMatchObject({ _tag: "CommandNotStarted", isolation: name })
    else expect(result.right).toMatchObject({ exitCode: 127 })
  })
})

it("leaves no process that changed its session and its environment, also where there is neither a namespace nor a control group", async () => {
  const bare = Layer.map(Unisolated.layerNone, (context) => {
    const isolation = Context.get(context, Isolation)
    const prepare: typeof isolation.prepare = (policy, argv) =>
      Effect.map(isolation.prepare(policy, argv), ({ group: _, ...isolated }) => isolated)
    return Context.make(Isolation, { ...isolation, prepare })
  })
  const mark = `33${Date.now() % 1_000_000}`
  const script = `env -i setsid sleep ${mark} </dev/null >/dev/null 2>&1 & sleep 1; exit 4`
  const result = await Effect.runPromise(Command.run(["bash", "-c", script], { policy: { root } }).pipe(Effect.provide(bare)))
  expect(result).toMatchObject({ exitCode: 4 })
  expect(await gone(mark)).toEqual([])
})

describe("isolation that cannot be had", () => {
  it("is refused with what to install", async () => {
    const path = process.env.PATH
    process.env.PATH = root
    try {
      const error = await Effect.runPromise(Effect.flip(Effect.provide(Isolation, Bubblewrap.layer)))
      expect(error.message).toContain("bubblewrap (bwrap) is not installed. Install it: apt-get install bubblewrap")
      expect(error.message).toContain('isolation "none"')
    } finally {
      process.env.PATH = path
    }
  })

  it("is refused with what to allow and the alternatives where the machine refuses namespaces", async () => {
    writeFileSync(join(root, "bwrap"), "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    chmodSync(join(root, "bwrap"), 0o755)
    const path = process.env.PATH
    process.env.PATH = root
    try {
      const { message } = await Effect.runPromise(Effect.flip(Effect.provide(Isolation, Bubblewrap.layer)))
      expect(message).toContain('refuses namespaces ("bwrap: No permissions to create new namespace")')
      for (const said of [
        "apparmor_restrict_unprivileged_userns=0",
        "--cap-add SYS_ADMIN",
        'isolation "container"',
        'isolation "none"',
      ])
        expect(message).toContain(said)
    } finally {
      process.env.PATH = path
    }
  })

  it("names the sign of a container that is missing", async () => {
    const result = await Effect.runPromise(Effect.either(Effect.provide(Isolation, Unisolated.layerContainer)))
    if (Either.isLeft(result)) expect(result.left.message).toContain("SMITHERS_CONTAINER=1")
    else expect(result.right.name).toBe("container")
    process.env.SMITHERS_CONTAINER = "1"
    try {
      expect((await Effect.runPromise(Effect.provide(Isolation, Unisolated.layerContainer))).name).toBe("container")
    } finally {
      delete process.env.SMITHERS_CONTAINER
    }
  })
})

describe.skipIf(!hasBubblewrap || !has("socat") || !has("curl"))(
  "hosts by name (needs the Debian packages bubblewrap, socat and curl)",
  () => {
    const servers: Array<ReturnType<typeof createServer>> = []
    const serving = async (answer: string) => {
      const server = createServer((request, response) => response.end(`${answer} ${request.method} ${request.url}\n`))
      servers.push(server)
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return (server.address() as AddressInfo).port
    }
    afterEach(() => {
      for (const server of servers.splice(0)) server.close()
    })
    const curl = (network: Policy["network"], ...urls: ReadonlyArray<string>) =>
      Command.run(["bash", "-c", urls.map((url) => `curl -sS --noproxy '' --max-time 10 ${url}; echo`).join("\n")], {
        policy: { root, network },
      }).pipe(
        Effect.map(({ stdout, stderr }) => stdout.text + stderr.text),
        Effect.provide(Bubblewrap.layer),
      )

    it("are reached by the commands whose policy lists them, each its own, also at the same time", {
      timeout: 60_000,
    }, async () => {
      const [first, second] = [await serving("first"), await serving("second")]
      const both = [`http://localhost:${first}/a?b=c`, `http://localhost:${second}/d`]
      const [one, two, all, none] = await Effect.runPromise(
        Effect.all(
          [
            curl([`localhost:${first}`], ...both),
            curl([`localhost:${second}`], ...both),
            curl([`localhost:${first}`, `localhost:${second}`], ...both),
            curl("none", ...both),
          ],
          { concurrency: 4 },
        ),
      )
      expect(one).toContain("first GET /a?b=c")
      expect(one).toContain(`does not allow localhost:${second}. It allows: localhost:${first}.`)
      expect(two).toContain("second GET /d")
      expect(two).not.toContain("first GET")
      expect(all).toMatch(/first GET[\s\S]*second GET/)
      expect(none).not.toMatch(/GET/)
    })

    it("are reached through a tunnel, and by no other way", { timeout: 60_000 }, async () => {
      const port = await serving("tunnelled")
      const script = [
        `curl -sS --noproxy '' --proxytunnel http://localhost:${port}/t`,
        `curl -sS --noproxy '*' --max-time 5 http://127.0.0.1:${port}/direct || echo refused directly`,
        `curl -sS --noproxy '' --proxytunnel http://127.0.0.1:${port}/by-address || echo refused by address`,
      ].join("\n")
      const result = await Effect.runPromise(
        Command.run(["bash", "-c", script], { policy: { root, network: [`localhost:${port}`] } }).pipe(
          Effect.provide(Bubblewrap.layer),
        ),
      )
      expect(result.stdout.text).toBe("tunnelled GET /t\nrefused directly\nrefused by address\n")
    })

    it("from outside do not lead inside, whatever their names resolve to", { timeout: 60_000 }, async () => {
      const port = await serving("inside")
      const name = readFileSync("/etc/hosts", "utf8").includes("ip6-loopback") ? "ip6-loopback" : "localhost.localdomain"
      expect(await Effect.runPromise(curl([`${name}:${port}`], `http://${name}:${port}/x`))).toMatch(/cannot be reached/)
    })
  },
)
