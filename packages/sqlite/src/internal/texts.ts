/**
 * Stores long texts that repeat, such as prompts, once each.
 */
import type { Texts } from "@smithers/sql/Turns"
import type { Connection } from "./connection.ts"
import { hash } from "./plans.ts"

/** Creates the texts of a connection. */
export const make = ({ prepare, whole }: Connection): Texts => {
  const insert = prepare("INSERT OR IGNORE INTO smithers_texts (hash, content) VALUES (?, ?)")
  const select = prepare<[content: string]>(`SELECT ${whole("content")} FROM smithers_texts WHERE hash = ?`)
  return {
    keep: (text) => {
      const key = hash(text)
      insert.run(key, text)
      return key
    },
    read: (key) => select.values(key)[0]?.[0] ?? "",
  }
}
