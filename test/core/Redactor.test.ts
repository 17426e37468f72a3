import { inspect } from "node:util"
import * as Redactor from "@smithers/core/Redactor"
import * as fc from "effect/FastCheck"
import { describe, expect, it } from "vitest"

const texts = fc.string({ unit: "binary", maxLength: 40 })
const secretText = fc
  .oneof(
    fc.string({ unit: "grapheme-ascii", minLength: 8, maxLength: 60 }),
    fc.string({ unit: "grapheme", minLength: 8, maxLength: 30 }),
    fc.string({ unit: fc.constantFrom(..."abAB\"\\/'&<>%+ é\n"), minLength: 8, maxLength: 40 }),
  )
  .map((text) => text.toWellFormed())
  .filter((text) => Redactor.weakness(text) === undefined)

const redactorOf = (...values: ReadonlyArray<string>) => Redactor.make(values.map((value, index) => ({ name: `S${index}`, value })))

/** Everything a person can do to a text that keeps it readable. */
const spellings: { readonly [name: string]: (text: string) => string } = {
  plain: (text) => text,
  json: (text) => JSON.stringify(text),
  "json in json": (text) => JSON.stringify({ inner: JSON.stringify(text) }),
  "a literal of JavaScript": (text) => inspect(text, { breakLength: Number.POSITIVE_INFINITY }),
  "a word of a shell": (text) => `'${text.replaceAll("'", "'\\''")}'`,
  url: encodeURIComponent,
  form: (text) => new URLSearchParams({ key: text }).toString(),
  base64: (text) => Buffer.from(text).toString("base64"),
  "base64, one byte before": (text) => Buffer.from(`:${text}`).toString("base64"),
  "base64, two bytes before and some after": (text) => Buffer.from(`u:${text}..`).toString("base64"),
  base64url: (text) => Buffer.from(text).toString("base64url"),
  "base64, wrapped": (text) =>
    (
      Buffer.from(text)
        .toString("base64")
        .match(/.{1,20}/g) ?? []
    ).join("\r\n"),
  hex: (text) => Buffer.from(text).toString("hex"),
  HEX: (text) => Buffer.from(text).toString("hex").toUpperCase(),
  html: (text) =>
    text
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("'", "&#39;"),
}

/** Base64 of a secret leaves up to two characters at each end, which it shares with other bytes. */
const leftover = 8

describe("Redactor", () => {
  for (const [name, spell] of Object.entries(spellings)) {
    it(`replaces a secret written as ${name}, wherever it stands`, () => {
      fc.assert(
        fc.property(secretText, texts, texts, (secret, before, after) => {
          const written = spell(secret.trim())
          const out = redactorOf(secret).text(`${before} ${written} ${after}`)
          expect(out).toContain("[secret S0]")
          const core = written.slice(leftover, -leftover)
          if (core.length > leftover && !`${before} ${after}`.includes(core)) expect(out).not.toContain(core)
        }),
      )
    })
  }

  it("leaves nothing of a plain secret, and all that is around it", () => {
    fc.assert(
      fc.property(secretText, (secret) => {
        expect(redactorOf(secret).text(`<${secret.trim()}>`)).toBe("<[secret S0]>")
      }),
    )
  })

  it("gives out in chunks of any size what it gives out for the whole text", () => {
    fc.assert(
      fc.property(
        fc.array(secretText, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(texts, fc.nat(), fc.constantFrom(...Object.values(spellings)), fc.nat({ max: 70 })), { maxLength: 6 }),
        fc.integer({ min: 1, max: 9 }),
        (secrets, parts, size) => {
          const redactor = redactorOf(...secrets)
          const text = parts
            .map(([before, which, spell, cut]) => {
              const secret = secrets[which % secrets.length] ?? ""
              // Some of them are cut off, so that others begin inside of them.
              const written = spell(secret.trim())
              return before + (which % 3 === 0 ? written.slice(0, cut) : written)
            })
            .join("")
          const stream = redactor.stream()
          let out = ""
          for (let at = 0; at < text.length; at += size) out += stream.push(text.slice(at, at + size))
          expect(out + stream.end()).toBe(redactor.text(text))
        },
      ),
      { numRuns: 500 },
    )
  })

  it("passes on in a stream at once what cannot begin a secret", () => {
    const stream = redactorOf("hunter2-hunter2").stream()
    expect(stream.push("the key is ")).toBe("the key is ")
    expect(stream.push("hunt")).toBe("")
    expect(stream.push("ing")).toBe("hunting")
    expect(stream.push("hunter2-hunter2.")).toBe("[secret S0].")
    expect(stream.push("hun") + stream.end()).toBe("hun")
  })

  it("redacts the same a second time as the first time", () => {
    fc.assert(
      fc.property(fc.array(secretText, { minLength: 1, maxLength: 3 }), texts, (secrets, text) => {
        const redactor = redactorOf(...secrets)
        const once = redactor.text(secrets.join(text))
        expect(redactor.text(once)).toBe(once)
      }),
    )
  })

  it("returns the same value where there is no secret, and a value that is still JSON where there is one", () => {
    const redactor = redactorOf('a"quoted\\secret')
    const clean = { list: [1, "two", { three: null }], ["__proto__"]: "x" }
    expect(redactor.value(clean)).toBe(clean)
    const text = JSON.stringify({ header: 'Bearer a"quoted\\secret', list: ['a"quoted\\secret'] })
    expect(JSON.parse(redactor.text(text))).toEqual({ header: "Bearer [secret S0]", list: ["[secret S0]"] })
    expect(redactor.value(JSON.parse(text))).toEqual(JSON.parse(redactor.text(text)))
  })

  it("replaces keys, and keeps two that become the same", () => {
    const redactor = redactorOf("first-secret", "second-secret")
    const both = redactor.value({ "first-secret": 1, "Rfirst-secret": 2, "[secret S0]": 3 })
    expect(Object.values(both)).toEqual([1, 2, 3])
    expect(JSON.stringify(both)).not.toContain("first-secret")
  })

  it("takes each part of a value once, however deep the secret is", () => {
    const redactor = redactorOf("first-secret")
    let value: unknown = "first-secret"
    for (let depth = 0; depth < 400; depth++) value = depth % 2 === 0 ? { before: 1, in: value, after: "x" } : [value]
    expect(JSON.stringify(redactor.value(value))).toBe(JSON.stringify(value).replace("first-secret", "[secret S0]"))
  })

  it("finds the name of a secret and its path, without its value", () => {
    const redactor = redactorOf("first-secret", "second-secret")
    expect(redactor.find({ a: [{ b: "x" }, { c: "is second-secret" }] })).toEqual({ name: "S1", path: "a[1].c" })
    expect(redactor.find({ a: { "first-secret": 1 } })).toEqual({ name: "S0", path: "a.[secret S0]" })
    expect(redactor.find("first-secret")).toEqual({ name: "S0", path: "" })
    expect(redactor.find({ a: [1, null, "x"] })).toBeUndefined()
  })

  it("replaces each line of a private key, and not its first line", () => {
    const [one, two] = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"]
    const key = `-----BEGIN PRIVATE KEY-----\n${one}\n${two}\n-----END PRIVATE KEY-----\n`
    const redactor = redactorOf(key)
    expect(redactor.text(`line 2 is ${one}`)).toBe("line 2 is [secret S0]")
    expect(redactor.text("-----BEGIN PRIVATE KEY-----")).toBe("-----BEGIN PRIVATE KEY-----")
    expect(redactor.text(JSON.stringify({ key }))).toBe('{"key":"[secret S0]\\n"}')
  })

  it("leaves a name out of the replacement that would not be valid in JSON or holds the secret", () => {
    const out = Redactor.make([
      { name: 'a"b', value: "first-secret" },
      { name: "my second-secret", value: "second-secret" },
    ])
    expect(out.text("first-secret second-secret")).toBe("[secret] [secret]")
  })

  it.each([
    ["short", "is shorter than 8 characters"],
    ["   padded   ", "is shorter than 8 characters"],
    ["Undefined", "is a common word"],
    ["aaaaaaaaabab", "consists of fewer than three different characters"],
    ["12345678", "is a short number"],
  ])("refuses %j as a secret", (value, reason) => {
    expect(Redactor.weakness(value)).toBe(reason)
  })

  it("takes values that are long and rare enough", () => {
    for (const value of ["sk-ant-1", "correct horse", "pässwörter", "1234567890123"])
      expect(Redactor.weakness(value)).toBeUndefined()
  })
})
