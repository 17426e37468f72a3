/**
 * Arguments that name a workflow: a file, or `file#export`. Loads nothing.
 */
import { existsSync, statSync } from "node:fs"
import { extname } from "node:path"

/** Endings of workflow files. */
export const extensions: ReadonlyArray<string> = [".ts", ".mts", ".tsx", ".js", ".mjs", ".jsx"]

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** Returns `true` if an argument is a file rather than the id of a run. */
export const looksLikeFile = (text: string): boolean => isFileName(text) || text.split("#", 1)[0]?.includes("/") === true

/** Returns `true` if an argument in place of a run has the file name of a workflow. */
export const isFileName = (text: string): boolean => {
  const [path = ""] = text.split("#", 1)
  return extensions.includes(extname(path)) || isFile(path)
}

/** Splits `file.tsx#name`. */
export const parseTarget = (target: string): { readonly file: string; readonly exported: string | undefined } => {
  const hash = target.lastIndexOf("#")
  // File names may contain `#`.
  if (hash < 0 || existsSync(target)) return { file: target, exported: undefined }
  return { file: target.slice(0, hash), exported: target.slice(hash + 1) }
}
