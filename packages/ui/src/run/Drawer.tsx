/** @jsxImportSource react */
/** Everything about one node: its attempts, the conversation, output, error, waits, files, and differences between attempts. */

import type { ErrorCause } from "@smithers/core/ErrorInfo"
import type { AttemptSummary, NodeSummary, WaitSummary } from "@smithers/core/RunReader"
import type { SettledStatus } from "@smithers/core/Status"
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { Link } from "wouter"
import type { Details, Transcript } from "../api/Answers.ts"
import * as Queries from "../api/Queries.ts"
import { useKeys } from "../app/Keyboard.ts"
import { usePlace } from "../app/Place.ts"
import { Ago, Chip, Clock, Problem, Tabs, Took } from "../parts/Basics.tsx"
import { Value } from "../parts/Value.tsx"
import { toneOf } from "../plan/Tone.ts"
import { list, number, runAddress } from "../state/Url.ts"
import * as Times from "../text/Times.ts"
import { useTell } from "./Actions.tsx"
import { NodeChanges } from "./Compare.tsx"
import { Decide } from "./Decide.tsx"
import { RevertDialog } from "./Revert.tsx"

interface Props {
  readonly runId: string
  readonly nodeId: string
  /** `true` for a node of a child run of the run that is shown. */
  readonly isOfChild?: boolean
  readonly kind: string | undefined
  readonly details: Details | undefined
  /** The nodes as of the frame that is shown; those of now where there is none. */
  readonly nodes: ReadonlyArray<NodeSummary & { readonly output?: unknown }>
  readonly waits: ReadonlyArray<WaitSummary>
  readonly frame: number | undefined
  /** The time of the frame. */
  readonly until: number | undefined
}

type Panel = "about" | "chat" | "output" | "diff" | "files"

/** Statuses of a step that can be run again. */
const settled: { readonly [S in SettledStatus]: true } = { finished: true, skipped: true, failed: true }

export const Drawer = ({ runId, nodeId, isOfChild = false, kind, details, nodes, waits, frame, until }: Props) => {
  const { place, change } = usePlace()
  const { tell, isBusy, problem } = useTell(runId)
  const [isBack, setBack] = useState(false)
  const mine = nodes.filter((node) => node.nodeId === nodeId).toSorted((left, right) => left.iteration - right.iteration)
  const iteration = number(place.query.iteration) ?? mine.at(-1)?.iteration ?? 0
  const node = mine.find((one) => one.iteration === iteration)
  const attempts = (details?.attempts ?? []).filter(
    (one) => one.nodeId === nodeId && one.iteration === iteration && (until === undefined || (one.startedAt ?? 0) <= until),
  )
  const chosen = number(place.query.attempt)
  const attempt = attempts.find((one) => one.attempt === chosen) ?? attempts.at(-1)
  const open = waits.filter((wait) => wait.nodeId === nodeId && wait.iteration === iteration)
  const hasChat = attempts.some(({ turns }) => turns.length > 0) || (attempt?.status === "running" && details !== undefined)
  const snapshots = (details?.snapshots ?? []).filter((one) => one.nodeId === nodeId && one.iteration === iteration)
  const tabs = [
    { name: "about" as const, label: "About" },
    ...(hasChat ? [{ name: "chat" as const, label: "Conversation" }] : []),
    { name: "output" as const, label: "Output" },
    ...(attempts.length > 1 ? [{ name: "diff" as const, label: "Compare" }] : []),
    ...(snapshots.length > 0 ? [{ name: "files" as const, label: "Files" }] : []),
  ]
  const panel: Panel = tabs.find(({ name }) => name === place.query.panel)?.name ?? "about"
  const close = (): void => change({ node: undefined, in: undefined, iteration: undefined, attempt: undefined, panel: undefined })
  useKeys([], { close })
  return (
    <aside className="drawer" aria-label={`Node ${nodeId}`}>
      <header>
        <div className="bar">
          <h2 className="grow cut" title={nodeId}>
            {nodeId}
          </h2>
          {node === undefined ? <Chip tone="idle">to come</Chip> : <Chip tone={toneOf(node.status)}>{node.status}</Chip>}
          <button type="button" className="plain" aria-label="Close" onClick={close}>
            ✕
          </button>
        </div>
        {isOfChild ? (
          <div className="bar soft">
            <span className="cut">
              in the child run <Link href={runAddress(runId, { node: nodeId })}>{runId}</Link>
            </span>
          </div>
        ) : null}
        <div className="bar soft">
          <span>{kind ?? node?.kind ?? "node"}</span>
          {mine.length > 1 ? (
            <label>
              iteration{" "}
              <select value={iteration} onChange={({ target }) => change({ iteration: target.value, attempt: undefined })}>
                {mine.map((one) => (
                  <option key={one.iteration} value={one.iteration}>
                    {one.iteration} {one.status}
                  </option>
                ))}
              </select>
            </label>
          ) : null}
          {attempts.length > 1 ? (
            <label>
              attempt{" "}
              <select value={attempt?.attempt} onChange={({ target }) => change({ attempt: target.value })}>
                {attempts.map((one) => (
                  <option key={one.attempt} value={one.attempt}>
                    {one.attempt} {one.status}
                  </option>
                ))}
              </select>
            </label>
          ) : null}
          {frame === undefined && !isOfChild && node !== undefined && node.startedAt !== null && node.kind === "step" ? (
            <button type="button" disabled={isBusy} onClick={() => setBack(true)}>
              Take back…
            </button>
          ) : null}
          {frame === undefined && node !== undefined && node.kind === "step" && node.status in settled ? (
            <button type="button" disabled={isBusy} onClick={() => void tell("retry", { node: nodeId, iteration })}>
              {node.status === "failed" ? "Retry" : "Run again"}
            </button>
          ) : null}
        </div>
        <Tabs
          tabs={tabs}
          chosen={panel}
          label="Parts of the node"
          onChoose={(name) => change({ panel: name === "about" ? undefined : name })}
        />
      </header>
      <div className="inside" role="tabpanel" aria-label={panel}>
        {problem === undefined ? null : <Problem error={problem} />}
        {panel === "about" ? <About {...{ node, attempt, attempts, open, frame, until }} /> : null}
        {panel === "chat" && attempt !== undefined ? <Chat {...{ runId, nodeId, iteration, attempt }} /> : null}
        {panel === "output" ? <Output {...{ runId, nodeId, iteration, frame }} given={node} /> : null}
        {panel === "diff" ? <Compare {...{ runId, nodeId, iteration, attempts }} /> : null}
        {panel === "files" ? <Value value={snapshots} label="Snapshots of files" /> : null}
      </div>
      {isBack ? (
        <RevertDialog
          runId={runId}
          back={{ node: nodeId, iteration, ...(attempts.length > 1 && attempt !== undefined ? { attempt: attempt.attempt } : {}) }}
          onClose={() => setBack(false)}
        />
      ) : null}
    </aside>
  )
}

const About = ({
  node,
  attempt,
  attempts,
  open,
  frame,
  until,
}: {
  readonly node: NodeSummary | undefined
  readonly attempt: AttemptSummary | undefined
  readonly attempts: ReadonlyArray<AttemptSummary>
  readonly open: ReadonlyArray<WaitSummary>
  readonly frame: number | undefined
  /** The time of the frame, as of which everything is told. */
  readonly until: number | undefined
}) => {
  const { change } = usePlace()
  const error = attempt?.error ?? node?.error ?? null
  return (
    <>
      {open
        .filter(({ status, kind }) => status === "open" && (kind === "approval" || kind === "human"))
        .map((wait) =>
          frame === undefined ? (
            <Decide key={wait.requestId} wait={wait} hasKeys={false} />
          ) : (
            <p key={wait.requestId} className="chip wait">
              asked for a decision as of this frame
            </p>
          ),
        )}
      <dl className="facts">
        {node?.startedAt == null ? null : (
          <>
            <dt>started</dt>
            <dd>
              <Clock at={node.startedAt} />
            </dd>
            <dt>took</dt>
            <dd>
              <Took from={node.startedAt} to={node.finishedAt ?? until ?? null} />
              {node.finishedAt === null ? " so far" : ""}
            </dd>
          </>
        )}
        {node?.retryAt == null ? null : (
          <>
            <dt>next attempt</dt>
            <dd>{until === undefined ? <Ago at={node.retryAt} /> : <Clock at={node.retryAt} />}</dd>
          </>
        )}
        {node?.passes == null ? null : (
          <>
            <dt>passes</dt>
            <dd>
              {node.passes}
              {node.isExhausted === true ? ", ended by its limit" : ""}
            </dd>
          </>
        )}
        {attempt?.heartbeatAt == null ? null : (
          <>
            <dt>heartbeat</dt>
            <dd>
              <Ago at={attempt.heartbeatAt} />
              {attempt.heartbeat === null ? null : <Value value={attempt.heartbeat} label="Heartbeat" />}
            </dd>
          </>
        )}
        {attempt?.cachedFrom == null ? null : (
          <>
            <dt>taken over from</dt>
            <dd>{attempt.cachedFrom}</dd>
          </>
        )}
        {node?.left === undefined ? null : (
          <>
            <dt>left</dt>
            <dd>
              {node.left.outcome}: {node.left.reason ?? node.left.trigger}
            </dd>
          </>
        )}
      </dl>
      {error === null ? null : (
        <section className="stack">
          <h3>Error{attempts.length > 1 && attempt !== undefined ? ` of attempt ${attempt.attempt}` : ""}</h3>
          <Cause cause={error} />
        </section>
      )}
      {attempts.length === 0 ? null : (
        <section>
          <h3>Attempts</h3>
          <table className="plain">
            <tbody>
              {attempts.map((one) => (
                <tr key={one.attempt}>
                  <td>
                    <button
                      type="button"
                      className="plain"
                      aria-pressed={one === attempt}
                      onClick={() => change({ attempt: String(one.attempt) })}
                    >
                      {one.attempt}
                    </button>
                  </td>
                  <td>{one.status}</td>
                  <td className="number">{one.startedAt === null ? "" : <Took from={one.startedAt} to={one.finishedAt} />}</td>
                  <td className="soft">{one.error === null ? "" : `${one.error.name}: ${one.error.message.slice(0, 120)}`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {open.length === 0 ? null : (
        <section>
          <h3>Waits</h3>
          <table className="plain">
            <tbody>
              {open.map((wait) => (
                <tr key={`${wait.kind} ${wait.requestSeq}`}>
                  <td>{wait.kind}</td>
                  <td>{wait.status}</td>
                  <td>
                    <Ago at={wait.since} />
                  </td>
                  <td className="soft">
                    {wait.kind === "subflow" && wait.name !== null ? <Link href={runAddress(wait.name)}>{wait.name}</Link> : null}
                    {[
                      wait.kind === "subflow" ? undefined : wait.name,
                      wait.approved === null ? undefined : wait.approved ? "approved" : "denied",
                      wait.by === null ? undefined : `by ${wait.by}`,
                      wait.note,
                    ]
                      .filter((part) => part !== undefined && part !== null)
                      .join(" ")}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </>
  )
}

/** An error with all that caused it, outermost first. */
const Cause = ({ cause }: { readonly cause: ErrorCause }) => {
  const chain: Array<ErrorCause> = []
  for (let next: ErrorCause | undefined = cause; next !== undefined && chain.length < 20; next = next.cause) chain.push(next)
  return (
    <ol className="stack">
      {chain.map(({ name, message, stack, code, status, errors }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: causes have no other name than their place
        <li key={index} className="problem">
          {index === 0 ? null : <span className="soft">caused by </span>}
          <strong>{name}</strong>
          {code === undefined ? "" : ` (${code})`}
          {status === undefined ? "" : ` status ${status}`}
          <pre>{message}</pre>
          {errors === undefined ? null : (
            <details>
              <summary>{errors.length} errors together</summary>
              <Value value={errors} label="Errors" />
            </details>
          )}
          {stack === undefined ? null : (
            <details>
              <summary>Stack</summary>
              <pre className="soft">{stack}</pre>
            </details>
          )}
        </li>
      ))}
    </ol>
  )
}

const Chat = ({
  runId,
  nodeId,
  iteration,
  attempt,
}: {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: AttemptSummary
}) => {
  const { data, error } = useQuery(Queries.transcript(runId, nodeId, iteration, attempt.attempt))
  if (data === undefined) return error === null ? <p className="soft">…</p> : <Problem error={error} />
  if (data.conversations.length === 0) return <p className="soft">No agent has been asked in this attempt.</p>
  return data.conversations.map(({ agent, status, conversation, entries, calls, runId: origin }) => {
    const sum = (of: (entry: Entry) => number | undefined): number => entries.reduce((all, entry) => all + (of(entry) ?? 0), 0)
    const turns = entries.filter(({ kind }) => kind === "reply").length
    return (
      <section key={`${origin} ${conversation}`} className="stack" aria-label={`Conversation with ${agent}`}>
        <div>
          <h3>
            {agent}
            {status === "open" ? <span className="chip active">at work</span> : null}
          </h3>
          <p className="soft">
            {[
              entries.find(({ model }) => model !== undefined)?.model,
              Times.plural(turns, "turn"),
              `${Times.count(sum((entry) => entry.inputTokens))} tokens in`,
              `${Times.count(sum((entry) => entry.outputTokens))} out`,
              origin === runId ? undefined : `taken over from ${origin}`,
            ]
              .filter((part) => part !== undefined)
              .join(", ")}
          </p>
        </div>
        <ol className="chat">
          {entries.map((entry) => (
            <Said key={entry.seq} entry={entry} />
          ))}
        </ol>
        {calls.length === 0 ? null : (
          <details>
            <summary>
              <strong>Tool calls</strong> <span className="soft">{calls.length}</span>
            </summary>
            <table className="plain">
              <tbody>
                {calls.map((call) => (
                  <tr key={`${call.ordinal} ${call.index}`}>
                    <td>{call.tool}</td>
                    <td>{call.status}</td>
                    <td className="number">{call.endedAt === undefined ? "" : <Took from={call.startedAt} to={call.endedAt} />}</td>
                    <td className="soft">
                      {call.by === undefined ? "" : `by ${call.by}${call.note === undefined ? "" : `: ${call.note}`}`}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        )}
      </section>
    )
  })
}

type Entry = Transcript["conversations"][number]["entries"][number]

const heads: { readonly [K in Entry["kind"]]: string } = {
  prompt: "Prompt",
  reply: "Reply",
  text: "Reply",
  reasoning: "Reasoning",
  "tool-call": "Calls",
  "tool-result": "Result of",
  error: "Error",
  note: "Note",
}

/** One entry of a conversation. */
const Said = ({ entry: { kind, text, tool, at } }: { readonly entry: Entry }) => {
  const parts = kind === "reply" ? partsOf(text) : undefined
  return (
    <li className={kind}>
      <div className="bar soft">
        <strong className="grow">
          {heads[kind]}
          {tool === undefined ? "" : ` ${tool}`}
        </strong>
        <Clock at={at} />
      </div>
      {parts === undefined ? <Told text={text} label={heads[kind]} /> : null}
      {parts?.map((part, index) =>
        part.tool === undefined ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts have no other name than their place
          <Told key={index} text={part.text} label="Reply" />
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts have no other name than their place
          <div key={index} className="call">
            <span className="soft">calls</span> <code>{part.tool}</code> <code className="cut">{part.text}</code>
          </div>
        ),
      )}
    </li>
  )
}

/** A text, as a value where it is JSON of more than a word. */
const Told = ({ text, label }: { readonly text: string; readonly label: string }) => {
  const value = parsed(text)
  return typeof value === "object" && value !== null ? <Value value={value} label={label} /> : <pre className="quote">{text}</pre>
}

const parsed = (text: string): unknown => {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Texts and calls of a model's reply; `undefined` for one that has neither. */
const partsOf = (text: string): ReadonlyArray<{ readonly tool?: string; readonly text: string }> | undefined => {
  const reply = parsed(text)
  const content = isRecord(reply) ? reply.content : reply
  if (!Array.isArray(content)) return undefined
  const parts = content.filter(isRecord).flatMap((part) => {
    if (part.type === "text" && typeof part.text === "string") return [{ text: part.text }]
    if (part.type === "tool-call" && typeof part.toolName === "string")
      return [{ tool: part.toolName, text: typeof part.input === "string" ? part.input : JSON.stringify(part.input) }]
    return []
  })
  return parts.length === 0 ? undefined : parts
}

const Output = ({
  runId,
  nodeId,
  iteration,
  frame,
  given,
}: {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly frame: number | undefined
  readonly given: { readonly output?: unknown; readonly table?: string | null } | undefined
}) => {
  const { data, error, isPending } = useQuery(Queries.node(runId, nodeId, iteration, frame))
  const output = given?.output ?? data?.nodes.find((one) => one.iteration === iteration)?.output
  if (output === undefined && error !== null) return <Problem error={error} />
  if (output === undefined) return <p className="soft">{isPending ? "…" : "No output yet."}</p>
  return (
    <>
      {given?.table == null ? null : (
        <p className="soft">
          in table <code>{given.table}</code>
        </p>
      )}
      <Value value={output} label={`Output of ${nodeId}`} />
    </>
  )
}

const Compare = ({
  runId,
  nodeId,
  iteration,
  attempts,
}: {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly attempts: ReadonlyArray<AttemptSummary>
}) => {
  const { place, change } = usePlace()
  const [first, second] = list(place.query.at).map(Number)
  const ended = attempts.filter(({ finishedAt }) => finishedAt !== null)
  const [a, b] = [first ?? ended.at(-2)?.attempt, second ?? ended.at(-1)?.attempt]
  const { data, error } = useQuery({
    ...Queries.attemptDiff(runId, nodeId, iteration, a ?? 0, b ?? 0),
    enabled: a !== undefined && b !== undefined,
  })
  if (a === undefined || b === undefined) return <p className="soft">Two attempts that have ended are needed.</p>
  const select = (value: number, label: string, set: (to: string) => void) => (
    <select aria-label={label} value={value} onChange={({ target }) => set(target.value)}>
      {ended.map(({ attempt, status }) => (
        <option key={attempt} value={attempt}>
          {attempt} {status}
        </option>
      ))}
    </select>
  )
  return (
    <>
      <div className="bar">
        attempt {select(a, "Before", (to) => change({ at: `${to},${b}` }))} against{" "}
        {select(b, "After", (to) => change({ at: `${a},${to}` }))}
      </div>
      {error === null ? null : <Problem error={error} />}
      {data === undefined ? null : <NodeChanges {...data} />}
    </>
  )
}
