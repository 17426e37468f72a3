/**
 * What commands in a sandbox cannot do to the machine: attempts to escape, limits, ports, and the end of all processes. Needs bubblewrap.
 */
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { type SandboxRequest, type StepSandbox, stepSandbox } from "@smithers/core/Sandboxes"
import * as Bubblewrap from "@smithers/sandbox/Bubblewrap"
import { local, sandboxes } from "@smithers/sandbox/Sandboxes"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { afterAll, describe } from "vitest"

/** The reason these tests are skipped. */
const missing = await Effect.runPromise(
  Effect.match(Effect.scoped(Layer.build(Bubblewrap.layer)), {
    onFailure: ({ problem }) => problem,
    onSuccess: () => undefined,
  }),
)

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A host of sandboxes, to be killed. */
const hostProgram = join(import.meta.dirname, "fixtures/host.ts")
const hostWith = (...args: ReadonlyArray<string>) => spawn(process.execPath, [hostProgram, ...args], { stdio: "ignore" })

const canary = "canary-3f9a1c"
process.env.SANDBOX_CANARY = canary

const rootOf = () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-escape-")))
  folders.push(root)
  execFileSync("git", ["init", "-q", "-b", "main"], { cwd: root })
  writeFileSync(join(root, "a.txt"), "one\n")
  writeFileSync(join(root, ".env"), `KEY=${canary}\n`)
  writeFileSync(join(root, "deploy.pem"), canary)
  mkdirSync(join(root, ".ssh"))
  writeFileSync(join(root, ".ssh/config"), canary)
  writeFileSync(join(root, "smithers.db"), Buffer.concat([Buffer.from("SQLite format 3\0", "latin1"), Buffer.from(canary)]))
  writeFileSync(join(root, "smithers.db-wal"), canary)
  writeFileSync(join(root, "smithers.db.token"), canary)
  return root
}

const provider = local()
const real = sandboxes({ open: () => Effect.die("no worktrees"), remove: () => Effect.die("no worktrees") })

/** Opens a sandbox for a test, and closes it. */
const opened = <A, E>(
  use: (sandbox: StepSandbox, request: SandboxRequest) => Effect.Effect<A, E>,
  more: Partial<SandboxRequest> = {},
) => {
  const request: SandboxRequest = { root: rootOf(), runId: "r", id: "s", ...more }
  return Effect.acquireUseRelease(
    provider.open(request),
    ({ directory, commands }) => use(stepSandbox(directory, commands), request),
    () => Effect.orDie(provider.close(request)),
  )
}

const sh = (sandbox: StepSandbox, script: string) =>
  Effect.map(sandbox.exec(["bash", "-c", script], { timeout: "20 seconds" }), ({ stdout, stderr, exitCode }) => ({
    exitCode,
    out: stdout.text + stderr.text,
  }))

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Processes of this machine with a word in their command line. */
const processesWith = (word: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word)
    } catch {
      return false
    }
  })

describe.skipIf(missing !== undefined)(`a command in a sandbox${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  it.live("reads no variable of the host", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        expect((yield* sh(sandbox, "env; cat /proc/*/environ | tr '\\0' '\\n'")).out).not.toContain(canary)
      }),
    ),
  )

  it.live("reads no key, login or database of the root, by any path", () =>
    opened((sandbox, { root }) =>
      Effect.gen(function* () {
        const script = `cat .env deploy.pem .ssh/config smithers.db smithers.db-wal smithers.db.token ${root}/.env ${root}/smithers.db ../../../../../.env; grep -rs ${canary.slice(0, 9)} . ${root}; ls -a ${root}`
        const { out } = yield* sh(sandbox, script)
        expect(out).not.toContain(canary)
        expect(out).toContain("No such file or directory")
      }),
    ),
  )

  it.live("sees no process of the host in /proc, and traces none", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        const host = spawn("sleep", ["47.5"])
        const script = `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; done; cat /proc/${host.pid}/maps; head -c1 /proc/${host.pid}/mem; cat /proc/1/root/etc/shadow; command -v strace gdb; nsenter -t 1 -a true`
        const { out } = yield* sh(sandbox, script)
        host.kill()
        expect(out).not.toContain("sleep 47.5")
        expect(out).not.toMatch(/^root:/m)
        const traced = `python3 -c "import ctypes; print('traced', ctypes.CDLL(None).ptrace(16, ${host.pid}, 0, 0))"`
        expect((yield* sh(sandbox, traced)).out).toContain("traced -1")
      }),
    ),
  )

  it.live("kills no process of the host", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        const host = spawn("sleep", ["48.5"])
        yield* sh(sandbox, `kill -9 ${host.pid}; kill -9 ${process.pid}; true`)
        expect(isAlive(host.pid ?? -1)).toBe(true)
        host.kill()
      }),
    ),
  )

  it.live("writes nowhere but in its tree and in private directories", () =>
    opened((sandbox, { root }) =>
      Effect.gen(function* () {
        const script = `for f in /etc/x /usr/x /home/x ${root}/x ${root}/.git/hooks/pre-commit /proc/sys/kernel/hostname /x; do (mkdir -p $(dirname $f); echo hi > $f) 2>/dev/null; done; echo yes > inside.txt; echo tmp > /tmp/smithers-escape-x`
        yield* sh(sandbox, script)
        expect(readFileSync(join(sandbox.directory, "inside.txt"), "utf8")).toBe("yes\n")
        expect(
          [`${root}/x`, `${root}/.git/hooks/pre-commit`, "/tmp/smithers-escape-x", "/etc/x", "/usr/x", "/x"].filter((f) =>
            existsSync(f),
          ),
        ).toEqual([])
      }),
    ),
  )

  it.live("brings no hook of git, secret, or link that leads outside into the root", () =>
    opened((sandbox, request) =>
      Effect.gen(function* () {
        const { root } = request
        const outside = mkdtempSync(join(tmpdir(), "smithers-outside-"))
        folders.push(outside)
        yield* sh(
          sandbox,
          `mkdir -p .git/hooks sub/.GIT/hooks .smithers; echo x > .git/hooks/post-checkout; echo x > sub/.GIT/hooks/pre-push; echo x > .smithers/run.json; echo x > .env; ln -s ${outside} out; ln -s ../../.. up; ln -s a.txt good; mkfifo pipe; echo ok > ok.txt`,
        )
        const patch = yield* provider.patch(request)
        expect(patch.changes.map(({ path }) => path)).toEqual(["good", "ok.txt"])
        expect(patch.left.map(({ path }) => path)).toEqual([".env", ".git", ".smithers", "out", "pipe", "sub/.GIT", "up"])
        // Others put a link in the way between review and application, and a patch of other code leads outside.
        execFileSync("ln", ["-s", outside, join(root, "lib")])
        const [good] = patch.changes
        if (good === undefined) throw new Error("there is no change")
        const forged = ["lib/x.txt", "../x.txt", ".git/hooks/x", "/etc/x"].map((path) => ({ ...good, path }))
        const failed = yield* Effect.flip(real.apply(request, { ...patch, changes: [...patch.changes, ...forged] }))
        expect(failed).toMatchObject({ _tag: "PatchConflict", paths: forged.map(({ path }) => path) })
        expect([readdirSync(outside), existsSync(join(root, "ok.txt"))]).toEqual([[], false])
        yield* real.apply(request, patch)
        expect(readFileSync(join(root, "good"), "utf8")).toBe("one\n")
      }),
    ),
  )

  it.live("reaches no port of the host, and no socket of it", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        const reached: Array<string> = []
        const server = createServer((socket) => {
          reached.push("tcp")
          socket.end("hello")
        })
        yield* Effect.promise(() => new Promise<void>((done) => server.listen(0, "0.0.0.0", done)))
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const script = `for h in 127.0.0.1 localhost $(hostname -I) 10.0.2.2 172.17.0.1; do timeout 2 bash -c "echo > /dev/tcp/$h/${port}"; done; ls /run/docker.sock /var/run/docker.sock /run/dbus`
        const { exitCode } = yield* sh(sandbox, script)
        expect(exitCode).not.toBe(0)
        expect(reached).toEqual([])
        server.close()
      }),
    ),
  )

  it.live("is stopped at its limits: processes, memory, time and the size of a file", () =>
    opened(
      (sandbox) =>
        Effect.gen(function* () {
          const bomb = yield* Effect.either(sandbox.exec(["bash", "-c", "b() { b | b & }; b; sleep 5; echo done"]))
          expect(JSON.stringify(bomb)).toMatch(/CommandStopped|Resource temporarily unavailable|retry/)
          const hog =
            "python3 -c 'x = bytearray(400 * 1024 * 1024)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport time; time.sleep(5)'"
          expect(yield* Effect.flip(sandbox.exec(["bash", "-c", hog]))).toMatchObject({ reason: "memory" })
          expect(yield* Effect.flip(sandbox.exec(["sleep", "20"]))).toMatchObject({ reason: "timeout" })
          yield* sandbox.exec(["bash", "-c", "head -c 5000000 /dev/zero > big"])
          expect(readFileSync(join(sandbox.directory, "big")).length).toBeLessThanOrEqual(1_048_576)
        }),
      { limits: { maxProcesses: 24, memoryBytes: 128 * 1024 * 1024, timeout: "3 seconds", maxFileBytes: 1_048_576 } },
    ),
  )

  it.live("is stopped at its CPU time, of all its processes together, and its use is in the patch", () =>
    opened(
      (sandbox, request) =>
        Effect.gen(function* () {
          const busy = "for i in 1 2; do (while :; do :; done) & done; wait"
          const stopped = yield* Effect.flip(sandbox.exec(["bash", "-c", busy], { timeout: "20 seconds" }))
          expect(stopped).toMatchObject({ reason: "cpu", limit: 700 })
          const hog = "python3 -c 'x = b\"1\" * (64 * 1024 * 1024)\nimport time; time.sleep(0.5)'"
          yield* sandbox.exec(["bash", "-c", hog])
          const { usage, log } = yield* provider.patch(request)
          expect(usage.cpuMs).toBeGreaterThan(700)
          expect(usage.peakMemoryBytes).toBeGreaterThan(64 * 1024 * 1024)
          expect(log.map(({ cpuMs = 0 }) => cpuMs > 700)).toEqual([true, false])
        }),
      { limits: { cpuTime: "700 millis" } },
    ),
  )

  it.live("leaves no daemon behind when it ends", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        yield* sh(sandbox, "setsid nohup sleep 3951.25 >/dev/null 2>&1 & disown; (sleep 3951.25 &) ; true")
        yield* Effect.sleep(200)
        expect(processesWith("3951.25")).toEqual([])
      }),
    ),
  )

  it.live("is killed within a second of its interruption, with all that it started", () =>
    opened((sandbox) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(sandbox.exec(["bash", "-c", "trap '' TERM INT; setsid sleep 3952.25 & sleep 3952.25"]))
        yield* Effect.repeat(Effect.sleep(20), { until: () => processesWith("3952.25").length > 1, times: 200 })
        expect(processesWith("3952.25").length).toBeGreaterThan(1)
        const begun = performance.now()
        yield* Fiber.interrupt(fiber)
        expect(performance.now() - begun).toBeLessThan(1000)
        expect(processesWith("3952.25")).toEqual([])
      }),
    ),
  )

  it.live("ends with a host that is killed, and its files are found again", () =>
    opened((sandbox, { root, ...request }) =>
      Effect.gen(function* () {
        const command = "echo work > work.txt; setsid sleep 3953.25 & sleep 3953.25"
        const host = hostWith("run", root, command)
        const isUp = () => existsSync(join(sandbox.directory, "work.txt")) && processesWith("3953.25").length > 2
        yield* Effect.repeat(Effect.sleep(20), { until: isUp, times: 500 })
        expect(isUp()).toBe(true)
        host.kill("SIGKILL")
        yield* Effect.sleep(700)
        expect(processesWith("3953.25")).toEqual([])
        const { changes } = yield* provider.patch({ root, ...request })
        expect(changes.map(({ path }) => path)).toEqual(["work.txt"])
      }),
    ),
  )

  it.live("listens on port 5173 as another does in its own sandbox, each reached from its own side", () => {
    const serving = (name: string) =>
      `mkdir -p /tmp/www; echo ${name} > /tmp/www/name; (cd /tmp/www; exec python3 -m http.server 5173 --bind 127.0.0.1 >/dev/null 2>&1) & for i in $(seq 100); do (echo > /dev/tcp/127.0.0.1/5173) 2>/dev/null && break; sleep 0.05; done; sleep 0.5; python3 -c "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:5173/name').read().decode())"`
    const one = (name: string) => opened((sandbox) => sh(sandbox, serving(name)), { id: name })
    return Effect.gen(function* () {
      const both = yield* Effect.all([one("left"), one("right")], { concurrency: 2 })
      expect(both.map(({ out }) => out.trim())).toEqual(["left", "right"])
    })
  })
})

describe("an application", () => {
  it.live("by a host that is killed is completed by the next one", () => {
    const root = rootOf()
    const request: SandboxRequest = { root, runId: "r", id: "s" }
    const names = Array.from({ length: 1500 }, (_, index) => `made/${index}.txt`)
    const count = () =>
      existsSync(join(root, "made")) ? readdirSync(join(root, "made")).filter((name) => name.endsWith(".txt")).length : 0
    return Effect.gen(function* () {
      const { directory } = yield* provider.open(request)
      mkdirSync(join(directory, "made"))
      for (const name of names) writeFileSync(join(directory, name), name)
      const patch = yield* provider.patch(request)
      const host = hostWith("apply", root)
      yield* Effect.repeat(Effect.sleep(2), { until: () => count() > 10, times: 5000 })
      host.kill("SIGKILL")
      yield* Effect.promise(() => new Promise((done) => host.once("exit", done)))
      const atKill = count()
      expect(atKill).toBeGreaterThan(10)
      expect(atKill).toBeLessThan(names.length)
      yield* real.apply(request, patch)
      expect(names.filter((name) => readFileSync(join(root, name), "utf8") !== name)).toEqual([])
      expect(readdirSync(join(root, "made"))).toHaveLength(names.length)
      yield* provider.close(request)
    })
  })

  it.live("that was cut off is completed, and one that is done changes nothing any more", () => {
    const root = rootOf()
    const request: SandboxRequest = { root, runId: "r", id: "cut" }
    return Effect.gen(function* () {
      const { directory } = yield* provider.open(request)
      writeFileSync(join(directory, "a.txt"), "two\n")
      writeFileSync(join(directory, "b.txt"), "b\n")
      const patch = yield* provider.patch(request)
      // As a crash between the two files leaves it.
      writeFileSync(join(root, "a.txt"), "two\n")
      yield* real.apply(request, patch)
      expect(readFileSync(join(root, "b.txt"), "utf8")).toBe("b\n")
      // People go on, and the step that applied it is tried again, since its commit was lost.
      writeFileSync(join(root, "a.txt"), "three\n")
      yield* real.apply(request, patch)
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("three\n")
      yield* provider.close(request)
    })
  })
})
