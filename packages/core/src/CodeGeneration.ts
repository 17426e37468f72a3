/**
 * Generations of the code of a run: 0 is the code that it began with, and each reload makes the next. Only runs whose code is
 * watched have any on record.
 */
import * as Schema from "effect/Schema"

/** The code of a process: a digest of its files, and their paths. */
export const CodeIdentity = Schema.Struct({
  hash: Schema.String,
  files: Schema.Array(Schema.String),
})
export type CodeIdentity = typeof CodeIdentity.Type

/** A generation of the code. Without an identity it was loaded by a process that did not watch it. */
export const CodeGeneration = Schema.Struct({
  generation: Schema.Number,
  code: Schema.NullOr(CodeIdentity),
})
export type CodeGeneration = typeof CodeGeneration.Type

/** A generation of the code, and when the run went on with it (epoch ms). */
export const StoredGeneration = Schema.Struct({ ...CodeGeneration.fields, at: Schema.Number })
export type StoredGeneration = typeof StoredGeneration.Type

/**
 * The generation that a process begins with, given the last one on record. The same code stays the same generation; other code, or
 * code without an identity, makes the next.
 */
export const begun = (last: CodeGeneration | undefined, given: CodeGeneration | undefined): CodeGeneration | undefined => {
  if (last === undefined) return given
  if (given?.code != null && last.code?.hash === given.code.hash) return last
  return { generation: Math.max(last.generation + 1, given?.generation ?? 0), code: given?.code ?? null }
}
