/**
 * The words for how things stand: each is declared once, and every list of them follows from that.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Status from "@smithers/core/Status"

describe("statuses", () => {
  it("of runs are open or ended, and both lists follow from what is declared", () => {
    expect([...Status.openStatuses, ...Status.endedStatuses].toSorted()).toEqual([...Status.ShownStatus.literals].toSorted())
    expect(Status.openStatuses.filter(Status.isEnded)).toEqual([])
    expect(Status.RunStatus.literals.filter(Status.isEnded)).toEqual(Status.endedStatuses)
  })

  it("of runs that nobody works on say whether these may go on at once or wait for something", () => {
    expect([...Status.runnableStatuses, ...Status.IdleStatus.literals].toSorted()).toEqual(
      [...Status.ReleasedStatus.literals].toSorted(),
    )
  })

  it("of runs and nodes are listed in one module, and nowhere else", () => {
    const words = new Set<string>([
      ...Status.RunStatus.literals,
      ...Status.ShownStatus.literals,
      ...Status.NodeStatus.literals,
      ...Status.WaitStatus.literals,
      ...Status.AttemptStatus.literals,
    ])
    const packages = join(import.meta.dirname, "../../packages")
    const files = readdirSync(packages, { recursive: true, encoding: "utf8" }).filter(
      (file) =>
        /^[^/]+\/src\/.*\.tsx?$/.test(file) &&
        file !== "core/src/Status.ts" &&
        !file.endsWith("migrations.ts") &&
        !file.endsWith("newLayout.ts"),
    )
    // The page takes types alone from the server, so that nothing of it is sent to browsers. The compiler holds its words against them.
    const isOfPage = (file: string): boolean => file.startsWith("ui/")
    expect(files.length).toBeGreaterThan(100)
    // Two or more words between quotes, with nothing but commas or bars between them: a union, an array, or a list in SQL. What is picked from
    // those that are declared, or left out of them, is no list of its own.
    const derived = /pickLiteral\([^)]*\)|Exclude<[^>]*>/g
    const list = /(["'])([a-z-]+)\1(?:\s*[,|]\s*\1([a-z-]+)\1)+/g
    const found = files
      .filter((file) => !isOfPage(file))
      .flatMap((file) =>
        [...readFileSync(join(packages, file), "utf8").replaceAll(derived, "").matchAll(list)]
          .map(([text]) => [...text.matchAll(/["']([a-z-]+)["']/g)].map(([, word]) => word ?? ""))
          .filter((listed) => listed.every((word) => words.has(word)))
          .map((listed) => `${file}: ${listed.join(", ")}`),
      )
    expect(found).toEqual([])
  })
})
