import { createHash } from "node:crypto"
import { expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { digest } from "../../packages/core/src/internal/digest.ts"

const known = (text: string) => createHash("sha256").update(text).digest("hex")

it("a digest is the SHA-256 of a text, of any length and in any alphabet", () => {
  FastCheck.assert(
    FastCheck.property(FastCheck.string({ unit: "binary", maxLength: 300, size: "max" }), (text) => {
      expect(digest(text)).toBe(known(text))
    }),
  )
  // The length is in the last block, or needs one more.
  for (let length = 0; length < 260; length++) expect(digest("x".repeat(length))).toBe(known("x".repeat(length)))
  expect(digest("é漢😀".repeat(50_000))).toBe(known("é漢😀".repeat(50_000)))
})
