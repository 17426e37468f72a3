/**
 * A built page, as a server hands it out.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Static from "@smithers/server/http/Static"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

describe("a built page", () => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-page-"))
  let page: Static.Page
  const get = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    const response = page(new Request(`http://127.0.0.1${path}`, { headers, method }))
    return response === undefined ? undefined : { status: response.status, headers: response.headers, text: await response.text() }
  }

  beforeAll(() => {
    mkdirSync(join(folder, "assets"))
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>runs</title>")
    writeFileSync(join(folder, "assets", "main-a1b2c3d4.js"), "run()")
    writeFileSync(join(folder, "assets", "main-a1b2c3d4.js.br"), "compressed")
    writeFileSync(join(folder, "secret.key"), "no page has such a file")
    symlinkSync("/etc/hostname", join(folder, "link.txt"))
    page = Static.folder(folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("answers every path without a file of its own, also with dots and signs of an id, and asks again each time", async () => {
    for (const path of ["/", "/runs/m1abc2", "/runs/a.b%2Fc/nodes/x", "/runs/nightly@2026-03-29T01:30Z?frame=3"]) {
      const found = await get(path)
      expect([path, found?.text]).toEqual([path, "<!doctype html><title>runs</title>"])
      expect(found?.headers.get("cache-control")).toBe("no-cache")
    }
    const etag = (await get("/"))?.headers.get("etag") ?? ""
    expect(await get("/", { "if-none-match": etag })).toMatchObject({ status: 304, text: "" })
    expect(await get("/", {}, "HEAD")).toMatchObject({ status: 200, text: "" })
  })

  it("keeps files whose names hold a hash for ever, and compressed to clients that take that", async () => {
    const plain = await get("/assets/main-a1b2c3d4.js")
    expect(plain).toMatchObject({ status: 200, text: "run()" })
    expect(plain?.headers.get("cache-control")).toContain("immutable")
    const packed = await get("/assets/main-a1b2c3d4.js", { "accept-encoding": "gzip, br" })
    expect(packed?.headers.get("content-encoding")).toBe("br")
    expect(packed?.text).toBe("compressed")
  })

  it("has nothing in place of a file that is missing, is outside, or is no part of a page", async () => {
    for (const path of [
      "/assets/main-00000000.js",
      "/missing.css",
      "/../../etc/passwd.txt",
      "/%2e%2e/%2e%2e/etc/hosts.json",
      "/link.txt",
    ])
      expect([path, await get(path)]).toEqual([path, undefined])
    expect((await get("/secret.key"))?.text).not.toContain("no page")
    expect(await get("/", {}, "POST")).toBeUndefined()
  })
})
