/**
 * What many frames take that follow each other without waiting for anything, in a process of its own.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

interface Sample {
  readonly frames: number
  readonly heap: number
  readonly ms: number
}

const measure = (passes: number, tasks: number, ...store: ReadonlyArray<string>) => {
  const file = join(import.meta.dirname, "fixtures/passes.tsx")
  const { stdout, stderr, status } = spawnSync("bun", [file, String(passes), String(tasks), ...store], { encoding: "utf8" })
  expect(status, stderr).toBe(0)
  const { output, samples } = JSON.parse(stdout) as { readonly output: number; readonly samples: ReadonlyArray<Sample> }
  expect(output).toBe(tasks === 0 ? passes : tasks - 1)
  const at = (share: number) => samples[Math.round(share * 10)] as Sample
  const grown = (from: number, to: number) => (at(to).heap - at(from).heap) / 1e6
  const time = (from: number, to: number) => at(to).ms - at(from).ms
  return { grown, time, frames: at(1).frames, highest: Math.max(...samples.map(({ heap }) => heap)) / 1e6 }
}

/** Milliseconds for one test, on a machine that is busy. */
const patience = 300_000

describe("frames that do not wait for anything", () => {
  it(
    "take as long and as much memory each in a loop's 20,000th pass as in its first",
    () => {
      const { grown, time, frames, highest } = measure(20_000, 0, ":memory:")
      // The last output in a loop is the same when its next pass begins: what has read it is not drawn again for that.
      expect(frames).toBeLessThan(20_010)
      // Of each pass its rows are kept in the state, about 600 bytes.
      expect(highest).toBeLessThan(60)
      expect(grown(0.5, 1)).toBeLessThan(16)
      // Frames that walk those before take three times as long in the second half.
      expect(time(0.6, 1)).toBeLessThan(2 * time(0.1, 0.5))
      expect(time(0, 1)).toBeLessThan(60_000)
    },
    patience,
  )

  it(
    "let go of what they have drawn",
    () => {
      const { grown } = measure(1, 400)
      expect(grown(0.2, 1)).toBeLessThan(8)
    },
    patience,
  )
})
