/**
 * A built page from a folder. All of its files are listed when it starts, so that no path of a request leads elsewhere.
 */
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { extname, join, sep } from "node:path"

const types: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
}

/** Answers requests for a page; `undefined` if there is nothing on the path. */
export type Page = (request: Request) => Response | undefined

/** Encodings of files that were compressed when the page was built. */
const encodings = { ".br": "br", ".gz": "gzip" } as const

interface Asset {
  readonly bytes: Buffer<ArrayBuffer>
  readonly encoded: ReadonlyArray<readonly [encoding: string, bytes: Buffer<ArrayBuffer>]>
  readonly type: string
  readonly etag: string
  /** `true` if its name holds a hash of its content. */
  readonly isFixed: boolean
}

const read = (path: string): Buffer<ArrayBuffer> => Buffer.from(readFileSync(path))

const assetsOf = (folder: string): ReadonlyMap<string, Asset> => {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const assets = new Map<string, Asset>()
  for (const path of names) {
    const type = types[extname(path)]
    if (type === undefined) continue
    const bytes = read(path)
    const encoded = Object.entries(encodings).flatMap(([ending, encoding]) =>
      existsSync(path + ending) ? [[encoding, read(path + ending)] as const] : [],
    )
    const name = path.slice(folder.length).replaceAll(sep, "/")
    const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`
    assets.set(name, { bytes, encoded, type, etag, isFixed: /-[\w]{8,}\.\w+$/.test(name) })
  }
  return assets
}

/** Serves the files of a folder. Paths without a file of their own get its `index.html`, which knows them; missing files get nothing. */
export const folder = (path: string): Page => {
  const assets = assetsOf(path)
  return (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") return undefined
    const { pathname } = new URL(request.url)
    const isFile = Object.hasOwn(types, extname(pathname))
    const asset = assets.get(pathname) ?? (isFile ? undefined : assets.get("/index.html"))
    if (asset === undefined) return undefined
    const headers = {
      "content-type": asset.type,
      etag: asset.etag,
      vary: "accept-encoding",
      "cache-control": asset.isFixed ? "public, max-age=31536000, immutable" : "no-cache",
    }
    if (request.headers.get("if-none-match") === asset.etag) return new Response(null, { status: 304, headers })
    const accepted = request.headers.get("accept-encoding") ?? ""
    const encoded = asset.encoded.find(([encoding]) => new RegExp(`\\b${encoding}\\b`).test(accepted))
    const body = request.method === "HEAD" ? null : (encoded?.[1] ?? asset.bytes)
    return new Response(body, { headers: { ...headers, ...(encoded === undefined ? {} : { "content-encoding": encoded[0] }) } })
  }
}

/** Serves a few lines of text where there is no built page. */
export const text: Page = (request) => {
  const { pathname } = new URL(request.url)
  if (request.method !== "GET" || pathname !== "/") return undefined
  return new Response(
    "smithers serves its API here, below /api/v1. This installation has no built page.\nThe API is described in /api/v1/openapi.json.\n",
    { headers: { "content-type": "text/plain; charset=utf-8" } },
  )
}
