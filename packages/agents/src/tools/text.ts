/**
 * Text of files, as tools take it.
 */

/** `true` for bytes that are no text: they hold a NUL among the first. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, 8000).includes(0)
