/**
 * Text of tools as a model gets it: bounded, before it enters the conversation, since an oversized result is sent again with each later call.
 */

/** Bytes of one result. */
export const longestResult = 40_000

/** Cuts a text to its beginning, with a line that says how to get the rest. */
export const head = (text: string, rest: string): string => {
  const bytes = Buffer.byteLength(text)
  if (bytes <= longestResult) return text
  const kept = Buffer.from(text)
    .subarray(0, longestResult)
    .toString("utf8")
    .replace(/\ufffd+$/, "")
  return `${kept}\n… ${bytes - Buffer.byteLength(kept)} more bytes; ${rest}`
}

/** `true` for bytes that are no text: they hold a NUL among the first. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, 8000).includes(0)
