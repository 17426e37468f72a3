/**
 * Where a database is. Files are stored and compared by their real paths: what is kept of a run beside its database, such as where its
 * workflow is, must mean the same by whichever link the database is reached.
 */
import { lstatSync, readlinkSync, realpathSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"

/** The path of a file without symbolic links, also of one that is not there yet. A link that leads nowhere is followed to where it leads. */
export const realPath = (file: string): string => {
  const path = resolve(file)
  try {
    return realpathSync(path)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") return path
    const link = lstatSync(path, { throwIfNoEntry: false })
    if (link?.isSymbolicLink() === true) return realPath(resolve(dirname(path), readlinkSync(path)))
    return dirname(path) === path ? path : join(realPath(dirname(path)), basename(path))
  }
}
