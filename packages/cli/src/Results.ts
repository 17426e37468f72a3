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

/** Called when something was not taken: nobody reads any more ({@link isClosed}), or it could not be written. */
type OnRefused = (error: NodeJS.ErrnoException) => void

/** Whether an error says that nobody reads any more, which is no failure of whoever writes: of a terminal that was closed, too. */
export const isClosed = ({ code }: NodeJS.ErrnoException, isTerminal: boolean): boolean =>
  code === "EPIPE" || code === "ECONNRESET" || (code === "EIO" && isTerminal)

/** Results among whatever else is written. */
export const shared = (onRefused: OnRefused): Results => {
  process.stdout.on("error", onRefused)
  return {
    write: through(process.stdout.write.bind(process.stdout), onRefused),
    writeLast: (text) => last(1, text),
  }
}

/** Results apart from whatever else is written. */
export const apart = (onRefused: OnRefused): Results => {
  const own = takeOver()
  if (own === undefined) return inProcess(onRefused)
  // The stream may hold a descriptor of its own.
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
const inProcess = (onRefused: OnRefused): Results => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.on("error", onRefused)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  redirectConsole((text) => process.stderr.write(`${text}\n`))
  return { write: through(write, onRefused), writeLast: (text) => last(1, text) }
}

type Write = (text: string, taken: (error?: Error | null) => void) => boolean

/** Writes whole, and tells of a failure before whoever waits goes on: the event of the stream comes after that. */
const through =
  (write: Write, onRefused: OnRefused): Results["write"] =>
  (text) =>
    new Promise((resolve) =>
      write(text, (error) => {
        if (error) onRefused(error)
        resolve()
      }),
    )

/** Writes at once what is short, also where the process ends with the next statement. */
export const last = (descriptor: number, text: string): void => {
  try {
    writeSync(descriptor, text)
  } catch {
    // Nobody reads it, or not now.
  }
}
