import { RunEvent } from "@smithers/core/RunEvent"
import * as AST from "effect/SchemaAST"

/** The types of events. */
export const eventTypes: ReadonlyArray<RunEvent["_tag"]> = RunEvent.members.flatMap(({ ast }) => {
  const type = AST.getPropertySignatures(ast).find(({ name }) => name === "_tag")?.type
  return type?._tag === "Literal" ? [type.literal as RunEvent["_tag"]] : []
})
