/**
 * Location of a database. Files are stored and compared by their real paths. Paths stored relative to the database, such as that of
 * a workflow file, must not depend on the link that it was opened by.
 */
import { lstatSync, readlinkSync, realpathSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"

/** Returns the path of a file without symbolic links. The file need not exist; a broken link is followed to its target. */
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
