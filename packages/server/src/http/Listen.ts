/**
 * Listens for requests, in Bun.
 */
import * as Later from "@smithers/core/Later"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { App } from "./App.ts"

/** The address cannot be listened on. */
export class CannotListen extends Later.TaggedError<CannotListen>()("CannotListen", {
  host: Schema.String,
  port: Schema.Number,
  problem: Schema.String,
}) {
  override get message(): string {
    return `Nothing can listen on ${this.host}, port ${this.port}: ${this.problem}. Choose another one: --port, or --port 0 for any.`
  }
}

/** Seconds after which a silent connection is closed. Streams send a comment more often. */
const idleSeconds = 60

/** Listens until the scope closes, which also closes all streams. Completes with the address. */
export const listen = (app: App, { host, port }: { readonly host: string; readonly port: number }) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({
        try: () =>
          Bun.serve({
            hostname: host,
            port,
            idleTimeout: idleSeconds,
            // The guard has a smaller bound and says so.
            maxRequestBodySize: 16 << 20,
            development: false,
            fetch: app,
          }),
        catch: (thrown) => new CannotListen({ host, port, problem: (thrown as Error).message }),
      }),
      (server) => Effect.promise(() => server.stop(true)),
    ),
    (server) => ({ port: server.port ?? port, url: urlOf(host, server.port ?? port) }),
  ) satisfies Effect.Effect<{ readonly port: number; readonly url: string }, CannotListen, Scope.Scope>

/** The address for people: wildcards are no host. */
const urlOf = (host: string, port: number): string => {
  const name = host === "0.0.0.0" || host === "::" ? "localhost" : host
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`
}

/** Hosts that only programs of this machine reach. */
export const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)
