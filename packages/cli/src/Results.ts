/**
 * The standard output, for the results of the command. With `--json` it holds one document and nothing else, so there it is taken away
 * from everything else: what a workflow, or a program that a workflow starts, writes to its standard output then goes to the standard error.
 */
import { dlopen } from "bun:ffi"
import { writeSync } from "node:fs"
import { libraries } from "./CLibrary.ts"
import { redirectConsole } from "./Screen.ts"

export interface Results {
  /** Writes a text whole. Completes when it was taken, or when it is known that nobody takes it. */
  readonly write: (text: string) => Promise<void>
  /** Writes a short text before the process ends, come what may. */
  readonly writeLast: (text: string) => void
}

/** Results among whatever else is written. `onClosed` is called once nobody reads any more. */
export const shared = (onClosed: () => void): Results => {
  process.stdout.on("error", onClosed)
  return {
    write: (text) => new Promise((resolve) => process.stdout.write(text, () => resolve())),
    writeLast: (text) => last(1, text),
  }
}

/** Results apart from whatever else is written. `onClosed` is called once nobody reads any more. */
export const apart = (onClosed: () => void): Results => {
  const own = takeOver()
  if (own === undefined) return inProcess(onClosed)
  // The stream may hold a descriptor of its own.
  process.stdout.write = process.stderr.write.bind(process.stderr)
  const sink = Bun.file(own).writer()
  let isClosed = false
  return {
    write: async (text) => {
      if (isClosed) return
      try {
        await sink.write(text)
        await sink.flush()
      } catch {
        isClosed = true
        onClosed()
      }
    },
    writeLast: (text) => last(own, text),
  }
}

/**
 * Makes descriptor 1 another name of descriptor 2, and answers with a descriptor that is what 1 was. Nothing less reaches programs that
 * inherit it. `undefined` where there is no C library to ask.
 */
const takeOver = (): number | undefined => {
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, {
        dup: { args: ["i32"], returns: "i32" },
        dup2: { args: ["i32", "i32"], returns: "i32" },
      })
      const own = symbols.dup(1)
      // Where either is closed there is nothing to be mixed up.
      return own < 0 || symbols.dup2(2, 1) < 0 ? undefined : own
    } catch {
      // The next one may be there.
    }
  }
  return undefined
}

/** The same for what this process writes by the usual ways; programs that it starts are not reached. */
const inProcess = (onClosed: () => void): Results => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.on("error", onClosed)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  redirectConsole((text) => process.stderr.write(`${text}\n`))
  return { write: (text) => new Promise((resolve) => write(text, () => resolve())), writeLast: (text) => last(1, text) }
}

/** Writes at once what is short, also where the process ends with the next statement. */
export const last = (descriptor: number, text: string): void => {
  try {
    writeSync(descriptor, text)
  } catch {
    // Nobody reads it, or not now.
  }
}
