/**
 * A proxy for HTTP and HTTPS that one command has to itself. It listens on a socket in the file system: whoever reaches the socket is that command. It
 * connects to the hosts of one list, whose names are resolved here. An address of this machine or of a private network is refused for a name from outside,
 * since whoever owns a name decides where it leads.
 */

import { lookup } from "node:dns/promises"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { BlockList, connect, createServer, isIP, isIPv6, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A host of a list. */
interface Rule {
  readonly host: string
  /** All names below the host, and not the host itself. */
  readonly isBelow: boolean
  /** Of 80 and 443 where there is none. */
  readonly port: number | undefined
}

const parse = (listed: string): Rule => {
  const [, name = "", port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(listed.toLowerCase()) ?? [undefined, listed.toLowerCase()]
  const isBelow = name.startsWith("*.")
  return { host: isBelow ? name.slice(2) : bare(name), isBelow, port: port === undefined ? undefined : Number(port) }
}

/** A host without the brackets of an IPv6 address and the dot of a complete name. */
const bare = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "")

const matches = ({ host, isBelow, port }: Rule, to: string, toPort: number): boolean =>
  (isBelow ? to.endsWith(`.${host}`) : to === host) && (port === undefined ? toPort === 80 || toPort === 443 : port === toPort)

/** Addresses of this machine, of private networks, and of services that clouds give to their machines. */
const inside = new BlockList()
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const)
  inside.addSubnet(network, bits, "ipv4")
for (const [network, bits] of [
  ["::", 127],
  ["::ffff:0:0", 96],
  ["64:ff9b::", 96],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  inside.addSubnet(network, bits, "ipv6")

const isInside = (address: string): boolean => inside.check(address, isIPv6(address) ? "ipv6" : "ipv4")

/** `true` for a host that is listed by its address, or is this machine by name: then an address inside is meant. */
const isMeantInside = (host: string): boolean => isIP(host) !== 0 || host === "localhost" || host.endsWith(".localhost")

/** Bytes of the head of a request. */
const longestHead = 64 * 1024

/** Milliseconds in which a request is to say where it goes, and a host to answer the connection. */
const patienceMs = 10_000

const refuse = (socket: Socket, status: string, text: string): void => {
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}

/** The target of a request, and its head as the target is to see it; `undefined` for what is no request to a proxy. */
const targetOf = (
  head: string,
): { readonly host: string; readonly port: number; readonly forwarded: string | undefined } | undefined => {
  const [, method = "", target = "", rest = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r\n([\s\S]*)$/.exec(head) ?? []
  if (method === "CONNECT") {
    const [, host = "", port = ""] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(target) ?? []
    return host === "" ? undefined : { host: bare(host), port: Number(port), forwarded: undefined }
  }
  if (!URL.canParse(target)) return undefined
  const { protocol, hostname, port, pathname, search } = new URL(target)
  if (protocol !== "http:") return undefined
  // One request for each connection: a second one could go elsewhere.
  const headers = rest
    .split("\r\n")
    .filter((line) => !/^(proxy-[\w-]+|connection|keep-alive):/i.test(line))
    .join("\r\n")
  const forwarded = `${method} ${pathname}${search} HTTP/1.1\r\nConnection: close\r\n${headers}`
  return { host: bare(hostname), port: port === "" ? 80 : Number(port), forwarded }
}

const serve = (rules: ReadonlyArray<Rule>, client: Socket): void => {
  let head = Buffer.alloc(0)
  client.setTimeout(patienceMs, () => client.destroy())
  client.on("error", () => client.destroy())
  const read = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf("\r\n\r\n")
    if (end < 0) {
      if (head.length > longestHead) refuse(client, "431 Request Header Fields Too Large", "The head of the request is too long.\n")
      return
    }
    client.off("data", read)
    client.pause()
    const target = targetOf(head.subarray(0, end + 4).toString("latin1"))
    if (target === undefined) return refuse(client, "400 Bad Request", "This proxy takes CONNECT, and http:// addresses.\n")
    const { host, port, forwarded } = target
    const rule = rules.find((one) => matches(one, host, port))
    if (rule === undefined)
      return refuse(
        client,
        "403 Forbidden",
        `The policy of this command does not allow ${host}:${port}. It allows: ${rules.map(shown).join(", ")}.\n`,
      )
    void open(host, port, isMeantInside(rule.host)).then(
      (server) => {
        client.setTimeout(0)
        server.on("error", () => client.destroy())
        client.on("close", () => server.destroy())
        server.on("close", () => client.destroy())
        const rest = head.subarray(end + 4)
        if (forwarded === undefined) client.write("HTTP/1.1 200 Connection Established\r\n\r\n")
        server.write(forwarded === undefined ? rest : Buffer.concat([Buffer.from(forwarded, "latin1"), rest]))
        server.pipe(client)
        client.pipe(server)
        client.resume()
      },
      (problem: unknown) => refuse(client, "502 Bad Gateway", `${host}:${port} cannot be reached: ${String(problem)}\n`),
    )
  }
  client.on("data", read)
}

const shown = ({ host, isBelow, port }: Rule): string => `${isBelow ? "*." : ""}${host}${port === undefined ? "" : `:${port}`}`

/** Connects to the first address of a host that may be meant. The address that is checked is the one that is connected to. */
const open = async (host: string, port: number, mayBeInside: boolean): Promise<Socket> => {
  const found = isIP(host) !== 0 ? [host] : (await lookup(host, { all: true })).map(({ address }) => address)
  const allowed = found.filter((address) => mayBeInside || !isInside(address))
  let problem: unknown = "its name leads to an address of a private network"
  for (const address of allowed) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host: address, port, timeout: patienceMs })
        socket.once("connect", () => {
          socket.setTimeout(0)
          resolve(socket)
        })
        socket.once("timeout", () => socket.destroy(new Error("no answer in 10 seconds")))
        socket.once("error", reject)
      })
    } catch (thrown) {
      problem = thrown
    }
  }
  throw problem
}

/** Listens for one command until the scope closes. The socket is in a directory that only this user can enter. */
export const listen = (hosts: ReadonlyArray<string>): Effect.Effect<{ readonly socket: string }, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const folder = mkdtempSync(join(tmpdir(), "smithers-proxy-"))
        const socket = join(folder, "proxy.sock")
        const rules = hosts.map(parse)
        const clients = new Set<Socket>()
        const server: Server = createServer((client) => {
          clients.add(client)
          client.on("close", () => clients.delete(client))
          serve(rules, client)
        })
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject)
          server.listen(socket, resolve)
        })
        chmodSync(socket, 0o600)
        return { server, clients, socket, folder }
      }),
      ({ server, clients, folder }) =>
        Effect.sync(() => {
          server.close()
          for (const client of clients) client.destroy()
          rmSync(folder, { recursive: true, force: true })
        }),
    ),
    ({ socket }) => ({ socket }),
  )
