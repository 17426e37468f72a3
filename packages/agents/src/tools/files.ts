/**
 * Tools for files: `read`, `write`, `edit` and `applyPatch`. They stay below the root of the step's tools, leave git's directory alone, and change no file that the model
 * has not seen as it is.
 */
import { relative, resolve } from "node:path"
import { defined } from "@smithers/core/Struct"
import type { Tool } from "ai"
import * as Schema from "effect/Schema"
import { hashOf, PathRefused } from "../ConfinedFiles.ts"
import { defineTool } from "../defineTool.ts"
import * as Results from "../Results.ts"
import type { Recovery } from "../ToolRules.ts"
import * as ToolSession from "../ToolSession.ts"
import * as Edits from "./Edits.ts"
import * as Patch from "./Patch.ts"
import { isBinary } from "./text.ts"

const Path = Schema.NonEmptyString.annotations({ description: "Path from the root of the work, such as src/main.ts." })

/** Lines that one call reads by default. */
const defaultLines = 2000

/** Characters of one line: minified files have lines of megabytes. */
const longestLine = 2000

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optional(schema)

const ReadInput = Schema.Struct({
  path: Path,
  offset: optional(Schema.Int.pipe(Schema.positive()).annotations({ description: "First line, from 1. Default: 1." })),
  limit: optional(Schema.Int.pipe(Schema.positive()).annotations({ description: `Lines to read. Default: ${defaultLines}.` })),
})

/** Reads a text file by lines, with their numbers. */
export const read: Tool<typeof ReadInput.Encoded, string> = defineTool({
  name: "read",
  usesWorkspace: true,
  description:
    "Reads a text file and returns its lines with their numbers. Read a file before you edit or replace it. Large files are read in parts by offset and limit.",
  input: ReadInput,
  isReadOnly: true,
  execute: ({ path, offset = 1, limit = defaultLines }, { toolCallId }) => {
    const { files, seen, rights } = ToolSession.current("read")
    const { bytes, hash } = files.read(path)
    seen.set(files.resolve(path), hash)
    if (bytes.length === 0) return "(the file is empty)"
    if (isBinary(bytes)) return `(a binary file of ${bytes.length} bytes, SHA-256 ${hash})`
    const lines = bytes.toString("utf8").split("\n")
    // A newline at the end ends the last line, and begins none.
    if (lines.at(-1) === "") lines.pop()
    if (offset > lines.length) return `(the file has ${lines.length} lines)`
    const shown = lines.slice(offset - 1, offset - 1 + limit)
    const text = shown
      .map(
        (line, index) =>
          `${String(offset + index).padStart(6)}\t${line.length > longestLine ? `${line.slice(0, longestLine)}…` : line}`,
      )
      .join("\n")
    const rest = lines.length - (offset - 1 + shown.length)
    return Results.bounded(
      rest > 0 ? `${text}\n… ${rest} more lines; read on with offset ${offset + shown.length}` : text,
      toolCallId,
      "head",
      rights.maxResultBytes,
    )
  },
})

/** Refuses to change what the model has not seen as it is now. */
const checkSeen = (session: ToolSession.ToolSession, relativePath: string, hash: string): void => {
  const seen = session.seen.get(relativePath)
  if (seen === undefined) throw new Error(`${relativePath} was not read yet: read it before you change it. Nothing was changed.`)
  if (seen !== hash)
    throw new Error(`${relativePath} has changed since it was read: read it again before you change it. Nothing was changed.`)
}

/** A file before and after a call that changes it, by hashes. `undefined` for a file that is not there. */
const Change = Schema.Struct({ before: Schema.optional(Schema.String), after: Schema.String })

/**
 * What became of a call that a crash has cut off: it is over if the file is as the call would have left it, and is made again if the file is as it was. A
 * file that is neither was changed by others.
 */
const recovery = (tool: string, path: string, change: unknown, output: string): Recovery<string> => {
  const session = ToolSession.current(tool)
  if (!Schema.is(Change)(change)) return "unknown"
  const now = contentOf(session, path)?.hash
  if (now === change.after) {
    session.seen.set(session.files.resolve(path), change.after)
    return { output }
  }
  return now === change.before ? "rerun" : "unknown"
}

const WriteInput = Schema.Struct({
  path: Path,
  content: Schema.String.annotations({ description: "The whole content of the file." }),
})

/** Writes a whole file. */
export const write: Tool<typeof WriteInput.Encoded, string> = defineTool({
  name: "write",
  usesWorkspace: true,
  description:
    "Creates a file with the given content, or replaces all of one that was read before. Use edit to change parts of a file.",
  input: WriteInput,
  snapshot: ({ input: { path, content } }) => {
    const before = contentOf(ToolSession.current("write"), path)?.hash
    return { ...defined({ before }), after: hashOf(Buffer.from(content)) }
  },
  afterCrash: ({ input: { path, content }, snapshot }) =>
    recovery("write", path, snapshot, `Wrote ${path}: ${Buffer.byteLength(content)} bytes.`),
  execute: ({ path, content }) => {
    const session = ToolSession.current("write")
    const { files, seen } = session
    const before = contentOf(session, path)
    if (before !== undefined) checkSeen(session, files.resolve(path), before.hash)
    const bytes = Buffer.from(content)
    files.write(path, bytes)
    const relativePath = files.resolve(path)
    seen.set(relativePath, hashOf(bytes))
    return `${before === undefined ? "Created" : "Replaced"} ${relativePath}: ${bytes.length} bytes, ${content === "" ? 0 : content.split("\n").length} lines.`
  },
})

/** The content of a file that may not be there. */
const contentOf = ({ files }: ToolSession.ToolSession, path: string) => {
  try {
    return files.read(path)
  } catch (thrown) {
    if (thrown instanceof PathRefused && thrown.reason === "missing") return undefined
    throw thrown
  }
}

const EditInput = Schema.Struct({
  path: Path,
  edits: Schema.NonEmptyArray(
    Schema.Struct({
      old: Schema.String.annotations({ description: "The text to replace, exactly as it stands in the file." }),
      new: Schema.String.annotations({ description: "The text to put in its place." }),
      replaceAll: optional(Schema.Boolean.annotations({ description: "Replaces every place where old stands. Default: false." })),
    }),
  ),
})

/** Replaces exact parts of a file. */
export const edit: Tool<typeof EditInput.Encoded, string> = defineTool({
  name: "edit",
  usesWorkspace: true,
  description:
    'Replaces parts of a file that was read before. "old" is exact text, without line numbers, that stands in the file once. All edits are made, in order, or none. Returns the changes as a diff.',
  input: EditInput,
  snapshot: ({ input }) => {
    const { before, bytes } = edited(ToolSession.current("edit"), input)
    return { before, after: hashOf(bytes) }
  },
  afterCrash: ({ input: { path }, snapshot }) => recovery("edit", path, snapshot, `Edited ${path}.`),
  execute: (input, { toolCallId }) => {
    const session = ToolSession.current("edit")
    const { place: relativePath, bytes, diff } = edited(session, input)
    session.files.write(input.path, bytes)
    session.seen.set(relativePath, hashOf(bytes))
    return Results.bounded(diff, toolCallId, "head", session.rights.maxResultBytes)
  },
})

/** The text of a file that is to be changed, and that was read. */
const textOf = (session: ToolSession.ToolSession, path: string) => {
  const { bytes, hash } = session.files.read(path)
  const relativePath = session.files.resolve(path)
  checkSeen(session, relativePath, hash)
  if (isBinary(bytes)) throw new Error(`${relativePath} is a binary file: edit changes text. Nothing was changed.`)
  const text = bytes.toString("utf8")
  // Bytes that are not UTF-8 would change when they are written back.
  if (!Buffer.from(text).equals(bytes))
    throw new Error(`${relativePath} is no UTF-8 text: edit would damage it. Nothing was changed.`)
  return { place: relativePath, text, hash, bytes }
}

/** Works out an edit, and changes nothing. */
const edited = (session: ToolSession.ToolSession, { path, edits }: typeof EditInput.Type) => {
  const { place: relativePath, text, hash } = textOf(session, path)
  const result = Edits.apply(text, edits)
  if ("problem" in result) throw new Error(`${relativePath}: ${result.problem}`)
  return { place: relativePath, before: hash, bytes: Buffer.from(result.text), diff: result.diff }
}

const PatchInput = Schema.Struct({
  input: Schema.String.annotations({ description: 'The patch, from "*** Begin Patch" to "*** End Patch".' }),
})

/** A file that a patch leaves: its bytes, or `undefined` for one that it removes. */
interface Patched {
  readonly path: string
  readonly before: Buffer | undefined
  readonly after: Buffer | undefined
}

const hashed = (bytes: Buffer | undefined): string | undefined => (bytes === undefined ? undefined : hashOf(bytes))

/** Files of a patch, by their hashes. */
const PatchedFiles = Schema.Array(
  Schema.Struct({ path: Schema.String, before: Schema.optional(Schema.String), after: Schema.optional(Schema.String) }),
)

/**
 * Changes several files by a patch in the format that models of OpenAI are trained on. Offer it to them as `apply_patch`; other models are better at
 * {@link edit}.
 */
export const applyPatch: Tool<typeof PatchInput.Encoded, string> = defineTool({
  name: "applyPatch",
  usesWorkspace: true,
  description: `Changes files by a patch. Files that are updated or deleted are read before. All is done, or nothing.
*** Begin Patch
*** Update File: src/a.ts
@@ export const main
 a line that is kept
-a line that is removed
+a line that is added
*** Add File: src/b.ts
+a line of the new file
*** Delete File: src/c.ts
*** End Patch
"*** Move to: <path>" below an update moves the file. Lines that are kept or removed stand in the file exactly, and in one place: give three lines around a change, and after @@ a line above it where that is not enough. There are no line numbers.`,
  input: PatchInput,
  snapshot: ({ input }) =>
    patched(ToolSession.current("applyPatch"), input).map(({ path, before, after }) => ({
      path,
      ...defined({ before: hashed(before), after: hashed(after) }),
    })),
  afterCrash: ({ snapshot }) => {
    const session = ToolSession.current("applyPatch")
    if (!Schema.is(PatchedFiles)(snapshot)) return "unknown"
    const now = snapshot.map(({ path }) => contentOf(session, path)?.hash)
    if (snapshot.every(({ before }, index) => now[index] === before)) return "rerun"
    if (!snapshot.every(({ after }, index) => now[index] === after)) return "unknown"
    for (const { path, after } of snapshot) if (after !== undefined) session.seen.set(session.files.resolve(path), after)
    return { output: `Patched ${snapshot.map(({ path }) => path).join(", ")}.` }
  },
  execute: ({ input }, { toolCallId }) => {
    const session = ToolSession.current("applyPatch")
    const files = patched(session, { input })
    const done: Array<Patched> = []
    try {
      for (const file of files) {
        put(session, file.path, file.after)
        done.push(file)
      }
    } catch (thrown) {
      for (const { path, before } of done.reverse()) put(session, path, before)
      throw thrown
    }
    const lines = files.map(
      ({ path, before, after }) => `${before === undefined ? "Added" : after === undefined ? "Deleted" : "Updated"} ${path}`,
    )
    return Results.bounded(lines.join("\n"), toolCallId, "head", session.rights.maxResultBytes)
  },
})

const put = ({ files, seen }: ToolSession.ToolSession, path: string, bytes: Buffer | undefined): void => {
  if (bytes === undefined) return files.remove(path)
  files.write(path, bytes)
  seen.set(files.resolve(path), hashOf(bytes))
}

/** Works out a patch, and changes nothing. */
const patched = (session: ToolSession.ToolSession, { input }: typeof PatchInput.Type): ReadonlyArray<Patched> => {
  const patch = Patch.parse(input)
  if ("problem" in patch) throw new Error(patch.problem)
  const checkFree = (path: string): void => {
    if (contentOf(session, path) !== undefined)
      throw new Error(`${session.files.resolve(path)} exists already. Nothing was changed.`)
  }
  const files = patch.flatMap((file): ReadonlyArray<Patched> => {
    if (file.kind === "add") {
      checkFree(file.path)
      return [{ path: file.path, before: undefined, after: Buffer.from(file.text) }]
    }
    if (file.kind === "delete") {
      const { bytes, hash } = session.files.read(file.path)
      checkSeen(session, session.files.resolve(file.path), hash)
      return [{ path: file.path, before: bytes, after: undefined }]
    }
    const { place: relativePath, text, bytes } = textOf(session, file.path)
    const result = Patch.apply(text, file.hunks)
    if ("problem" in result) throw new Error(`${relativePath}: ${result.problem}`)
    const after = Buffer.from(result.text)
    if (file.to === undefined) return [{ path: file.path, before: bytes, after }]
    checkFree(file.to)
    return [
      { path: file.to, before: undefined, after },
      { path: file.path, before: bytes, after: undefined },
    ]
  })
  // Directories of new files may be missing, so that their paths cannot be walked yet.
  const { root } = session.files
  const paths = files.map(({ path }) => relative(root, resolve(root, path)))
  const twice = paths.find((relativePath, index) => paths.indexOf(relativePath) !== index)
  if (twice !== undefined) throw new Error(`The patch names ${twice} twice. Nothing was changed.`)
  return files
}
