import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import * as Owner from "../../packages/sqlite/src/internal/owner.ts"

const hasProc = process.platform === "linux"

/** The parts of an owner text, some of them replaced. */
const altered = (replace: { readonly host?: string; readonly pid?: number; readonly identity?: string }): string => {
  const [host, pid, identity, store] = Owner.make().split(":")
  return [replace.host ?? host, replace.pid ?? pid, replace.identity ?? identity, store].join(":")
}

/** The id of a process that has ended. */
const endedPid = (): number => Bun.spawnSync(["true"]).pid

describe("an owner", () => {
  it("is a store of its own in a process that is not dead", () => {
    expect(Owner.make()).not.toBe(Owner.make())
    expect(Owner.isDead(Owner.make())).toBe(false)
  })

  it("is dead when its process has ended", () => {
    expect(Owner.isDead(altered({ pid: endedPid() }))).toBe(true)
  })

  it.runIf(hasProc)("is dead when its process has ended and nobody has asked how", async () => {
    // The shell becomes another program, which knows nothing of the child that the shell began.
    const parent = Bun.spawn(["sh", "-c", "sleep 60 & echo $!; exec sleep 60"], { stdout: "pipe" })
    try {
      const { value } = await parent.stdout.getReader().read()
      const pid = Number(new TextDecoder().decode(value))
      while (readFileSync(`/proc/${parent.pid}/comm`, "utf8").trim() !== "sleep") await Bun.sleep(5)
      process.kill(pid, "SIGKILL")
      for (let waited = 0; !Owner.isDead(altered({ pid })); waited += 5) {
        expect(waited, "the child ends").toBeLessThan(5000)
        await Bun.sleep(5)
      }
      expect(() => process.kill(pid, 0), "its id is still taken").not.toThrow()
    } finally {
      parent.kill()
    }
  })

  it.runIf(hasProc)("is dead when its process id was given to another process", () => {
    const [namespace, ticks] = (Owner.make().split(":")[2] ?? "").split(".")
    expect(Number(ticks)).toBeGreaterThan(0)
    expect(Owner.isDead(altered({ identity: `${namespace}.${Number(ticks) - 1}` }))).toBe(true)
  })

  it("may be alive where this process cannot see it: on another host, in another container, or in text it cannot read", () => {
    const pid = endedPid()
    expect(Owner.isDead(altered({ pid, host: "elsewhere" }))).toBe(false)
    expect(Owner.isDead(altered({ pid, identity: hasProc ? "1.1" : "1" }))).toBe(false)
    expect(Owner.isDead("memory")).toBe(false)
    expect(Owner.isDead("")).toBe(false)
  })
})
