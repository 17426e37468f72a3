/** The Anthropic Messages API, as the fake provider reads and speaks it. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import {
  type Asked,
  type Block,
  type Event,
  Invalid,
  id,
  type Protocol,
  type ProviderRequest,
  pieces,
  type Reply,
  type Result,
  type Usage,
} from "./Protocol.ts"

const Part = Schema.Struct({
  type: Schema.String,
  text: Schema.optional(Schema.String),
  id: Schema.optional(Schema.String),
  name: Schema.optional(Schema.String),
  tool_use_id: Schema.optional(Schema.String),
  is_error: Schema.optional(Schema.Boolean),
  content: Schema.optional(Schema.Unknown),
})
type Part = typeof Part.Type

const Parts = Schema.Union(Schema.String, Schema.Array(Part))

const Body = Schema.Struct({
  model: Schema.String,
  max_tokens: Schema.Int,
  system: Schema.optional(Parts),
  messages: Schema.NonEmptyArray(Schema.Struct({ role: Schema.Literal("user", "assistant", "system"), content: Parts })),
  tools: Schema.optional(Schema.Array(Schema.Struct({ name: Schema.String }))),
  stream: Schema.optional(Schema.Boolean),
  output_format: Schema.optional(Schema.Struct({ schema: Schema.Unknown })),
  output_config: Schema.optional(Schema.Struct({ format: Schema.optional(Schema.Struct({ schema: Schema.Unknown })) })),
})

const partsOf = (content: typeof Parts.Type): ReadonlyArray<Part> =>
  typeof content === "string" ? [{ type: "text", text: content }] : content

const textOf = (content: unknown): string => {
  const parts = Schema.decodeUnknownOption(Parts)(content)
  if (parts._tag === "None") return content === undefined ? "" : JSON.stringify(content)
  return partsOf(parts.value)
    .flatMap(({ text }) => text ?? [])
    .join("\n")
}

const read = (given: unknown): Asked => {
  const decoded = Schema.decodeUnknownEither(Body)(given)
  if (Either.isLeft(decoded)) throw new Invalid(decoded.left.message)
  const { model, system = "", messages, tools = [], stream = false, output_format, output_config } = decoded.right
  const names = new Map<string, string>()
  const all: Array<Result> = []
  let [user, results, open]: [string, Array<Result>, Set<string>] = ["", [], new Set()]
  for (const [index, { role, content }] of messages.entries()) {
    const parts = partsOf(content)
    if (role === "assistant") {
      results = []
      open = new Set()
      for (const part of parts) {
        if (part.type !== "tool_use" || part.id === undefined) continue
        names.set(part.id, part.name ?? "")
        open.add(part.id)
      }
      continue
    }
    for (const part of parts) {
      if (part.type !== "tool_result" || part.tool_use_id === undefined) continue
      const call = part.tool_use_id
      if (!open.has(call)) throw new Invalid(`messages.${index}: unexpected tool_use_id ${call}: no tool_use has it`)
      const result = { id: call, tool: names.get(call) ?? "", text: textOf(part.content), isError: part.is_error === true }
      results.push(result)
      all.push(result)
    }
    const missing = [...open].filter((call) => !results.some((result) => result.id === call))
    if (missing.length > 0) throw new Invalid(`messages.${index}: tool_use ids without tool_result: ${missing.join(", ")}`)
    const text = role === "user" ? textOf(parts.filter(({ type }) => type === "text")) : ""
    if (text !== "") user = text
  }
  return {
    ...{ model, system: textOf(system), user, results, allResults: all, tools: tools.map(({ name }) => name) },
    ...{ isStreaming: stream, schema: output_format?.schema ?? output_config?.format?.schema },
  }
}

const usageOf = ({ input, output, cacheRead = 0, cacheWrite = 0 }: Usage = { input: 10, output: 5 }) => ({
  input_tokens: input,
  output_tokens: output,
  cache_creation_input_tokens: cacheWrite,
  cache_read_input_tokens: cacheRead,
})

const stopReasons = { stop: "end_turn", calls: "tool_use", length: "max_tokens", refusal: "refusal" } as const

const stopReason = ({ finish, blocks }: Reply): string =>
  stopReasons[finish ?? (blocks.some(({ kind }) => kind === "call") ? "calls" : "stop")]

const contentOf = (block: Block) => {
  if (block.kind === "text") return { type: "text", text: block.text }
  if (block.kind === "thinking") return { type: "thinking", thinking: block.text, signature: "signed" }
  return { type: "tool_use", id: block.id ?? id("toolu"), name: block.name, input: block.input }
}

const message = (request: ProviderRequest, content: ReadonlyArray<unknown>, reply: Reply, isOver: boolean) => ({
  ...{ id: id("msg"), type: "message", role: "assistant", model: request.model, content },
  ...{ stop_reason: isOver ? stopReason(reply) : null, stop_sequence: null },
  usage: isOver ? usageOf(reply.usage) : { ...usageOf(reply.usage), output_tokens: 1 },
})

const events = (block: Block, index: number): ReadonlyArray<Event> => {
  const delta = (delta: object) => ({ type: "content_block_delta", index, delta })
  const whole = contentOf(block)
  const stop = { type: "content_block_stop", index }
  if (block.kind === "call") {
    const text = block.rawInput ?? JSON.stringify(block.input)
    const deltas = pieces(text).map((partial_json) => delta({ type: "input_json_delta", partial_json }))
    return [{ type: "content_block_start", index, content_block: { ...whole, input: {} } }, ...deltas, stop]
  }
  if (block.kind === "text") {
    const deltas = pieces(block.text).map((text) => delta({ type: "text_delta", text }))
    return [{ type: "content_block_start", index, content_block: { ...whole, text: "" } }, ...deltas, stop]
  }
  const deltas = pieces(block.text).map((thinking) => delta({ type: "thinking_delta", thinking }))
  const signature = delta({ type: "signature_delta", signature: "signed" })
  return [
    { type: "content_block_start", index, content_block: { type: "thinking", thinking: "", signature: "" } },
    ...deltas,
    signature,
    stop,
  ]
}

const errorTypes: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "authentication_error"],
  [403, "permission_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [529, "overloaded_error"],
])

export const protocol: Protocol = {
  name: "anthropic",
  read,
  plain: (request: ProviderRequest, reply: Reply) => message(request, reply.blocks.map(contentOf), reply, true),
  stream: (request: ProviderRequest, reply: Reply) => [
    { type: "message_start", message: message(request, [], reply, false) },
    ...reply.blocks.flatMap(events),
    {
      type: "message_delta",
      delta: { stop_reason: stopReason(reply), stop_sequence: null },
      usage: { output_tokens: usageOf(reply.usage).output_tokens },
    },
    { type: "message_stop" },
  ],
  overloaded: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
  refusal: (status: number, type: string | undefined, message: string) => ({
    type: "error",
    error: { type: type ?? errorTypes.get(status) ?? "api_error", message },
  }),
  conversation: (body: unknown) => (typeof body === "object" && body !== null && "messages" in body ? body.messages : body),
}
