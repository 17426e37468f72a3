/** Builds and packs the package once, for all suites that install it. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    readonly tarball: string
    readonly hasRegistry: boolean
  }
}

export default (project: TestProject): void => {
  const built = spawnSync("bun", [join(import.meta.dirname, "..", "..", "scripts", "package", "build.ts")], { encoding: "utf8" })
  if (built.status !== 0) throw new Error(`the package could not be built\n${built.stdout}\n${built.stderr}`)
  project.provide("tarball", built.stdout.trim().split("\n").at(-1) ?? "")
  const asked = spawnSync("npm", ["view", "effect@3.22.4", "version", "--fetch-timeout=20000", "--fetch-retries=1"], {
    encoding: "utf8",
  })
  project.provide("hasRegistry", asked.status === 0)
}
