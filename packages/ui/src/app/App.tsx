/** @jsxImportSource react */
/** The shell around every view: navigation, the link to the server, and what is everywhere. */
import { useQuery, useQueryClient } from "@tanstack/react-query"
import { Component, lazy, type ReactNode, Suspense, useEffect, useState } from "react"
import { Link } from "wouter"
import { Refused, setToken, token, Unreachable } from "../api/Client.ts"
import { follow, type Link as LinkState } from "../api/Live.ts"
import * as Queries from "../api/Queries.ts"
import { Inbox } from "../lists/Inbox.tsx"
import { Runs } from "../lists/Runs.tsx"
import type { Place } from "../state/Url.ts"
import { useKeys } from "./Keyboard.ts"
import { Help, Palette } from "./Palette.tsx"
import { usePlace } from "./Place.ts"

const Run = lazy(() => import("../run/Run.tsx").then(({ Run }) => ({ default: Run })))
const others = () => import("../lists/Others.tsx")
const Workflows = lazy(() => others().then(({ Workflows }) => ({ default: Workflows })))
const Workflow = lazy(() => others().then(({ Workflow }) => ({ default: Workflow })))
const Schedules = lazy(() => import("../lists/Schedules.tsx").then(({ Schedules }) => ({ default: Schedules })))
const Costs = lazy(() => others().then(({ Costs }) => ({ default: Costs })))
const Database = lazy(() => others().then(({ Database }) => ({ default: Database })))

const pages = [
  { view: "runs", label: "Runs" },
  { view: "inbox", label: "Inbox" },
  { view: "workflows", label: "Workflows" },
  { view: "schedules", label: "Schedules" },
  { view: "costs", label: "Costs" },
  { view: "database", label: "Database" },
] as const

const linkWords: { readonly [L in LinkState]: readonly [tone: string, words: string] } = {
  live: ["done", "live"],
  connecting: ["retry", "connecting…"],
  offline: ["failed", "not connected"],
  hidden: ["off", "resting"],
}

export const App = () => {
  const { place, go } = usePlace()
  const client = useQueryClient()
  const [link, setLink] = useState<LinkState>("connecting")
  const [open, setOpen] = useState<"palette" | "help">()
  const [isDenied, setDenied] = useState(false)
  // What the server last said instead of an answer, until it answers again.
  const [broken, setBroken] = useState<string>()
  const inbox = useQuery(Queries.inbox)
  const toPlace = (view: Place["view"]) => () => go({ view, query: {} })

  useEffect(() => follow(Queries.makeRefresher(client), setLink), [client])
  useEffect(
    () =>
      client.getQueryCache().subscribe((event) => {
        if (event.type !== "updated") return
        if (event.action.type === "success") setBroken(undefined)
        if (event.action.type !== "error" || !(event.action.error instanceof Refused)) return
        const { status, message } = event.action.error
        if (status === 401) setDenied(true)
        if (status >= 500) setBroken(message)
      }),
    [client],
  )
  useKeys([], {
    palette: () => setOpen(open === "palette" ? undefined : "palette"),
    help: () => setOpen("help"),
    goRuns: toPlace("runs"),
    goInbox: toPlace("inbox"),
    goWorkflows: toPlace("workflows"),
    goSchedules: toPlace("schedules"),
    goCosts: toPlace("costs"),
    goDatabase: toPlace("database"),
  })

  if (isDenied) return <AskToken />
  const current = place.view === "run" ? "runs" : place.view === "workflow" ? "workflows" : place.view
  const waiting = (inbox.data?.waits ?? []).filter(
    ({ kind, status }) => status === "open" && (kind === "approval" || kind === "human"),
  ).length
  const [tone, words] = linkWords[link]
  return (
    <div className="shell">
      <a className="skip" href="#main">
        To the content
      </a>
      <nav className="rail" aria-label="Pages">
        <div className="name">Smithers</div>
        {pages.map(({ view, label }) => (
          <Link key={view} href={`/${view}`} aria-current={current === view ? "page" : undefined}>
            {label}
            {view === "inbox" && waiting > 0 ? (
              <span className="count">
                {waiting}
                {inbox.data?.hasMore === true ? "+" : ""}
              </span>
            ) : null}
          </Link>
        ))}
        <div className="foot">
          <button type="button" onClick={() => setOpen("palette")}>
            Go to… <kbd>{navigator.platform.startsWith("Mac") ? "⌘K" : "Ctrl K"}</kbd>
          </button>
          <button type="button" className="plain soft" onClick={() => setOpen("help")}>
            Keys <kbd>?</kbd>
          </button>
          <span className={`live ${tone}`} role="status" data-link={link}>
            {words}
          </span>
        </div>
      </nav>
      {link === "offline" || inbox.error instanceof Unreachable ? (
        <div className="notice" role="alert">
          The server does not answer. What you see is as of the last answer; it goes on by itself once the server is back.
        </div>
      ) : broken === undefined ? null : (
        <div className="notice" role="alert">
          The database cannot be read now. What you see is as of the last answer. {broken}
        </div>
      )}
      <main id="main" tabIndex={-1}>
        <Guard key={`${place.view} ${place.id ?? ""}`}>
          <Suspense fallback={<div className="empty">…</div>}>
            <View place={place} />
          </Suspense>
        </Guard>
      </main>
      {open === "palette" ? <Palette onGo={go} onClose={() => setOpen(undefined)} /> : null}
      {open === "help" ? <Help onClose={() => setOpen(undefined)} /> : null}
    </div>
  )
}

const View = ({ place: { view, id = "" } }: { readonly place: Place }) => {
  switch (view) {
    case "run":
      return <Run key={id} runId={id} />
    case "inbox":
      return <Inbox />
    case "workflows":
      return <Workflows />
    case "workflow":
      return <Workflow key={id} name={id} />
    case "schedules":
      return <Schedules />
    case "costs":
      return <Costs />
    case "database":
      return <Database />
    default:
      return <Runs />
  }
}

/** A view that fails takes nothing else with it. */
class Guard extends Component<{ readonly children: ReactNode }, { readonly error?: Error }> {
  override state: { readonly error?: Error } = {}
  static getDerivedStateFromError(error: Error) {
    return { error }
  }
  override render() {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return (
      <div className="body stack">
        <div className="problem" role="alert">
          <strong>This view has failed.</strong> {error.message}
        </div>
        <div>
          <button type="button" onClick={() => window.location.reload()}>
            Load the page again
          </button>
        </div>
      </div>
    )
  }
}

const AskToken = () => {
  const [value, setValue] = useState("")
  return (
    <div className="body" style={{ maxWidth: 520, margin: "12vh auto" }}>
      <form
        className="card stack"
        onSubmit={(event) => {
          event.preventDefault()
          setToken(value.trim())
          window.location.reload()
        }}
      >
        <h1>Smithers</h1>
        <p>
          {token() === undefined ? "This page needs its token." : "The token of this page is not valid any more."}{" "}
          <code>smithers ui</code> prints an address that has it.
        </p>
        <label>
          Token <input type="password" autoComplete="off" value={value} onChange={({ target }) => setValue(target.value)} />
        </label>
        <div>
          <button type="submit" className="primary" disabled={value.trim() === ""}>
            Open
          </button>
        </div>
      </form>
    </div>
  )
}
