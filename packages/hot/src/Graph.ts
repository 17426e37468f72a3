/**
 * The files that the code of a workflow consists of. A bundle finds them and judges them before anything is imported: an import that
 * fails may stay failed for the life of the process, a bundle that fails leaves nothing behind.
 */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import type { CodeIdentity } from "@smithers/core/CodeGeneration"
import type { BunPlugin } from "bun"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

/** Code that cannot be bundled: a syntax error, an export or a file that does not exist. */
export class GraphFailed extends Data.TaggedError("GraphFailed")<{
  /** One text per error, with its place. */
  readonly problems: ReadonlyArray<string>
  /** Paths that were imported and do not exist, without an extension where the import has none. */
  readonly unresolved: ReadonlyArray<string>
}> {
  override get message(): string {
    return this.problems.join("\n")
  }
}

export interface Graph {
  readonly entry: string
  /** Absolute paths of the entry and of what it imports, without packages. */
  readonly files: ReadonlyArray<string>
  readonly identity: CodeIdentity
  /** The code as one module, with its source map. */
  readonly bundled: () => Promise<string>
}

/** The folder of the runtime. Its modules are never loaded twice, wherever they are. */
const runtimeFolder = (() => {
  for (let here = import.meta.dirname; here !== dirname(here); here = dirname(here)) {
    const file = join(here, "package.json")
    if (!existsSync(file)) continue
    const { name } = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: string }
    // In the repository the packages stand beside this one.
    return name === "@smithers/hot" ? dirname(here) : here
  }
  return import.meta.dirname
})()

/** Tells whether a file may be loaded again: it is neither of a package nor of the runtime. */
export const isReloadable = (file: string): boolean =>
  !file.includes("/node_modules/") && !file.startsWith(`${runtimeFolder}/`) && file.startsWith("/")

/** The content of a file; `undefined` if it cannot be read. */
export const contentOf = (file: string): Uint8Array | undefined => {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

/** SHA-256, in hexadecimal. Bun's own, since `node:crypto` takes a process three milliseconds to load. */
const hashOf = (content: string | Uint8Array): string => new Bun.CryptoHasher("sha256").update(content).digest("hex")

/** A digest of the content of a file; empty if it cannot be read. */
export const digestOf = (file: string): string => {
  const content = contentOf(file)
  return content === undefined ? "" : hashOf(content)
}

/** The identity of code: the digests of its files, by their paths from the folder of the entry. */
const identify = (entry: string, files: ReadonlyArray<string>): CodeIdentity => {
  const named = files
    .map((file) => [relative(dirname(entry), file), digestOf(file)] as const)
    .sort(([left], [right]) => (left < right ? -1 : 1))
  const hash = hashOf(JSON.stringify(named))
  return { hash, files: named.map(([name]) => name) }
}

/** A message of the bundler. */
interface Message {
  readonly message: string
  readonly position: { readonly file: string; readonly line: number; readonly column: number; readonly lineText?: string } | null
}

const placed = ({ message, position }: Message): string => {
  if (position === null) return message
  const text = position.lineText?.trim() ?? ""
  const line = text === "" ? "" : `\n    ${text.length > 160 ? `${text.slice(0, 159)}…` : text}`
  return `${position.file}:${position.line}:${position.column} ${message}${line}`
}

/** The path that an import names, if it names one that does not exist. */
const missingIn = ({ message, position }: Message): ReadonlyArray<string> => {
  const [, specifier] = /^Could not resolve: "(\.[^"]*|\/[^"]*)"/.exec(message) ?? []
  return specifier === undefined || position === null ? [] : [resolve(dirname(position.file), specifier)]
}

/** Finds the files of an entry. Fails with {@link GraphFailed} for code that could not be loaded. */
export const read = (entry: string, plugins: ReadonlyArray<BunPlugin>): Effect.Effect<Graph, GraphFailed> =>
  Effect.gen(function* () {
    const options: Bun.BuildConfig = {
      entrypoints: [entry],
      target: "bun",
      packages: "external",
      metafile: true,
      throw: false,
      plugins: [...plugins],
    }
    const built = yield* Effect.tryPromise({
      try: () => Bun.build(options),
      catch: (thrown) => new GraphFailed({ problems: [String(thrown)], unresolved: [] }),
    })
    if (!built.success) {
      const messages = built.logs.map(({ message, position }): Message => ({ message, position }))
      return yield* new GraphFailed({ problems: messages.slice(0, 3).map(placed), unresolved: messages.flatMap(missingIn) })
    }
    const inputs = Object.keys(built.metafile?.inputs ?? {}).map((path) => resolve(path))
    const files = [...new Set([entry, ...inputs.filter(isReloadable)])]
    const bundled = async (): Promise<string> =>
      (await (await Bun.build({ ...options, sourcemap: "inline" })).outputs[0]?.text()) ?? ""
    return { entry, files, identity: identify(entry, files), bundled }
  })
