/**
 * The output of a command, kept up to a number of bytes: its beginning and its end, which say most. Secrets are replaced as it
 * comes in, since a bound may cut one in two.
 */
import { StringDecoder } from "node:string_decoder"

import type { Captured } from "@smithers/core/CommandRunner"
import * as Secrets from "@smithers/core/Secrets"

export interface Capture {
  readonly add: (chunk: Buffer) => void
  readonly read: () => Captured
}

/** Captures a stream in `limit` bytes. */
export const capture = (limit: number): Capture => {
  const half = Math.floor(limit / 2)
  const head: Array<Buffer> = []
  let headBytes = 0
  let tail: Array<Buffer> = []
  let tailBytes = 0
  let bytes = 0
  const secrets = Secrets.redactor().isEmpty ? undefined : { decoder: new StringDecoder("utf8"), stream: Secrets.stream() }
  const keep = (chunk: Buffer): void => {
    bytes += chunk.length
    const first = chunk.subarray(0, Math.max(0, half - headBytes))
    if (first.length > 0) {
      head.push(first)
      headBytes += first.length
    }
    const rest = chunk.subarray(first.length)
    if (rest.length === 0) return
    tail.push(rest)
    tailBytes += rest.length
    // Joined only now and then, so that many small chunks cost no more than few large ones.
    if (tailBytes > 2 * half + 65_536) {
      tail = [Buffer.concat(tail).subarray(-half)]
      tailBytes = tail[0]?.length ?? 0
    }
  }
  return {
    add: (chunk) => keep(secrets === undefined ? chunk : Buffer.from(secrets.stream.push(secrets.decoder.write(chunk)))),
    read: () => {
      if (secrets !== undefined) keep(Buffer.from(secrets.stream.push(secrets.decoder.end()) + secrets.stream.end()))
      const begin = Buffer.concat(head)
      const whole = Buffer.concat(tail)
      const end = whole.length > limit - half ? whole.subarray(-half) : whole
      const left = bytes - begin.length - end.length
      if (left === 0) return { text: Buffer.concat([begin, end]).toString("utf8"), bytes, isTruncated: false }
      const text = `${begin.toString("utf8")}\n… ${left} bytes left out …\n${end.toString("utf8")}`
      return { text, bytes, isTruncated: true }
    },
  }
}
