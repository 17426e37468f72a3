/**
 * Keeps secrets out of what this process prints: its own output, and that of the workflows it loads, also where they write a secret
 * in pieces. Programs that they start write to the terminal themselves.
 */

import { Console } from "node:console"
import { writeSync } from "node:fs"
import * as SecretSettings from "@smithers/core/SecretSettings"
import * as Secrets from "@smithers/core/Secrets"

/** Time after which a text that may begin a secret is printed although nothing has followed, in milliseconds. */
const patienceMs = 250

const decoder = new TextDecoder()

/** Redacts what is written to a stream. */
const redact = (stream: NodeJS.WriteStream, descriptor: number): void => {
  const write = stream.write.bind(stream)
  const secrets = Secrets.stream()
  let timer: ReturnType<typeof setTimeout> | undefined
  const redacted = (chunk: string | Uint8Array, ...others: ReadonlyArray<unknown>): boolean => {
    const taken = others.find((other) => typeof other === "function")
    const callback = (error?: Error | null): void => void (typeof taken === "function" && taken(error))
    if (Secrets.redactor().isEmpty) return write(chunk, callback)
    clearTimeout(timer)
    const text = secrets.push(typeof chunk === "string" ? chunk : decoder.decode(chunk))
    timer = setTimeout(() => void write(secrets.end()), patienceMs)
    timer.unref()
    return write(text, callback)
  }
  stream.write = redacted
  process.on("exit", () => {
    const rest = secrets.end()
    if (rest === "") return
    try {
      writeSync(descriptor, rest)
    } catch {
      // The stream is closed.
    }
  })
}

/** Installs the redaction of standard output, standard error and the console, and reads the secrets of the environment. */
export const install = (): void => {
  redact(process.stdout, 1)
  redact(process.stderr, 2)
  // The console of Bun does not write to those streams.
  const printing = new Console({ stdout: process.stdout, stderr: process.stderr })
  for (const name of ["log", "info", "debug", "warn", "error", "trace", "dir", "table"] as const)
    console[name] = printing[name].bind(printing)
  SecretSettings.addEnvironment()
  SecretSettings.noticeDefault()
}
