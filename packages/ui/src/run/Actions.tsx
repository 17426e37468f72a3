/** @jsxImportSource react */
/** What one can tell a run: buttons, and the dialogs of those that need more than a press. */

import type { RunOverview } from "@smithers/core/RunReader"
import type { EndedStatus } from "@smithers/core/Status"
import { useQueryClient } from "@tanstack/react-query"
import { useEffect, useState } from "react"
import { Link } from "wouter"
import type { Action, Forked } from "../api/Answers.ts"
import { path, post } from "../api/Client.ts"
import { usePlace } from "../app/Place.ts"
import { Dialog, Problem } from "../parts/Basics.tsx"
import { runAddress } from "../state/Url.ts"

type Verb = "pause" | "unpause"

/** Tells a run something, and asks anew for what the page shows of it. */
export const useTell = (runId: string) => {
  const client = useQueryClient()
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<unknown>()
  const tell = async <A,>(verb: string, body: object = {}): Promise<A | undefined> => {
    setBusy(true)
    setProblem(undefined)
    try {
      return await post<A>(`${path("runs", runId)}/${verb}`, body)
    } catch (error) {
      setProblem(error)
      return undefined
    } finally {
      setBusy(false)
      void client.invalidateQueries({
        predicate: ({ queryKey: [kind, id] }) => kind === "runs" || (kind === "run" && id === runId),
      })
    }
  }
  return { tell, isBusy, problem }
}

const ended: { readonly [S in EndedStatus]: true } = { finished: true, failed: true, cancelled: true, continued: true }

export const RunActions = ({ overview, onFork }: { readonly overview: RunOverview; readonly onFork: () => void }) => {
  const { runId, status, isPaused } = overview.run
  const { tell, isBusy, problem } = useTell(runId)
  const [open, setOpen] = useState<"signal" | "cancel">()
  const verbs: ReadonlyArray<readonly [Verb, string]> = [
    ...(status in ended ? [] : isPaused || status === "paused" ? [["unpause", "Unpause"] as const] : [["pause", "Pause"] as const]),
  ]
  return (
    <div className="bar">
      {verbs.map(([verb, label]) => (
        <button key={verb} type="button" disabled={isBusy} onClick={() => void tell(verb)}>
          {label}
        </button>
      ))}
      {status in ended ? null : (
        <>
          <button type="button" onClick={() => setOpen("signal")}>
            Signal…
          </button>
          <button type="button" className="danger" onClick={() => setOpen("cancel")}>
            Cancel…
          </button>
        </>
      )}
      <button type="button" onClick={onFork}>
        Fork…
      </button>
      {problem === undefined ? null : <Problem error={problem} />}
      {open === "signal" ? <SignalDialog runId={runId} onClose={() => setOpen(undefined)} /> : null}
      {open === "cancel" ? <CancelDialog runId={runId} onClose={() => setOpen(undefined)} /> : null}
    </div>
  )
}

const CancelDialog = ({ runId, onClose }: { readonly runId: string; readonly onClose: () => void }) => {
  const { tell, isBusy, problem } = useTell(runId)
  const [reason, setReason] = useState("")
  return (
    <Dialog title="Cancel the run" onClose={onClose}>
      <form
        className="inside"
        onSubmit={async (event) => {
          event.preventDefault()
          if ((await tell("cancel", reason === "" ? {} : { reason })) !== undefined) onClose()
        }}
      >
        <h2>Cancel {runId}?</h2>
        <p>Steps at work are interrupted, sagas undo what they did, and the run ends as cancelled. It can be resumed later.</p>
        <label className="form">
          Reason (optional)
          <input value={reason} onChange={({ target }) => setReason(target.value)} />
        </label>
        {problem === undefined ? null : <Problem error={problem} />}
        <div className="foot">
          <button type="button" onClick={onClose}>
            Keep it
          </button>
          <button type="submit" className="danger" disabled={isBusy}>
            Cancel the run
          </button>
        </div>
      </form>
    </Dialog>
  )
}

const SignalDialog = ({
  runId,
  name: given = "",
  correlation: of,
  onClose,
}: {
  readonly runId: string
  readonly name?: string
  readonly correlation?: string
  readonly onClose: () => void
}) => {
  const { tell, isBusy, problem } = useTell(runId)
  const [name, setName] = useState(given)
  const [correlation, setCorrelation] = useState(of ?? "")
  const [payload, setPayload] = useState("")
  const [issue, setIssue] = useState<string>()
  const [id] = useState(() => `page-${crypto.randomUUID()}`)
  const send = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault()
    let value: unknown
    try {
      value = payload.trim() === "" ? undefined : JSON.parse(payload)
    } catch (error) {
      setIssue(`The payload is no JSON: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    setIssue(undefined)
    const body = { name, id, ...(correlation === "" ? {} : { correlation }), ...(value === undefined ? {} : { payload: value }) }
    if ((await tell("signal", body)) !== undefined) onClose()
  }
  return (
    <Dialog title="Send a signal" onClose={onClose}>
      <form className="inside form" onSubmit={send}>
        <h2>Send a signal to {runId}</h2>
        <label className="field">
          Name
          <input required value={name} onChange={({ target }) => setName(target.value)} />
        </label>
        <label className="field">
          Correlation (optional)
          <input value={correlation} onChange={({ target }) => setCorrelation(target.value)} />
        </label>
        <label className="field">
          Payload as JSON (optional)
          <textarea rows={5} value={payload} onChange={({ target }) => setPayload(target.value)} />
        </label>
        {issue === undefined ? null : <p className="issue">{issue}</p>}
        {problem === undefined ? null : <Problem error={problem} />}
        <div className="foot">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" className="primary" disabled={isBusy || name === ""}>
            Send
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** What becomes of nodes in a fork, in the order of its answer. */
const fates = [
  ["kept", "Kept"],
  ["rerun", "Runs again"],
  ["requested", "Asks again"],
  ["waiting", "Waits on"],
] as const

/** Shows what a fork would keep, run again and ask again, before it is made. */
export const ForkDialog = ({
  runId,
  frame,
  onClose,
}: {
  readonly runId: string
  readonly frame: number | undefined
  readonly onClose: () => void
}) => {
  const { go } = usePlace()
  const { tell, isBusy, problem } = useTell(runId)
  const [preview, setPreview] = useState<Forked>()
  const [reask, setReask] = useState(false)
  const [begins, setBegins] = useState(true)
  const [unbegun, setUnbegun] = useState<{ readonly runId: string; readonly error: unknown }>()
  const options = { ...(frame === undefined ? {} : { frame }), ...(reask ? { reask: true } : {}) }
  // biome-ignore lint/correctness/useExhaustiveDependencies: a preview for each choice
  useEffect(() => {
    let isGone = false
    tell<Forked>("fork", { ...options, dryRun: true }).then((found) => isGone || setPreview(found))
    return () => {
      isGone = true
    }
  }, [runId, frame, reask])
  const make = async (): Promise<void> => {
    const made = await tell<Forked>("fork", options)
    if (made === undefined) return
    try {
      // A fork that is made waits for somebody to begin work on it.
      if (begins) await post(`${path("runs", made.runId)}/resume`)
    } catch (error) {
      setUnbegun({ runId: made.runId, error })
      return
    }
    onClose()
    go({ view: "run", id: made.runId, query: {} })
  }
  return (
    <Dialog title="Fork the run" onClose={onClose}>
      <div className="inside">
        <h2>
          Fork {runId} {frame === undefined ? "as of now" : `as of frame ${frame}`}
        </h2>
        <p className="soft">A fork is a new run that goes on from here with today's code. The original is not touched.</p>
        {problem === undefined ? null : <Problem error={problem} />}
        {unbegun === undefined ? null : (
          <div className="stack">
            <p>
              The new run is <Link href={runAddress(unbegun.runId)}>{unbegun.runId}</Link>, and no process works on it yet.
            </p>
            <Problem error={unbegun.error} />
          </div>
        )}
        {preview === undefined && problem === undefined ? (
          <p className="soft" role="status">
            Looking at what would run again…
          </p>
        ) : null}
        {preview === undefined
          ? null
          : fates.map(([fate, title]) => (
              <details key={fate} open={preview[fate].length > 0 && preview[fate].length <= 8} data-fate={fate}>
                <summary>
                  <strong>{title}</strong> <span className="soft">{preview[fate].length}</span>
                </summary>
                <ul>
                  {preview[fate].slice(0, 100).map(({ nodeId, iteration }) => (
                    <li key={`${nodeId} ${iteration}`}>
                      <code>
                        {nodeId}
                        {iteration > 0 ? ` #${iteration}` : ""}
                      </code>
                    </li>
                  ))}
                </ul>
              </details>
            ))}
        <div className="stack">
          <label>
            <input type="checkbox" checked={reask} onChange={({ target }) => setReask(target.checked)} /> ask people again what they
            have decided before
          </label>
          <label>
            <input type="checkbox" checked={begins} onChange={({ target }) => setBegins(target.checked)} /> begin work on it at once
          </label>
        </div>
        <div className="foot">
          <button type="button" onClick={onClose}>
            Leave it
          </button>
          <button
            type="button"
            className="primary"
            disabled={isBusy || preview === undefined || unbegun !== undefined}
            onClick={() => void make()}
          >
            Fork
          </button>
        </div>
      </div>
    </Dialog>
  )
}

/** Words on the button of an action; `undefined` for those that need none: the request has both answers, and the run its own cancel. */
const labels: { readonly [K in Action["kind"]]: string | undefined } = {
  resume: "Resume",
  retry: "Retry",
  unpause: "Unpause",
  signal: "Send the signal…",
  approve: "Show the request",
  answer: "Show the question",
  deny: undefined,
  cancel: undefined,
}

/** Most buttons beside the sentence. */
const mostButtons = 4

const keyOf = ({ kind, runId, nodeId, iteration }: Action): string => JSON.stringify([kind, runId, nodeId, iteration])

/** The buttons that end what a run waits for. Decisions are made where the request is seen. */
export const WhyActions = ({
  runId,
  actions,
  onNode,
}: {
  readonly runId: string
  readonly actions: ReadonlyArray<Action>
  readonly onNode: (nodeId: string, iteration: number, attempt?: number, of?: string) => void
}) => {
  // A run that waits for somebody has nothing to do until then.
  const isAsking = actions.some(({ kind }) => kind === "approve" || kind === "answer" || kind === "signal")
  const shown = actions.filter(({ kind }) => labels[kind] !== undefined && !(isAsking && kind === "resume"))
  const isSeveral = (kind: Action["kind"]): boolean => shown.filter((one) => one.kind === kind).length > 1
  return (
    <>
      {shown.slice(0, mostButtons).map((action) => (
        <WhyAction key={keyOf(action)} {...{ runId, action, onNode }} isNamed={action.kind === "retry" || isSeveral(action.kind)} />
      ))}
      {shown.length > mostButtons ? <span className="soft">and {shown.length - mostButtons} more</span> : null}
    </>
  )
}

/** One button. Its action may be of a child run, and is told that one. */
const WhyAction = ({
  runId,
  action,
  isNamed,
  onNode,
}: {
  readonly runId: string
  readonly action: Action
  /** `true` to name the node: several buttons would read alike without. */
  readonly isNamed: boolean
  readonly onNode: (nodeId: string, iteration: number, attempt?: number, of?: string) => void
}) => {
  const { kind, nodeId, iteration = 0 } = action
  const { tell, isBusy, problem } = useTell(action.runId)
  const [isSignalling, setSignalling] = useState(false)
  const press = (): void => {
    if (kind === "approve" || kind === "answer") {
      if (nodeId !== undefined) onNode(nodeId, iteration, undefined, action.runId === runId ? undefined : action.runId)
    } else if (kind === "signal") setSignalling(true)
    else void tell(kind, nodeId === undefined ? {} : { node: nodeId, iteration })
  }
  const name = nodeId === undefined ? "" : `${nodeId}${iteration === 0 ? "" : ` #${iteration}`}`
  const of = action.runId === runId ? "" : ` of ${action.runId}`
  return (
    <>
      <button type="button" className="cut" title={`${labels[kind]} ${name}${of}`} disabled={isBusy} onClick={press}>
        {labels[kind]}
        {isNamed && name !== "" ? ` ${kind === "approve" || kind === "answer" || kind === "signal" ? "· " : ""}${name}${of}` : ""}
      </button>
      {problem === undefined ? null : <Problem error={problem} />}
      {isSignalling ? (
        <SignalDialog
          runId={action.runId}
          name={action.name ?? ""}
          {...(action.correlation === undefined ? {} : { correlation: action.correlation })}
          onClose={() => setSignalling(false)}
        />
      ) : null}
    </>
  )
}
