/**
 * JSON of values that JSON has no form for: dates, bytes and addresses, as replies of models and results of tools hold them.
 */
import * as Thrown from "@smithers/core/Thrown"

/** Marks an object that stands for a value. */
const mark = "$smithers"

/** Encodes a value; `undefined` for one without a JSON form, such as a function. */
export const encode = (value: unknown): string | undefined =>
  JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    const raw = this[key]
    if (raw instanceof Date) return { [mark]: "date", value: raw.getTime() }
    if (raw instanceof Uint8Array) return { [mark]: "bytes", value: Buffer.from(raw).toString("base64") }
    if (raw instanceof URL) return { [mark]: "url", value: raw.href }
    return typeof raw === "bigint" ? { [mark]: "bigint", value: String(raw) } : item
  })

/** Decodes the result of {@link encode}. */
export const decode = (text: string): unknown =>
  JSON.parse(text, (_, item: unknown) => {
    const [kind, value] = [Thrown.get(item, mark), Thrown.get(item, "value")]
    if (kind === "date" && typeof value === "number") return new Date(value)
    if (typeof value !== "string") return item
    switch (kind) {
      case "bytes":
        return new Uint8Array(Buffer.from(value, "base64"))
      case "url":
        return new URL(value)
      case "bigint":
        return BigInt(value)
      default:
        return item
    }
  })
