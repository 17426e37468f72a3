/**
 * Reads of a node, as text. Names of rows are long and similar, so each is encoded with the length of its common prefix with the
 * one before.
 */
import type { NodeKey } from "@smithers/core/Ids"

/** Digits of a prefix length, in one character. */
const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

const longest = digits.length - 1

export const write = (keys: ReadonlyArray<string>): string => {
  let before = ""
  const written = keys.map((key) => {
    let common = 0
    while (common < longest && common < before.length && before.charCodeAt(common) === key.charCodeAt(common)) common++
    // Never splits a surrogate pair.
    if (common > 0 && key.charCodeAt(common - 1) >= 0xd800 && key.charCodeAt(common - 1) <= 0xdbff) common--
    before = key
    return `${digits[common]}${key.slice(common)}`
  })
  return JSON.stringify(written)
}

export const read = (text: string): ReadonlyArray<NodeKey> => {
  let before = ""
  return (JSON.parse(text) as ReadonlyArray<string>).map((written) => {
    before = before.slice(0, digits.indexOf(written.slice(0, 1))) + written.slice(1)
    return before as NodeKey
  })
}
