/** @jsxImportSource react */
/** JSON values and differences, to be looked at. Everything is text: nothing of a run is ever taken for markup. */
import type { JsonChange } from "@smithers/core/Comparison"
import { useMemo, useState } from "react"
import * as Json from "../text/Json.ts"
import * as Lines from "../text/Lines.ts"

/** Most characters of a text that are shown before one asks for all. */
const mostText = 4_000

/** Most characters of a patch whose lines are coloured. */
const mostPatch = 200_000

const isPatch = (text: string): boolean => /^@@ .*@@/m.test(text) && /^(---|diff --git) /m.test(text)

const kindOf = (line: string): string | undefined =>
  /^(\+\+\+|---|diff |index )/.test(line)
    ? "file"
    : line.startsWith("@@")
      ? "hunk"
      : line.startsWith("+")
        ? "added"
        : line.startsWith("-")
          ? "removed"
          : undefined

/** The text of a patch, line by line. */
const Patch = ({ text }: { readonly text: string }) => (
  <div className="lines grow">
    {text.split("\n").map((line, index) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name than their place
      <div key={index} className={kindOf(line)}>
        {line === "" ? " " : line}
      </div>
    ))}
  </div>
)

const Leaf = ({ value }: { readonly value: unknown }) => {
  const [isWhole, setWhole] = useState(false)
  if (typeof value !== "string") return <span className="lit">{String(value)}</span>
  if (isPatch(value) && value.length <= mostPatch) return <Patch text={value} />
  const isCut = !isWhole && value.length > mostText
  return (
    <pre className="text">
      {isCut ? `${value.slice(0, mostText)}…` : value === "" ? '""' : value}
      {isCut ? (
        <button type="button" className="plain" onClick={() => setWhole(true)}>
          all {value.length} characters
        </button>
      ) : null}
    </pre>
  )
}

export const Value = ({ value, label }: { readonly value: unknown; readonly label: string }) => {
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set())
  const rows = useMemo(
    () => Json.rows(value, (key, depth, size) => (depth < 2 && size <= 50) !== toggled.has(key)),
    [value, toggled],
  )
  if (value === undefined) return <p className="soft">none</p>
  const toggle = (key: string): void => {
    const next = new Set(toggled)
    if (!next.delete(key)) next.add(key)
    setToggled(next)
  }
  return (
    <figure className="json" aria-label={label}>
      {rows.slice(0, 3_000).map((row, index) => {
        const isOpen = (rows[index + 1]?.depth ?? 0) > row.depth
        // The fields of an open value say enough about it.
        if (index === 0 && isOpen) return null
        return (
          <div className="row" key={row.key} style={{ paddingLeft: Math.max(0, row.depth - 1) * 14 }}>
            {row.size === undefined || row.size === 0 ? (
              <span className="twist" />
            ) : (
              <button
                type="button"
                className="twist"
                aria-expanded={isOpen}
                aria-label={`${row.name ?? label}`}
                onClick={() => toggle(row.key)}
              >
                {isOpen ? "▾" : "▸"}
              </button>
            )}
            {row.name === undefined ? null : <span className="key">{row.name}:</span>}
            {row.size === undefined ? (
              <Leaf value={row.value} />
            ) : (
              <span className="soft">{isOpen ? (Array.isArray(row.value) ? `${row.size} items` : "") : Json.short(row.value)}</span>
            )}
          </div>
        )
      })}
      {rows.length > 3_000 ? <p className="soft">… and {rows.length - 3_000} rows more: close some</p> : null}
    </figure>
  )
}

export const TextDiff = ({ before, after, label }: { readonly before: string; readonly after: string; readonly label: string }) => {
  const lines = useMemo(() => Lines.shorten(Lines.diff(before, after)), [before, after])
  if (before === after) return <p className="soft">The same.</p>
  return (
    <figure className="lines" aria-label={label}>
      {lines.slice(0, 2_000).map((line, index) =>
        line === null ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name than their place
          <div className="gap" key={index}>
            ⋯
          </div>
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name than their place
          <div className={line.kind} key={index}>
            {line.kind === "added" ? "+ " : line.kind === "removed" ? "− " : "  "}
            {line.text}
          </div>
        ),
      )}
    </figure>
  )
}

export const Changes = ({ changes }: { readonly changes: ReadonlyArray<JsonChange> }) => {
  if (changes.length === 0) return <p className="soft">The same.</p>
  return (
    <div className="stack">
      {changes.slice(0, 200).map(({ path, change, before, after }) => {
        const name = Json.pathText(path)
        const isText = typeof before === "string" && typeof after === "string" && (before.includes("\n") || after.includes("\n"))
        return (
          <div key={`${change} ${name}`}>
            <code>{name}</code> <span className="soft">{change}</span>
            {isText ? (
              <TextDiff before={before} after={after} label={name} />
            ) : (
              <div className="lines">
                {change === "added" ? null : <div className="removed">− {Json.short(before, 2_000)}</div>}
                {change === "removed" ? null : <div className="added">+ {Json.short(after, 2_000)}</div>}
              </div>
            )}
          </div>
        )
      })}
      {changes.length > 200 ? <p className="soft">… and {changes.length - 200} more</p> : null}
    </div>
  )
}
