/**
 * Standard output, reserved for the results of the command. With `--json` it holds one document and nothing else: output of a
 * workflow and of the programs it starts is redirected to standard error.
 */
import { dlopen } from "bun:ffi"
import { writeSync } from "node:fs"
import * as Secrets from "@smithers/core/Secrets"
import { libraries } from "./CLibrary.ts"
import { redirectConsole } from "./Screen.ts"

export interface Results {
  /** Writes a text completely. Completes once it was accepted or refused. */
  readonly write: (text: string) => Promise<void>
  /** Writes a short text synchronously before the process ends. */
  readonly writeLast: (text: string) => void
}

/** Called when a write was refused: by a closed pipe ({@link isClosed}), or with an error. */
type OnRefused = (error: NodeJS.ErrnoException) => void

/** Returns `true` for errors of a closed pipe or terminal, which are no failure of the writer. */
export const isClosed = ({ code }: NodeJS.ErrnoException, isTerminal: boolean): boolean =>
  code === "EPIPE" || code === "ECONNRESET" || (code === "EIO" && isTerminal)

/** Writes results to the standard output of the process. */
export const shared = (onRefused: OnRefused): Results => {
  process.stdout.on("error", onRefused)
  return {
    write: through(process.stdout.write.bind(process.stdout), onRefused),
    writeLast: (text) => last(1, text),
  }
}

/** Writes results to a separate copy of standard output. */
export const apart = (onRefused: OnRefused): Results => {
  const own = takeOver()
  if (own === undefined) return inProcess(onRefused)
  // The stream may have a descriptor of its own.
  process.stdout.write = process.stderr.write.bind(process.stderr)
  const sink = Bun.file(own).writer()
  let isOver = false
  return {
    write: async (text) => {
      if (isOver) return
      try {
        await sink.write(text)
        await sink.flush()
      } catch (thrown) {
        isOver = true
        onRefused(thrown as NodeJS.ErrnoException)
      }
    },
    writeLast: (text) => last(own, text),
  }
}

/**
 * Makes descriptor 1 a copy of descriptor 2 and returns a copy of the former 1. Only this reaches programs that inherit the
 * descriptor. Returns `undefined` without a C library.
 */
const takeOver = (): number | undefined => {
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, {
        dup: { args: ["i32"], returns: "i32" },
        dup2: { args: ["i32", "i32"], returns: "i32" },
      })
      const own = symbols.dup(1)
      // With either closed, there is nothing to keep apart.
      return own < 0 || symbols.dup2(2, 1) < 0 ? undefined : own
    } catch {
      // The next one may be there.
    }
  }
  return undefined
}

/** Redirects the output of this process only; programs that it starts are not affected. */
const inProcess = (onRefused: OnRefused): Results => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.on("error", onRefused)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  redirectConsole((text) => process.stderr.write(`${text}\n`))
  return { write: through(write, onRefused), writeLast: (text) => last(1, text) }
}

type Write = (text: string, taken: (error?: Error | null) => void) => boolean

/** Writes completely, and reports a failure before the writer continues. The stream emits its event only afterwards. */
const through =
  (write: Write, onRefused: OnRefused): Results["write"] =>
  (text) =>
    new Promise((resolve) =>
      write(text, (error) => {
        if (error) onRefused(error)
        resolve()
      }),
    )

/** Writes a short text synchronously, also if the process ends with the next statement. */
export const last = (descriptor: number, text: string): void => {
  try {
    writeSync(descriptor, Secrets.text(text))
  } catch {
    // The descriptor is closed or blocked.
  }
}
