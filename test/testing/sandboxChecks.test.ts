/**
 * The checks of providers of sandboxes: the provider of runtimes passes them, and so does one of Docker where there is Docker. Those that break a rule do not.
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Bubblewrap from "@smithers/sandbox/Bubblewrap"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { commandRunner, type SandboxProvider, Smithers, sandboxProvider } from "smithers-orchestrator"
import { crashEverywhere, sandboxChecks, TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { docker } from "../../examples/dockerSandbox.ts"

const noIsolation = await Effect.runPromise(
  Effect.match(Effect.scoped(Layer.build(Bubblewrap.layer)), { onFailure: ({ problem }) => problem, onSuccess: () => undefined }),
)

/** An image that is here already. Nothing is downloaded. */
const image = process.env.SMITHERS_DOCKER_IMAGE ?? "alpine:3"
const noDocker = (() => {
  const [program, ...args] = ["docker", "image", "inspect", image]
  try {
    execFileSync(program ?? "", args, { stdio: "ignore", timeout: 10_000 })
    return undefined
  } catch {
    return `Docker does not run here, or has no image ${image}`
  }
})()

const because = (reason: string | undefined): string => (reason === undefined ? "" : ` (skipped: ${reason})`)

const isolated = sandboxProvider({ name: "mine", commands: () => commandRunner("bubblewrap") })

describe.skipIf(noIsolation !== undefined)(`a provider on bubblewrap${because(noIsolation)}`, () => {
  for (const { name, run } of sandboxChecks(isolated)) it(name, run)
})

describe.skipIf(noDocker !== undefined)(`the example of a provider, on Docker${because(noDocker)}`, () => {
  for (const { name, run } of sandboxChecks(docker(image))) it(name, run, 60_000)
})

/** The checks that a provider fails. */
const failing = async (provider: SandboxProvider): Promise<ReadonlyArray<string>> => {
  const failed: Array<string> = []
  for (const { name, run } of sandboxChecks(provider)) await run().catch(() => failed.push(name))
  return failed
}

describe("a provider that breaks a rule", () => {
  it("is named the rules: commands without isolation, a patch that is always empty, files that stay", async () => {
    const careless = sandboxProvider({ name: "careless", commands: () => commandRunner("none") })
    const broken: SandboxProvider = {
      ...careless,
      limits: [],
      patch: (request) => Effect.map(careless.patch(request), (patch) => ({ ...patch, changes: [] })),
      close: () => Effect.void,
    }
    expect(await failing(broken)).toEqual([
      "a command neither reads nor writes the root",
      "a command reaches no port of the host",
      "its patch has what was added, changed and removed, and nothing of git",
      "once closed its files are gone, and closing it again succeeds",
    ])
  })
})

describe("the kit", () => {
  const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
    $.sandbox({
      id: "fix",
      body: $.step("write", {
        output: Schema.Void,
        run: ({ cwd }) => writeFileSync(join(cwd, "a.txt"), "a\n"),
      }),
    }),
  )

  it("has sandboxes on a root of its own", async () => {
    const patched = Effect.gen(function* () {
      const run = yield* flow.start({}, { runId: "r" })
      yield* run.waiting
      yield* Smithers.approve("r", "fix~review")
      return yield* run.await
    })
    expect(await Effect.runPromise(Effect.provide(patched, TestRuntime.layer()))).toMatchObject({
      status: "applied",
      files: ["a.txt"],
    })
  })

  it("crashes a workflow with a sandbox at every commit", async () => {
    expect(await crashEverywhere(flow, {})).toMatchObject({
      steps: ["fix~open", "write", "fix~patch", "fix~apply", "fix~close"],
    })
  })
})
