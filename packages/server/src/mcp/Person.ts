/**
 * The person behind a client, who confirms decisions.
 */
import * as Later from "@smithers/core/Later"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Nobody was asked, so nothing was decided. */
export class PersonNeeded extends Later.TaggedError<PersonNeeded>()("PersonNeeded", {
  runId: Schema.String,
  nodeId: Schema.String,
  command: Schema.String,
}) {
  override get message(): string {
    return `A person decides about "${this.nodeId}" of run "${this.runId}", and this client cannot ask one. Nothing was decided. Ask the person to run: ${this.command}. Or start the server with --allow-approve.`
  }
}

/** The person did not confirm the decision. */
export class PersonDeclined extends Later.TaggedError<PersonDeclined>()("PersonDeclined", {
  runId: Schema.String,
  nodeId: Schema.String,
}) {
  override get message(): string {
    return `The person did not confirm the decision about "${this.nodeId}" of run "${this.runId}". Nothing was decided. Do not ask again unless the person wants it.`
  }
}

export interface PersonShape {
  /** Shows a text, and completes with `true` if the person confirms it. Absent if the client cannot ask. */
  readonly confirm: ((text: string) => Effect.Effect<boolean>) | undefined
  /** `true` if the operator lets clients decide that cannot ask. */
  readonly isTrusted: boolean
}

/** The person behind a client. */
export class Person extends Context.Tag("@smithers/server/Person")<Person, PersonShape>() {}
