/**
 * What a text of SQL asks for, read as SQLite reads it: `bun:sqlite` has no authorizer, and compiles only the first of several statements and says
 * nothing of the others.
 */

/** What one statement is. */
export interface Statement {
  /** Its first word, in upper case. */
  readonly keyword: string
  /** Whether it changes the schema. */
  readonly isSchema: boolean
  /** Names in it, in lower case: words, and whatever stands in quotes. */
  readonly names: ReadonlySet<string>
  /** Whether it makes something that only its connection sees. */
  readonly isTemporary: boolean
}

/** Statements that read. */
const reading: ReadonlySet<string> = new Set(["SELECT", "VALUES", "WITH", "EXPLAIN"])
/** Statements that write rows. `WITH` may begin one. */
const writing: ReadonlySet<string> = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE"])
const defining: ReadonlySet<string> = new Set(["CREATE", "ALTER", "DROP"])

const token =
  /(?<space>[ \t\n\v\f\r\uFEFF]+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)|(?<word>[A-Za-z_\u{80}-\u{10FFFF}][\w$\u{80}-\u{10FFFF}]*)|(?<other>[?@$:#]?[\w$\u{80}-\u{10FFFF}]+|[\s\S])/gu

/** What stands in quotes of any kind, which SQLite all takes for names where it needs one. */
const unquote = (text: string): string => {
  const [open = ""] = text
  const inner = text.slice(1, text.length > 1 && text.endsWith(open === "[" ? "]" : open) ? -1 : undefined)
  return open === "[" ? inner : inner.replaceAll(open + open, open)
}

/** A name as SQLite compares names: without regard to the case of ASCII letters. */
const lower = (name: string): string => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** Reads a text of SQL; or says why it is not one statement that may be made. `access` says what it may do. */
export const read = (sql: string, access: "read" | "write"): Statement | string => {
  if (sql.includes("\0")) return "it has a NUL character, at which SQLite would stop reading"
  const words: Array<string> = []
  const names = new Set<string>()
  let [isOver, isTrigger, isTemporary] = [false, false, false]
  /** The last tokens, of which a trigger ends with `; END ;`. */
  let [before, last] = ["", ""]
  for (const { groups = {}, 0: text } of sql.matchAll(token)) {
    if (groups.space !== undefined) continue
    if (isOver && text !== ";") return "it holds several statements, of which only the first would be made: make one at a time"
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
  if (keyword === "") return "it holds no statement"
  if (reading.has(keyword)) return { keyword, isSchema: false, names, isTemporary }
  if (access === "read") return `${keyword} is refused: this connection only reads`
  if (writing.has(keyword)) return { keyword, isSchema: false, names, isTemporary }
  if (!defining.has(keyword))
    return `${keyword} is refused: ${reasons[keyword] ?? "it is about the connection, which the engine uses too"}`
  if (isTemporary)
    return `${keyword} of something temporary is refused: only the engine's connection would see it, and might take it for its own`
  return { keyword, isSchema: true, names, isTemporary }
}

const ends =
  "the transaction is ended by Sql.transaction alone, when its code has ended. To undo a part, use withTransaction inside"

const reasons: { readonly [keyword: string]: string } = {
  BEGIN: ends,
  COMMIT: ends,
  END: ends,
  ROLLBACK: ends,
  SAVEPOINT: ends,
  RELEASE: ends,
}
