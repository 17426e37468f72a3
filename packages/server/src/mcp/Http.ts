/**
 * The protocol over HTTP, behind the guard of the server: one connection for each client, held by the token that opened it.
 */
import type { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js"
import { refuse } from "../http/Guard.ts"
import type { CallerShape } from "../operations/Caller.ts"
import * as Mcp from "./Server.ts"

/** Most connections at a time. The one that was silent for longest makes room. */
const mostConnections = 100

interface Connection {
  readonly caller: CallerShape
  readonly transport: WebStandardStreamableHTTPServerTransport
}

/** Answers a request of an admitted caller. */
export type Handler = (request: Request, caller: CallerShape) => Promise<Response>

const isSame = (one: CallerShape, other: CallerShape): boolean =>
  one.name === other.name && one.scope === other.scope && one.runId === other.runId

/** Makes the handler of `/mcp`. */
export const make = (options: Omit<Mcp.McpOptions, "caller">): Handler => {
  // In the order of their last requests.
  const connections = new Map<string, Connection>()
  const open = async (caller: CallerShape): Promise<WebStandardStreamableHTTPServerTransport> => {
    const { WebStandardStreamableHTTPServerTransport: Transport } = await import(
      "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js"
    )
    const transport = new Transport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => {
        connections.set(id, { caller, transport })
        const [oldest] = connections
        if (connections.size > mostConnections && oldest !== undefined) {
          connections.delete(oldest[0])
          void oldest[1].transport.close()
        }
      },
      onsessionclosed: (id) => void connections.delete(id),
    })
    const server = await Mcp.make({ ...options, caller })
    await server.connect(transport)
    return transport
  }
  return async (request, caller) => {
    const id = request.headers.get("mcp-session-id")
    if (id === null) return (await open(caller)).handleRequest(request)
    const known = connections.get(id)
    // A connection of another token is no better than none, also of one that had its name and other rights.
    if (known === undefined || !isSame(known.caller, caller))
      return refuse(404, "NoSuchConnection", "This connection is not open. Begin a new one.")
    connections.delete(id)
    connections.set(id, known)
    return known.transport.handleRequest(request)
  }
}
