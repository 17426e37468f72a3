/**
 * The caller of an operation: a name, and the scope of its token.
 */
import * as Context from "effect/Context"

/** Scopes, each with those before it. */
export const scopes = ["metrics", "read", "decide", "operate", "admin"] as const

/** A scope: read the metrics, look, decide about requests, control runs, change history. */
export type Scope = (typeof scopes)[number]

/** Returns `true` if a granted scope holds another. */
export const includes = (granted: Scope, wanted: Scope): boolean => scopes.indexOf(granted) >= scopes.indexOf(wanted)

/** A caller. */
export interface CallerShape {
  /** Name of the token. Decisions are stored with it. */
  readonly name: string
  readonly scope: Scope
  /** Run that the caller works in. It never decides what that run, its child runs or its forks ask. */
  readonly runId?: string
}

export class Caller extends Context.Tag("@smithers/server/Caller")<Caller, CallerShape>() {}
