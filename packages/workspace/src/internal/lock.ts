/**
 * A lock among processes, as files `lock.<n>` of a directory. The highest number holds it. Whoever finds that its owner has ended takes the next number, which
 * only one can, and looks again whether the one before is still that of the owner that ended.
 */
import { randomUUID } from "node:crypto"
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { hasEnded, ownerOf } from "./owner.ts"

/** Milliseconds between looks at a lock that another holds. */
const lookMs = 15

/** Milliseconds after which the lock of a process on another machine counts as left. No operation takes that long. */
const foreignMs = 30 * 60_000

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

const codeOf = (thrown: unknown): unknown => (thrown instanceof Error && "code" in thrown ? thrown.code : undefined)

/** Links a file under a name that no other has, or says that one has it. */
const linked = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false
    throw thrown
  }
}

const numbersOf = (directory: string): ReadonlyArray<number> =>
  readdirSync(directory)
    .flatMap((name) => /^lock\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((left, right) => left - right)

export interface Lock {
  /** Names the owner among all that there were. */
  readonly token: string
  /** `true` if the owner before has ended without giving it back: what it was at may be half done. */
  readonly isTakenOver: boolean
}

const isLeft = (file: string, content: string): boolean => {
  if (hasEnded(content)) return true
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat !== undefined && Date.now() - stat.mtimeMs > foreignMs && !content.startsWith(`${process.pid} `)
}

/** Takes the lock of a directory if nobody holds it. */
const attempt = (directory: string, token: string): Lock | undefined => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const numbers = numbersOf(directory)
  const last = numbers.at(-1)
  const before = last === undefined ? undefined : read(join(directory, `lock.${last}`))
  if (last !== undefined && (before === undefined || !isLeft(join(directory, `lock.${last}`), before))) return undefined
  const own = join(directory, `lock.${(last ?? 0) + 1}`)
  const draft = join(directory, `draft.${token}`)
  writeFileSync(draft, `${ownerOf(process.pid)} ${token}`, { flag: "wx", mode: 0o600 })
  try {
    if (!linked(draft, own)) return undefined
  } finally {
    rmSync(draft, { force: true })
  }
  if (last !== undefined && read(join(directory, `lock.${last}`)) !== before) {
    rmSync(own, { force: true })
    return undefined
  }
  return { token, isTakenOver: last !== undefined }
}

const release = (directory: string, token: string): void => {
  try {
    for (const number of numbersOf(directory)) {
      const file = join(directory, `lock.${number}`)
      const content = read(file)
      if (content === undefined) continue
      if (content.endsWith(` ${token}`) || hasEnded(content)) rmSync(file, { force: true })
      if (content.endsWith(` ${token}`)) return
    }
  } catch (thrown) {
    // The directory was removed with all that is in it.
    if (codeOf(thrown) !== "ENOENT") throw thrown
  }
}

const acquire = <E>(
  directory: string,
  token: string,
  patienceMs: number,
  busy: (pid: string) => E,
  failed: (problem: string) => E,
): Effect.Effect<Lock, E> =>
  Effect.async((resume) => {
    const begun = performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = (): void => {
      try {
        const lock = attempt(directory, token)
        if (lock !== undefined) return resume(Effect.succeed(lock))
        if (performance.now() - begun > patienceMs) {
          const holder = read(join(directory, `lock.${numbersOf(directory).at(-1)}`))
          return resume(Effect.fail(busy(holder?.split(" ")[0] ?? "unknown")))
        }
      } catch (thrown) {
        // A directory that is removed meanwhile is made again.
        if (codeOf(thrown) !== "ENOENT" || performance.now() - begun > patienceMs)
          return resume(Effect.fail(failed(String(thrown))))
      }
      timer = setTimeout(look, lookMs)
    }
    look()
    return Effect.sync(() => clearTimeout(timer))
  })

/** Holds the lock of a directory while an effect runs. Waits for its turn, at most `patienceMs`. */
export const withLock = <A, E, E2, R>(
  options: {
    readonly directory: string
    readonly patienceMs: number
    readonly busy: (pid: string) => E
    readonly failed: (problem: string) => E
  },
  use: (lock: Lock) => Effect.Effect<A, E2, R>,
): Effect.Effect<A, E | E2, R> =>
  Effect.suspend(() => {
    const { directory, patienceMs, busy, failed } = options
    const token = randomUUID()
    // Released also where an interruption comes between the lock and its use.
    return Effect.ensuring(
      Effect.flatMap(acquire(directory, token, patienceMs, busy, failed), use),
      Effect.sync(() => release(directory, token)),
    )
  })
