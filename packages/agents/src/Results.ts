/**
 * Results of tools as a model gets them: bounded, before they enter the conversation, since an oversized result is sent again with each later call. The whole
 * of a result is stored where a conversation records its calls.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import * as Bounds from "@smithers/core/Bounds"
import * as Secrets from "@smithers/core/Secrets"

/** Bytes of one result that a model gets, where neither its tool nor its runtime says. */
export const longestResult = Bounds.limitOf("toolResult")

/** The part of a result that is kept where it is too long: its beginning, or its beginning and its end. */
export type Keeps = "head" | "ends"

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replaceAll(/^\ufffd+|\ufffd+$/g, "")

/** Cuts a text to the bytes that a model gets, with a line that says how much is left out. */
export const cut = (whole: string, keeps: Keeps = "head", most: number = longestResult): string => {
  if (Buffer.byteLength(whole) <= most) return whole
  // Before the cut, which might leave half of a secret.
  const bytes = Buffer.from(Secrets.text(whole))
  if (bytes.length <= most) return bytes.toString()
  const left = bytes.length - most
  if (keeps === "head") return `${text(bytes.subarray(0, most))}\n… ${left} more bytes`
  const half = Math.floor(most / 2)
  return `${text(bytes.subarray(0, half))}\n… ${left} bytes left out …\n${text(bytes.subarray(-half))}`
}

const storage = new AsyncLocalStorage<string>()

/** Makes a call whose result is stored whole, and cut by whoever stores it. Calls that it makes itself, such as those of an agent in a tool, are not. */
export const storing = <A>(callId: string, execute: () => A): A => storage.run(callId, execute)

/** `true` if the result of a call is stored whole. */
export const isStored = (callId: string): boolean => storage.getStore() === callId

/** Cuts the result of a call, unless it is stored whole. */
export const bounded = (whole: string, callId: string, keeps?: Keeps, most?: number): string =>
  isStored(callId) ? whole : cut(whole, keeps, most)
