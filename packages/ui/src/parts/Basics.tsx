/** @jsxImportSource react */
/** Small parts that every view is made of. */
import type { ShownStatus } from "@smithers/core/Status"
import { type ReactNode, useEffect, useRef } from "react"
import { Refused } from "../api/Client.ts"
import { useNow } from "../app/Now.ts"
import { type Counts, countText, marks, runWords, type Tone, toneOfRun, tones } from "../plan/Tone.ts"
import * as Times from "../text/Times.ts"

export const RunStatus = ({ status }: { readonly status: ShownStatus }) => {
  const tone = toneOfRun(status)
  return (
    <span className={`chip ${tone}`}>
      <span aria-hidden>{marks[tone]}</span>
      {runWords[status]}
    </span>
  )
}

export const Chip = ({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) => (
  <span className={`chip ${tone}`}>
    <span aria-hidden>{marks[tone]}</span>
    {children}
  </span>
)

/** A time as how long ago, with the exact one as its title. */
export const Ago = ({ at }: { readonly at: number }) => {
  const now = useNow()
  return (
    <time dateTime={new Date(at).toISOString()} title={Times.exact(at)}>
      {Times.ago(at, now)}
    </time>
  )
}

export const Clock = ({ at }: { readonly at: number }) => {
  const now = useNow()
  return (
    <time dateTime={new Date(at).toISOString()} title={Times.exact(at)}>
      {Times.clock(at, now)}
    </time>
  )
}

/** How long something takes, or took. */
export const Took = ({ from, to }: { readonly from: number; readonly to: number | null }) => {
  const now = useNow()
  return <>{Times.span((to ?? Math.max(now, from)) - from)}</>
}

export const Meter = ({ counts }: { readonly counts: Counts }) => {
  const all = tones.reduce((sum, tone) => sum + counts[tone], 0)
  return (
    <span className="meter" title={countText(counts)} aria-hidden>
      {tones.map((tone) =>
        counts[tone] === 0 ? null : <i key={tone} className={tone} style={{ width: `${(100 * counts[tone]) / all}%` }} />,
      )}
    </span>
  )
}

export const Problem = ({ error }: { readonly error: unknown }) => {
  const said = error instanceof Error ? error.message : String(error)
  return (
    <div className="problem" role="alert">
      {error instanceof Refused ? <strong>{error.tag}: </strong> : null}
      {said}
    </div>
  )
}

export const Empty = ({ children }: { readonly children: ReactNode }) => <div className="empty">{children}</div>

export interface Tab<Name extends string> {
  readonly name: Name
  readonly label: ReactNode
}

export const Tabs = <Name extends string>({
  tabs,
  chosen,
  label,
  onChoose,
}: {
  readonly tabs: ReadonlyArray<Tab<Name>>
  readonly chosen: Name
  readonly label: string
  readonly onChoose: (name: Name) => void
}) => {
  const list = useRef<HTMLDivElement>(null)
  const move = (by: number): void => {
    const index = tabs.findIndex(({ name }) => name === chosen)
    const next = tabs[(index + by + tabs.length) % tabs.length]
    if (next === undefined) return
    onChoose(next.name)
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.name}"]`)?.focus()
  }
  return (
    <div className="tabs" role="tablist" aria-label={label} ref={list}>
      {tabs.map(({ name, label }) => (
        <button
          key={name}
          type="button"
          role="tab"
          data-tab={name}
          aria-selected={name === chosen}
          tabIndex={name === chosen ? 0 : -1}
          onClick={() => onChoose(name)}
          onKeyDown={({ key }) => (key === "ArrowRight" ? move(1) : key === "ArrowLeft" ? move(-1) : undefined)}
        >
          {label}
        </button>
      ))}
    </div>
  )
}

/** A dialog of the browser's own: it holds the focus and closes by Escape. */
export const Dialog = ({
  title,
  className,
  onClose,
  children,
}: {
  readonly title: string
  readonly className?: string
  readonly onClose: () => void
  readonly children: ReactNode
}) => {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = dialog.current
    if (element !== null && !element.open) element.showModal()
  }, [])
  return (
    <dialog ref={dialog} className={className} aria-label={title} onClose={onClose} onCancel={onClose}>
      {children}
    </dialog>
  )
}
