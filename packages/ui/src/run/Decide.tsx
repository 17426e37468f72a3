/** @jsxImportSource react */
/** A request to a person with all that it shows, and the way to answer exactly this request. */
import type { WaitSummary } from "@smithers/core/RunReader"
import { useQueryClient } from "@tanstack/react-query"
import { useState } from "react"
import { path, post, Refused } from "../api/Client.ts"
import { useKeys } from "../app/Keyboard.ts"
import { Ago, Problem } from "../parts/Basics.tsx"
import { Form } from "../parts/Form.tsx"
import { Value } from "../parts/Value.tsx"

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

interface Request {
  readonly title: string | undefined
  readonly summary: string | undefined
  readonly schema: unknown
  readonly approvers: ReadonlyArray<string>
  readonly options: ReadonlyArray<{ readonly key: string; readonly label: string; readonly summary?: string }>
  readonly rest: unknown
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** What people are shown of a request, and whatever else it holds. */
export const requestOf = ({ request }: Pick<WaitSummary, "request">): Request => {
  if (!isRecord(request))
    return {
      title: text(request),
      summary: undefined,
      schema: undefined,
      approvers: [],
      options: [],
      rest: isRecord(request) ? request : undefined,
    }
  const { title, summary, prompt, schema, approvers, options, ...rest } = request
  return {
    title: text(title) ?? text(prompt) ?? text(summary),
    summary:
      text(title) === undefined && text(prompt) === undefined
        ? undefined
        : (text(summary) ?? (text(title) === undefined ? undefined : text(prompt))),
    schema,
    approvers: Array.isArray(approvers) ? approvers.map(String) : [],
    options: Array.isArray(options)
      ? options.flatMap((option) =>
          isRecord(option) && typeof option.key === "string"
            ? [
                {
                  key: option.key,
                  label: text(option.label) ?? option.key,
                  ...(typeof option.summary === "string" ? { summary: option.summary } : {}),
                },
              ]
            : [],
        )
      : [],
    rest: Object.keys(rest).length === 0 ? undefined : rest,
  }
}

type Done = "approved" | "denied" | "answered"

export const Decide = ({
  wait,
  hasKeys,
  onDone,
}: {
  readonly wait: WaitSummary
  readonly hasKeys: boolean
  readonly onDone?: (done: Done) => void
}) => {
  const client = useQueryClient()
  const { title, summary, schema, approvers, options, rest } = requestOf(wait)
  const [note, setNote] = useState("")
  const [chosen, setChosen] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const [done, setDone] = useState<Done>()

  const send = async (verb: "approve" | "deny" | "answer", more: object): Promise<void> => {
    if (isBusy || done !== undefined) return
    setBusy(true)
    setProblem(undefined)
    const { nodeId: node, iteration, digest, requestId } = wait
    try {
      await post(`${path("runs", wait.runId)}/${verb}`, {
        ...{ node, iteration, digest, requestId, ...more },
        ...(note === "" ? {} : { note }),
      })
      const done = verb === "approve" ? "approved" : verb === "deny" ? "denied" : "answered"
      setDone(done)
      onDone?.(done)
    } catch (error) {
      setProblem(error)
    } finally {
      setBusy(false)
      await client.invalidateQueries({
        predicate: ({ queryKey: [kind, id] }) =>
          kind === "inbox" || kind === "runs" || kind === "counts" || (kind === "run" && id === wait.runId),
      })
    }
  }
  const approve = (): void => {
    if (options.length > 0 && chosen === undefined) setProblem(new Error("Choose one of the options first."))
    else void send("approve", chosen === undefined ? {} : { selected: chosen })
  }
  const isApproval = wait.kind === "approval"
  useKeys(
    hasKeys ? ["inbox"] : [],
    hasKeys
      ? {
          approve: isApproval ? approve : () => document.querySelector<HTMLButtonElement>("[data-decide] [data-submit]")?.click(),
          ...(isApproval ? { deny: () => void send("deny", {}) } : {}),
        }
      : {},
  )

  if (done !== undefined)
    return (
      <p className="chip done" role="status">
        ✓ {done}. The run goes on once it has seen it.
      </p>
    )
  return (
    <section className="stack" data-decide aria-label="Request">
      <div>
        <h2>{title ?? (isApproval ? `Approve ${wait.nodeId}?` : `Answer ${wait.nodeId}`)}</h2>
        <p className="soft">
          asked <Ago at={wait.since} />
          {wait.requestCount > 1 ? `, for the ${wait.requestCount}th time` : ""}
          {wait.deadline === null ? "" : ", until "}
          {wait.deadline === null ? null : <Ago at={wait.deadline} />}
          {approvers.length > 0 ? `, of ${approvers.join(" or ")}` : ""}
        </p>
      </div>
      {summary === undefined ? null : <pre className="quote">{summary}</pre>}
      {rest === undefined ? null : <Value value={rest} label="Details" />}
      {wait.isAnswered ? <p className="chip active">Decided already; the run has not applied it yet.</p> : null}
      {wait.refusals > 0 && wait.refused !== null ? (
        <div className="problem">The last answer was refused: {wait.refused.join("; ")}</div>
      ) : null}
      {options.length === 0 ? null : (
        <fieldset className="card">
          <legend>Choose one</legend>
          {options.map(({ key, label, summary }) => (
            <label key={key} style={{ display: "block" }}>
              <input type="radio" name={`choice ${wait.requestId}`} checked={chosen === key} onChange={() => setChosen(key)} />{" "}
              {label}
              {summary === undefined ? null : <span className="soft"> {summary}</span>}
            </label>
          ))}
        </fieldset>
      )}
      {problem === undefined ? null : problem instanceof Refused && problem.status === 409 ? (
        <div className="problem" role="alert">
          <strong>This request has changed or is decided.</strong> {problem.message} What is shown is brought up to date.
        </div>
      ) : (
        <Problem error={problem} />
      )}
      {isApproval ? (
        <>
          <label className="field">
            <span className="soft">Note (optional)</span>
            <input value={note} onChange={({ target }) => setNote(target.value)} />
          </label>
          <div className="bar">
            <button type="button" className="primary" disabled={isBusy} onClick={approve}>
              Approve {hasKeys ? <kbd>a</kbd> : null}
            </button>
            <button type="button" className="danger" disabled={isBusy} onClick={() => void send("deny", {})}>
              Deny {hasKeys ? <kbd>d</kbd> : null}
            </button>
          </div>
        </>
      ) : wait.kind === "human" ? (
        <Form schema={schema} submit="Send the answer" isBusy={isBusy} onSubmit={(value) => void send("answer", { value })} />
      ) : null}
      <p className="soft">
        Request <code>{wait.requestId}</code>: an answer counts for exactly what is shown here.
      </p>
    </section>
  )
}
