/**
 * Signals that stop the process, even while JavaScript is blocked. A step that never returns to the event loop (`for (;;)`) keeps
 * the process from receiving the first Ctrl-C. The second one must still end it, which only native code can do then.
 */
import { cc, dlopen, ptr } from "bun:ffi"
import { constants } from "node:os"
import { libraries } from "./CLibrary.ts"

/** Signals that stop a command. A closed terminal sends SIGHUP. */
export const stopping = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export type Stopping = (typeof stopping)[number]

const numberOf = (signal: Stopping): number => constants.signals[signal]

/** Size of a `struct sigaction` in bytes, rounded up. Its first field is the handler, on Linux and macOS. */
const actionBytes = 256

/** Handler value that ignores a signal. */
const ignore = 1n

interface Actions {
  /** Returns the address of a signal's handler. */
  readonly handler: (signal: number) => bigint
  /** Replaces the handler of a signal, and keeps the rest of its action. */
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
      // The next library may exist.
    }
  }
  return undefined
}

const actions = (): Actions | undefined => {
  opened ??= open()
  return opened
}

/** Returns `true` if the parent process has set a signal to be ignored, as `nohup` does. Call it before a listener is added. */
export const isIgnored = (signal: Stopping): boolean => actions()?.handler(numberOf(signal)) === ignore

/** Functions of the native handlers. */
interface Native {
  readonly hear: (signal: number) => void
  readonly say: (words: Uint8Array) => void
}

let native: Native | undefined
let lastWords: Uint8Array = new Uint8Array()

/**
 * Makes the second of two unhandled signals end the process. Call it once, after the listeners were added and before user code
 * runs. Without a C library or a compiler nothing changes: such a process ends with SIGKILL.
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

/** Records that JavaScript has handled a signal. */
export const hear = (signal: Stopping): void => native?.hear(numberOf(signal))

/** Sets the text to print on standard error if native code ends the process. */
export const setLastWords = (words: string): void => {
  // Referenced here since native code does not copy it.
  lastWords = new TextEncoder().encode(words)
  native?.say(lastWords)
}
