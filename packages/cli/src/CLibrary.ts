/** Functions of the C library that Bun does not offer. */
import { dlopen, ptr } from "bun:ffi"

/** File names of the library, for glibc and musl on Linux, and for macOS. The first that opens is used. */
export const libraries =
  process.platform === "darwin"
    ? ["libSystem.B.dylib"]
    : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]

const open = () => {
  for (const library of libraries) {
    try {
      return dlopen(library, {
        dup: { args: ["i32"], returns: "i32" },
        dup2: { args: ["i32", "i32"], returns: "i32" },
        close: { args: ["i32"], returns: "i32" },
        execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
      }).symbols
    } catch {
      // The next one may be there.
    }
  }
  return undefined
}

/** Encodes texts as a null-terminated array of C strings. `kept` keeps the memory of the strings alive. */
const arrayOf = (texts: ReadonlyArray<string>, kept: Array<Buffer>): BigUint64Array => {
  const pointers = new BigUint64Array(texts.length + 1)
  for (const [index, text] of texts.entries()) {
    const bytes = Buffer.from(`${text}\0`)
    kept.push(bytes)
    pointers[index] = BigInt(ptr(bytes))
  }
  return pointers
}

/**
 * Replaces the process by a program, which inherits the descriptors of `keep` beside the standard three. Needed since
 * `process.execve` closes all others, and older versions of Bun lack it. Returns only if that is not possible.
 */
export const replace = (
  file: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>>,
  keep: ReadonlyArray<number>,
): void => {
  const c = open()
  if (c === undefined) return
  for (const descriptor of keep) {
    // Bun closes inherited descriptors when it starts a program, but not copies of them.
    const copy = c.dup(descriptor)
    if (copy < 0) continue
    c.dup2(copy, descriptor)
    c.close(copy)
  }
  const kept: Array<Buffer> = []
  const variables = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
  const [path] = arrayOf([file], kept)
  const [argv, envp] = [arrayOf(args, kept), arrayOf(variables, kept)]
  c.execve(Number(path) as ReturnType<typeof ptr>, ptr(argv), ptr(envp))
}
