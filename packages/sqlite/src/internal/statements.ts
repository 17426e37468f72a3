/**
 * Parses SQL as SQLite does. Needed since `bun:sqlite` has no authorizer, and compiles only the first of several statements without
 * an error.
 */

/** A parsed statement. */
export interface Statement {
  /** First word, in upper case. */
  readonly keyword: string
  /** `true` if it changes the schema. */
  readonly isSchema: boolean
  /** Names in it, in lower case: words, and quoted texts. */
  readonly names: ReadonlySet<string>
  /** `true` if it creates a temporary object, visible to its connection only. */
  readonly isTemporary: boolean
}

/** Statements that read. */
const readKeywords: ReadonlySet<string> = new Set(["SELECT", "VALUES", "WITH", "EXPLAIN"])
/** Statements that write rows. `WITH` may start one. */
const writing: ReadonlySet<string> = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE"])
const defining: ReadonlySet<string> = new Set(["CREATE", "ALTER", "DROP"])

const token =
  /(?<space>[ \t\n\v\f\r\uFEFF]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(?<word>[A-Za-z_\u{80}-\u{10FFFF}][\w$\u{80}-\u{10FFFF}]*)|(?<other>[?@$:#]?[\w$\u{80}-\u{10FFFF}]+|[\s\S])/gu

/** Returns how many values a statement takes, counted as SQLite numbers its parameters. */
export const parametersIn = (sql: string): number => {
  const names = new Set<string>()
  let count = 0
  for (const { groups = {}, 0: text } of sql.matchAll(token)) {
    if (groups.other === undefined) continue
    const [, number] = /^\?(\d+)$/.exec(text) ?? []
    if (text === "?") count++
    else if (number !== undefined) count = Math.max(count, Number(number))
    else if (/^[:@$]./.test(text) && !names.has(text)) {
      names.add(text)
      count++
    }
  }
  return count
}

/** Returns the content of a quoted text. SQLite accepts any kind of quotes as a name. */
const unquote = (text: string): string => {
  const [open = ""] = text
  const inner = text.slice(1, text.length > 1 && text.endsWith(open === "[" ? "]" : open) ? -1 : undefined)
  return open === "[" ? inner : inner.replaceAll(open + open, open)
}

/** Converts a name to lower case as SQLite compares names: only ASCII letters. */
const lower = (name: string): string => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** Parses SQL. Returns the reason if it is not exactly one permitted statement. `access` is the permission. */
export const read = (sql: string, access: "read" | "write"): Statement | string => {
  if (sql.includes("\0")) return "it contains a NUL character, where SQLite would stop reading"
  const words: Array<string> = []
  const names = new Set<string>()
  let [isOver, isTrigger, isTemporary] = [false, false, false]
  /** The last tokens. A trigger ends with `; END ;`. */
  let [before, last] = ["", ""]
  for (const { groups = {}, 0: text } of sql.matchAll(token)) {
    if (groups.space !== undefined) continue
    if (isOver && text !== ";") return "it contains several statements: run one at a time"
    const name = groups.quoted === undefined ? text : unquote(text)
    if (groups.word !== undefined && words.length < 3) {
      words.push(text.toUpperCase())
      isTrigger ||= words[0] === "CREATE" && words.at(-1) === "TRIGGER"
      isTemporary ||= words[0] === "CREATE" && words.length === 2 && /^TEMP(ORARY)?$/.test(words[1] ?? "")
    }
    if (text === "." && lower(last) === "temp") isTemporary = true
    if (groups.word !== undefined || groups.quoted !== undefined) names.add(lower(name))
    const isInside = isTrigger && !(before === ";" && last.toUpperCase() === "END")
    if (text === ";" && words.length > 0) isOver = !isInside
    before = last
    last = name
  }
  const [keyword = ""] = words
  if (keyword === "") return "it contains no statement"
  if (readKeywords.has(keyword)) return { keyword, isSchema: false, names, isTemporary }
  if (access === "read") return `${keyword} is refused: this connection only reads`
  if (writing.has(keyword)) return { keyword, isSchema: false, names, isTemporary }
  if (!defining.has(keyword))
    return `${keyword} is refused: ${reasons[keyword] ?? "it affects the connection, which the engine uses too"}`
  if (isTemporary) return `${keyword} of a temporary object is refused: it could hide a table of the engine on this connection`
  return { keyword, isSchema: true, names, isTemporary }
}

const ends = "Sql.transaction ends the transaction after its code. Use withTransaction inside to roll back a part"

const reasons: { readonly [keyword: string]: string } = {
  BEGIN: ends,
  COMMIT: ends,
  END: ends,
  ROLLBACK: ends,
  SAVEPOINT: ends,
  RELEASE: ends,
}
