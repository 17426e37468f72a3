/** Files that are never saved, by their names. A restore never touches them. */

/** Patterns, as `git ls-files --exclude` takes them, of what the runtime itself writes. */
export const runtimePatterns = [".smithers", "smithers.db*"]

/** Suffixes of the files beside a SQLite database in use. */
const besides = ["-wal", "-shm", "-journal"]

/** The files that belong to a SQLite database in use, if a name is one of those beside it. */
export const databaseOf = (path: string): string | undefined => {
  const suffix = besides.find((one) => path.endsWith(one))
  return suffix === undefined ? undefined : path.slice(0, -suffix.length)
}

/** Names beside a path that show a SQLite database in use. */
export const besideDatabase = (path: string): ReadonlyArray<string> => besides.map((suffix) => path + suffix)

/** The names of files that SQLite databases have as a rule. */
export const isDatabaseName = (path: string): boolean => /\.(?:db3?|sqlite3?|sdb|s3db)$/i.test(path)

/** `true` of what the runtime itself writes. */
export const isOfRuntime = (path: string): boolean => {
  const names = path.split("/")
  return names.some((name) => name === ".smithers") || (names.at(-1) ?? "").startsWith("smithers.db")
}
