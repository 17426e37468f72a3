/** The OpenAI Responses API, as the fake provider reads and speaks it. */
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

const Parts = Schema.Union(
  Schema.String,
  Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) })),
)

/** A tool, or a namespace of tools. */
interface Offered {
  readonly type: string
  readonly name?: string | undefined
  readonly tools?: ReadonlyArray<Offered> | undefined
}

const Offered: Schema.Schema<Offered> = Schema.Struct({
  type: Schema.String,
  name: Schema.optional(Schema.String),
  tools: Schema.optional(Schema.Array(Schema.suspend(() => Offered))),
})

const Item = Schema.Struct({
  tools: Schema.optional(Schema.Array(Offered)),
  id: Schema.optional(Schema.NullOr(Schema.String)),
  type: Schema.optional(Schema.String),
  role: Schema.optional(Schema.String),
  content: Schema.optional(Schema.NullOr(Parts)),
  call_id: Schema.optional(Schema.String),
  name: Schema.optional(Schema.String),
  output: Schema.optional(Schema.Unknown),
})

const Body = Schema.Struct({
  model: Schema.String,
  instructions: Schema.optional(Schema.NullOr(Schema.String)),
  input: Schema.Union(Schema.String, Schema.Array(Item)),
  tools: Schema.optional(Schema.Array(Offered)),
  stream: Schema.optional(Schema.Boolean),
  text: Schema.optional(Schema.Struct({ format: Schema.optional(Schema.Struct({ schema: Schema.optional(Schema.Unknown) })) })),
})

/** The tools of a request, also those that Codex adds as an item, with the namespaces they are in. */
const offeredIn = ({ tools = [], input }: typeof Body.Type): ReadonlyArray<Offered & { readonly namespace?: string }> => {
  const added = typeof input === "string" ? [] : input.flatMap((item) => item.tools ?? [])
  return [...tools, ...added].flatMap((tool) =>
    tool.type === "namespace" ? (tool.tools ?? []).map((inner) => ({ ...inner, namespace: tool.name ?? "" })) : [tool],
  )
}

const textOf = (content: unknown): string => {
  const parts = Schema.decodeUnknownOption(Parts)(content)
  if (parts._tag === "None") return content === undefined ? "" : JSON.stringify(content)
  return typeof parts.value === "string" ? parts.value : parts.value.flatMap(({ text }) => text ?? []).join("\n")
}

/** Items of earlier answers, which clients send back by their ids alone. */
const stored = new Map<string, typeof Item.Type>()

const read = (given: unknown): Asked => {
  const decoded = Schema.decodeUnknownEither(Body)(given)
  if (Either.isLeft(decoded)) throw new Invalid(decoded.left.message)
  const { model, instructions, input, stream = false, text } = decoded.right
  const items = typeof input === "string" ? [{ role: "user", content: input }] : input
  const names = new Map<string, string>()
  const [system, all]: [Array<string>, Array<Result>] = [instructions ? [instructions] : [], []]
  let [user, results]: [string, Array<Result>] = ["", []]
  for (const given of items) {
    const item = given.type === "item_reference" ? stored.get(given.id ?? "") : given
    if (item === undefined) throw new Invalid(`Item with id '${given.id}' not found.`)
    const said = textOf(item.content ?? undefined)
    const isCall = item.type === "function_call" || item.type === "custom_tool_call"
    if (item.role === "system" || item.role === "developer") system.push(said)
    if (item.role === "user" && said !== "") user = said
    if (item.role === "assistant" || isCall) results = []
    if (isCall && item.call_id !== undefined) names.set(item.call_id, item.name ?? "")
    if (item.type !== "function_call_output" && item.type !== "custom_tool_call_output") continue
    const call = item.call_id ?? ""
    const tool = names.get(call)
    if (tool === undefined) throw new Invalid(`No tool call found for function call output with call_id ${call}.`)
    const result = { id: call, tool, text: textOf(item.output), isError: false }
    results.push(result)
    all.push(result)
  }
  const missing = [...names.keys()].find((call) => !all.some((result) => result.id === call))
  if (missing !== undefined) throw new Invalid(`No tool output found for function call ${missing}.`)
  return {
    ...{ model, system: system.join("\n"), user, results, allResults: all },
    tools: offeredIn(decoded.right).map(({ type, name }) => name ?? type),
    ...{ isStreaming: stream, schema: text?.format?.schema },
  }
}

const usageOf = ({ input, output, cacheRead = 0, reasoning = 0 }: Usage = { input: 10, output: 5 }) => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cacheRead },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: reasoning },
  total_tokens: input + output,
})

const itemOf = (block: Block, request: ProviderRequest) => {
  if (block.kind === "text") {
    const content = [{ type: "output_text", text: block.text, annotations: [], logprobs: [] }]
    return { type: "message", id: id("msg"), role: "assistant", status: "completed", content }
  }
  if (block.kind === "thinking")
    return { type: "reasoning", id: id("rs"), summary: [{ type: "summary_text", text: block.text }], encrypted_content: null }
  const tool = offeredIn(Schema.decodeUnknownSync(Body)(request.body)).find(({ name }) => name === block.name)
  const namespace = tool?.namespace === undefined ? {} : { namespace: tool.namespace }
  if (tool?.type === "custom") {
    const input = block.rawInput ?? String(block.input)
    return {
      ...{ type: "custom_tool_call", id: id("ctc"), call_id: block.id ?? id("call"), name: block.name },
      ...namespace,
      input,
    }
  }
  return {
    ...namespace,
    ...{ type: "function_call", id: id("fc"), call_id: block.id ?? id("call"), name: block.name },
    ...{ arguments: block.rawInput ?? JSON.stringify(block.input), status: "completed" },
  }
}

type Item = ReturnType<typeof itemOf>

const itemsOf = (request: ProviderRequest, reply: Reply): ReadonlyArray<Item> => {
  const items = reply.blocks.map((block) => itemOf(block, request))
  for (const item of items) stored.set(item.id, item)
  return items
}

const response = (request: ProviderRequest, output: ReadonlyArray<Item>, reply: Reply, isOver: boolean) => ({
  ...{ id: id("resp"), object: "response", created_at: Math.floor(Date.now() / 1000), model: request.model, output },
  status: isOver ? (reply.finish === "length" ? "incomplete" : "completed") : "in_progress",
  incomplete_details: isOver && reply.finish === "length" ? { reason: "max_output_tokens" } : null,
  ...{ error: null, instructions: null, metadata: {}, parallel_tool_calls: true, previous_response_id: null, reasoning: null },
  ...{ store: false, temperature: 1, text: { format: { type: "text" } }, tool_choice: "auto", tools: [], top_p: 1 },
  ...{ truncation: "disabled", user: null, usage: isOver ? usageOf(reply.usage) : null },
})

const events = (block: Block, item: Item, output_index: number): ReadonlyArray<Event> => {
  const at = { output_index, item_id: item.id }
  const added = (item: unknown) => ({ type: "response.output_item.added", output_index, item })
  const done = { type: "response.output_item.done", output_index, item }
  if ("input" in item) {
    const deltas = pieces(item.input).map((delta) => ({ type: "response.custom_tool_call_input.delta", ...at, delta }))
    const end = { type: "response.custom_tool_call_input.done", ...at, input: item.input }
    return [added({ ...item, input: "" }), ...deltas, end, done]
  }
  if (block.kind === "call") {
    const whole = block.rawInput ?? JSON.stringify(block.input)
    const deltas = pieces(whole).map((delta) => ({ type: "response.function_call_arguments.delta", ...at, delta }))
    const end = { type: "response.function_call_arguments.done", ...at, name: block.name, arguments: whole }
    return [added({ ...item, arguments: "", status: "in_progress" }), ...deltas, end, done]
  }
  if (block.kind === "thinking") {
    const part = { ...at, summary_index: 0 }
    const deltas = pieces(block.text).map((delta) => ({ type: "response.reasoning_summary_text.delta", ...part, delta }))
    const begin = { type: "response.reasoning_summary_part.added", ...part, part: { type: "summary_text", text: "" } }
    const end = { type: "response.reasoning_summary_part.done", ...part, part: { type: "summary_text", text: block.text } }
    return [added({ ...item, summary: [] }), begin, ...deltas, end, done]
  }
  const part = { ...at, content_index: 0 }
  const text = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] })
  const deltas = pieces(block.text).map((delta) => ({ type: "response.output_text.delta", ...part, delta, logprobs: [] }))
  return [
    added({ ...item, content: [], status: "in_progress" }),
    { type: "response.content_part.added", ...part, part: text("") },
    ...deltas,
    { type: "response.output_text.done", ...part, text: block.text, logprobs: [] },
    { type: "response.content_part.done", ...part, part: text(block.text) },
    done,
  ]
}

const errorTypes: ReadonlyMap<number, string> = new Map([
  [400, "invalid_request_error"],
  [401, "invalid_request_error"],
  [429, "rate_limit_exceeded"],
])

const numbered = (all: ReadonlyArray<Event>): ReadonlyArray<Event> =>
  all.map((event, sequence_number) => ({ ...event, sequence_number }))

export const protocol: Protocol = {
  name: "openai",
  read,
  plain: (request: ProviderRequest, reply: Reply) => response(request, itemsOf(request, reply), reply, true),
  stream: (request: ProviderRequest, reply: Reply) => {
    const items = itemsOf(request, reply)
    const begun = response(request, [], reply, false)
    const last = reply.finish === "length" ? "response.incomplete" : "response.completed"
    return numbered([
      { type: "response.created", response: begun },
      { type: "response.in_progress", response: begun },
      ...reply.blocks.flatMap((block, index) => {
        const item = items[index]
        return item === undefined ? [] : events(block, item, index)
      }),
      { type: last, response: { ...response(request, items, reply, true), id: begun.id } },
    ])
  },
  overloaded: {
    ...{ type: "error", sequence_number: 0, code: "server_is_overloaded", message: "Our servers are overloaded.", param: null },
    error: { type: "service_unavailable_error", code: "server_is_overloaded", message: "Our servers are overloaded.", param: null },
  },
  refusal: (status: number, type: string | undefined, message: string) => ({
    error: { message, type: type ?? errorTypes.get(status) ?? "server_error", param: null, code: type ?? null },
  }),
  conversation: (body: unknown) => (typeof body === "object" && body !== null && "input" in body ? body.input : body),
}
