/**
 * The checks that a provider of sandboxes has to pass, for any runner of tests. They use real files and run real commands: `sh` and `cat` are needed inside.
 */
import * as assert from "node:assert/strict"
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type SandboxProvider, type SandboxRequest, type StepSandbox, stepSandbox } from "@smithers/core/Sandboxes"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** A check of a provider. */
export interface SandboxCheck {
  /** What holds, as a sentence. */
  readonly name: string
  /** Rejects where it does not hold. */
  readonly run: () => Promise<void>
}

/** Milliseconds that an interrupted command may take to end. */
const mostEndMs = 1000

const secret = "smithers-conformance-secret"

interface World {
  readonly root: string
  readonly request: SandboxRequest
  readonly sandbox: StepSandbox
  readonly sh: (script: string) => Effect.Effect<{ readonly exitCode: number | undefined; readonly out: string }, unknown>
}

const shell =
  (sandbox: StepSandbox): World["sh"] =>
  (script) =>
    Effect.map(sandbox.exec(["sh", "-c", script], { timeout: "20 seconds" }), ({ exitCode, stdout, stderr }) => ({
      exitCode,
      out: stdout.text + stderr.text,
    }))

/** Returns the checks of a provider. Each has a root and a sandbox of its own, which are removed behind it. */
export const sandboxChecks = (provider: SandboxProvider): ReadonlyArray<SandboxCheck> => {
  const check = (
    name: string,
    act: (world: World) => Effect.Effect<void, unknown>,
    limits: SandboxRequest["limits"] = {},
  ): SandboxCheck => ({
    name,
    run: () => {
      const root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-conformance-")))
      writeFileSync(join(root, "kept.txt"), "kept\n")
      writeFileSync(join(root, "old.txt"), "old\n")
      writeFileSync(join(root, ".env"), `KEY=${secret}\n`)
      const request: SandboxRequest = { root, runId: "conformance", id: "one", limits }
      return Effect.runPromise(
        Effect.acquireUseRelease(
          provider.open(request),
          ({ directory, commands }) => {
            const sandbox = stepSandbox(directory, commands)
            return act({ root, request, sandbox, sh: shell(sandbox) })
          },
          () => Effect.ignore(provider.close(request)),
        ).pipe(Effect.ensuring(Effect.sync(() => rmSync(root, { recursive: true, force: true })))),
      )
    },
  })
  const timed: ReadonlyArray<SandboxCheck> = provider.limits.includes("timeout")
    ? [
        check(
          "a command is stopped at the time limit of its sandbox",
          ({ sandbox }) =>
            Effect.map(Effect.either(sandbox.exec(["sh", "-c", "sleep 30"])), (ended) => assert.equal(ended._tag, "Left")),
          { timeout: "1 second" },
        ),
      ]
    : []
  return [
    check("it holds a copy of the root without secrets", ({ sandbox, root }) =>
      Effect.sync(() => {
        assert.notEqual(sandbox.directory, root)
        assert.equal(readFileSync(join(sandbox.directory, "kept.txt"), "utf8"), "kept\n")
        assert.equal(existsSync(join(sandbox.directory, ".env")), false)
      }),
    ),
    check("the same request finds it again, with its files", ({ sandbox, request }) =>
      Effect.gen(function* () {
        writeFileSync(join(sandbox.directory, "mine.txt"), "mine\n")
        const again = yield* provider.open(request)
        assert.equal(again.directory, sandbox.directory)
        assert.equal(again.made, (yield* provider.open(request)).made)
        assert.equal(readFileSync(join(again.directory, "mine.txt"), "utf8"), "mine\n")
      }),
    ),
    check("a command works on its files, and its exit code is a result", ({ sandbox, sh }) =>
      Effect.gen(function* () {
        assert.equal((yield* sh("cat kept.txt; echo made > made.txt; exit 3")).exitCode, 3)
        assert.equal(readFileSync(join(sandbox.directory, "made.txt"), "utf8"), "made\n")
      }),
    ),
    check("a command is given its input and its variables, and no variable of the host", ({ sandbox }) =>
      Effect.gen(function* () {
        process.env.SMITHERS_CONFORMANCE = secret
        const { stdout } = yield* Effect.ensuring(
          sandbox.exec(["sh", "-c", "cat; echo $GIVEN; env"], { stdin: "in\n", env: { GIVEN: "given" } }),
          Effect.sync(() => delete process.env.SMITHERS_CONFORMANCE),
        )
        assert.ok(stdout.text.startsWith("in\ngiven\n"), stdout.text)
        assert.equal(stdout.text.includes(secret), false)
      }),
    ),
    check("a command neither reads nor writes the root", ({ root, sh }) =>
      Effect.gen(function* () {
        const { out } = yield* sh(`cat ${root}/.env; echo x > ${root}/written.txt; echo x > ${root}/kept.txt`)
        assert.equal(out.includes(secret), false)
        assert.equal(existsSync(join(root, "written.txt")), false)
        assert.equal(readFileSync(join(root, "kept.txt"), "utf8"), "kept\n")
      }),
    ),
    check("a command reaches no port of the host", ({ sh }) =>
      Effect.gen(function* () {
        let isReached = false
        const server = createServer((socket) => {
          isReached = true
          socket.destroy()
        })
        yield* Effect.promise(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)))
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        yield* sh(
          `(command -v bash && timeout 2 bash -c "echo > /dev/tcp/127.0.0.1/${port}") || (command -v wget && wget -T 2 -t 1 -q -O - http://127.0.0.1:${port}); true`,
        )
        server.close()
        assert.equal(isReached, false)
      }),
    ),
    check("its patch has what was added, changed and removed, and nothing of git", ({ sandbox, sh, request }) =>
      Effect.gen(function* () {
        yield* sh(
          "mkdir -p lib .git/hooks; echo x > .git/hooks/pre-commit; echo new > lib/new.txt; echo more >> kept.txt; rm old.txt",
        )
        const { changes, made, diff } = yield* provider.patch(request)
        assert.deepEqual(
          changes.map(({ path, before, after }) => [path, before === null, after?.content]),
          [
            ["kept.txt", false, "kept\nmore\n"],
            ["lib/new.txt", true, "new\n"],
            ["old.txt", false, undefined],
          ],
        )
        assert.ok(diff.includes("+more"), diff)
        assert.equal(made, (yield* provider.open(request)).made)
        assert.ok(existsSync(join(sandbox.directory, "lib/new.txt")))
      }),
    ),
    check("an interrupted command has ended within a second", ({ sandbox }) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(
          sandbox.exec(["sh", "-c", "trap '' TERM; echo up > up.txt; sleep 30; echo late > late.txt"]),
        )
        yield* Effect.repeat(Effect.sleep(20), { until: () => existsSync(join(sandbox.directory, "up.txt")), times: 500 })
        const begun = performance.now()
        yield* Fiber.interrupt(fiber)
        const taken = performance.now() - begun
        assert.ok(taken < mostEndMs, `it took ${Math.round(taken)} ms`)
      }),
    ),
    check("two have files of their own", ({ sandbox, request }) =>
      Effect.gen(function* () {
        const other = { ...request, id: "two" }
        const { directory } = yield* provider.open(other)
        writeFileSync(join(sandbox.directory, "one.txt"), "")
        assert.equal(existsSync(join(directory, "one.txt")), false)
        yield* provider.close(other)
        assert.ok(existsSync(join(sandbox.directory, "one.txt")))
      }),
    ),
    check("once closed its files are gone, and closing it again succeeds", ({ sandbox, request }) =>
      Effect.gen(function* () {
        yield* provider.close(request)
        assert.equal(existsSync(sandbox.directory), false)
        yield* provider.close(request)
        assert.equal((yield* Effect.flip(provider.patch(request)))._tag, "SandboxFailed")
      }),
    ),
    ...timed,
  ]
}
