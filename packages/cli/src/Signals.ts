/**
 * Signals that stop the process, also where JavaScript cannot hear them. A step that never returns to the event loop (`for (;;)`) keeps the
 * process from hearing the first Ctrl-C; the second one must end it all the same, and only native code runs by then.
 */
import { cc, dlopen, ptr } from "bun:ffi"
import { constants } from "node:os"
import { libraries } from "./CLibrary.ts"

/** The signals that ask a command to stop. A closed terminal sends SIGHUP. */
export const stopping = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** A signal that asks a command to stop. */
export type Stopping = (typeof stopping)[number]

const numberOf = (signal: Stopping): number => constants.signals[signal]

/** Bytes of a `struct sigaction`, with room to spare. Its first field is the handler, on Linux and on macOS. */
const actionBytes = 256

/** The value of the handler that ignores a signal. */
const ignore = 1n

interface Actions {
  /** The address of the handler of a signal. */
  readonly handler: (signal: number) => bigint
  /** Replaces the handler of a signal, and nothing else of its action. */
  readonly replace: (signal: number, handler: bigint) => void
}

let opened: Actions | undefined

const open = (): Actions | undefined => {
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, { sigaction: { args: ["i32", "ptr", "ptr"], returns: "i32" } })
      const read = (signal: number): BigUint64Array => {
        const action = new BigUint64Array(actionBytes / 8)
        symbols.sigaction(signal, null, ptr(action))
        return action
      }
      return {
        handler: (signal) => read(signal)[0] as bigint,
        replace: (signal, handler) => {
          const action = read(signal)
          action[0] = handler
          symbols.sigaction(signal, ptr(action), null)
        },
      }
    } catch {
      // The next one may be there.
    }
  }
  return undefined
}

const actions = (): Actions | undefined => {
  opened ??= open()
  return opened
}

/** Whether whoever started the process wants it to ignore a signal, as `nohup` does. To be asked before a listener is added. */
export const isIgnored = (signal: Stopping): boolean => actions()?.handler(numberOf(signal)) === ignore

/** What the native handlers are told. */
interface Native {
  readonly hear: (signal: number) => void
  readonly say: (words: Uint8Array) => void
}

let native: Native | undefined
let lastWords: Uint8Array = new Uint8Array()

/**
 * Has the second of two signals that were not heard end the process. To be called once, after the listeners were added and before code of
 * others runs. Without a C library or a compiler nothing changes: such a process ends with SIGKILL.
 */
export const guard = (): void => {
  const handlers = actions()
  if (native !== undefined || handlers === undefined) return
  try {
    const { symbols } = cc({
      source: `${import.meta.dir}/signals.c`,
      define: { CLOCK: process.platform === "darwin" ? "6" : "1" },
      symbols: {
        stand_before: { args: ["i32", "u64"], returns: "u64" },
        hear: { args: ["i32"], returns: "void" },
        say: { args: ["ptr", "u64"], returns: "void" },
      },
    })
    const say = (words: Uint8Array): void => {
      if (words.length > 0) symbols.say(ptr(words), words.length)
    }
    native = { hear: symbols.hear, say }
    for (const signal of stopping.map(numberOf)) {
      const before = handlers.handler(signal)
      if (before > ignore) handlers.replace(signal, BigInt(symbols.stand_before(signal, before)))
    }
    say(lastWords)
  } catch {
    // Bun has no compiler here.
  }
}

/** Says that a signal was heard. */
export const hear = (signal: Stopping): void => native?.hear(numberOf(signal))

/** Keeps what is said on the standard error where the process ends without being heard. */
export const setLastWords = (words: string): void => {
  // Kept here as native code does not keep it.
  lastWords = new TextEncoder().encode(words)
  native?.say(lastWords)
}
