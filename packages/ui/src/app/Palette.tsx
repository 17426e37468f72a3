/** @jsxImportSource react */
/** The palette of commands, and the table of keys. */
import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import type { RunPage } from "../api/Answers.ts"
import { get } from "../api/Client.ts"
import { Dialog } from "../parts/Basics.tsx"
import { runWords } from "../plan/Tone.ts"
import * as Keys from "../state/Keys.ts"
import { format, type Place } from "../state/Url.ts"

const pages: ReadonlyArray<readonly [label: string, place: Place]> = [
  ["Runs", { view: "runs", query: {} }],
  ["Inbox", { view: "inbox", query: {} }],
  ["Runs that failed", { view: "runs", query: { status: "failed" } }],
  ["Runs that wait for a person", { view: "runs", query: { status: "person" } }],
  ["Runs that retry", { view: "runs", query: { status: "retrying" } }],
  ["Workflows", { view: "workflows", query: {} }],
  ["Schedules", { view: "schedules", query: {} }],
  ["Costs", { view: "costs", query: {} }],
  ["Database", { view: "database", query: {} }],
]

export const Palette = ({ onGo, onClose }: { readonly onGo: (place: Place) => void; readonly onClose: () => void }) => {
  const [text, setText] = useState("")
  const [chosen, setChosen] = useState(0)
  const { data } = useQuery({
    queryKey: ["palette", text],
    queryFn: ({ signal }) => get<RunPage>("/runs", { q: text, limit: 8 }, signal),
    enabled: text.length > 0,
  })
  const found = [
    ...pages
      .filter(([label]) => label.toLowerCase().includes(text.toLowerCase()))
      .map(([label, place]) => ({ label, about: "page", place })),
    ...(data?.runs ?? []).map((run) => ({
      label: run.runId,
      about: `${run.workflow}, ${runWords[run.status]}`,
      place: { view: "run" as const, id: run.runId, query: {} },
    })),
  ]
  const at = Math.min(chosen, found.length - 1)
  const go = (place: Place | undefined): void => {
    if (place === undefined) return
    onClose()
    onGo(place)
  }
  return (
    <Dialog title="Go to" className="palette" onClose={onClose}>
      <input
        autoFocus
        role="combobox"
        aria-expanded
        aria-controls="palette"
        aria-activedescendant={at >= 0 ? `palette-${at}` : undefined}
        aria-label="Go to a page or a run"
        placeholder="Go to a page or a run…"
        value={text}
        onChange={({ target }) => {
          setText(target.value)
          setChosen(0)
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") setChosen(Math.min(found.length - 1, at + 1))
          else if (event.key === "ArrowUp") setChosen(Math.max(0, at - 1))
          else if (event.key === "Enter") go(found[at]?.place)
          else return
          event.preventDefault()
        }}
      />
      <div className="places" id="palette" role="listbox" aria-label="Places" tabIndex={-1}>
        {found.map(({ label, about, place }, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the text above
          <div
            key={format(place)}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            tabIndex={-1}
            onClick={() => go(place)}
          >
            <span className="cut">{label}</span>
            <span className="soft">{about}</span>
          </div>
        ))}
      </div>
    </Dialog>
  )
}

const where: { readonly [W in Keys.Where]: string } = {
  all: "Everywhere",
  list: "In lists",
  inbox: "In the inbox",
  run: "On a run",
}

export const Help = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog title="Keys" onClose={onClose}>
    <div className="inside">
      <h2>Keys</h2>
      {(Object.keys(where) as ReadonlyArray<Keys.Where>).map((place) => (
        <section key={place}>
          <h3>{where[place]}</h3>
          <dl className="facts">
            {Keys.commands
              .filter((command) => command.where === place)
              .map(({ name, keys, says }) => (
                <div key={name} style={{ display: "contents" }}>
                  <dt>
                    {keys.map((key) => (
                      <kbd key={key}>{key.replace("mod", navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl")}</kbd>
                    ))}
                  </dt>
                  <dd>{says}</dd>
                </div>
              ))}
          </dl>
        </section>
      ))}
      <div className="foot">
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </div>
  </Dialog>
)
