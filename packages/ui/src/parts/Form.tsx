/** @jsxImportSource react */
/** The form of a JSON Schema. */
import { useId, useState } from "react"
import * as Fields from "../forms/Fields.ts"

interface FieldProps {
  readonly schema: unknown
  readonly root: Fields.Schema
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly name: string
  readonly isRequired: boolean
  readonly path: ReadonlyArray<string | number>
  readonly issues: ReadonlyArray<Fields.Issue>
}

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const JsonEditor = ({
  id,
  value,
  onChange,
  describedBy,
}: {
  readonly id: string
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly describedBy: string | undefined
}) => {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, undefined, 2))
  const [problem, setProblem] = useState<string>()
  const edit = (next: string): void => {
    setText(next)
    try {
      onChange(next.trim() === "" ? undefined : JSON.parse(next))
      setProblem(undefined)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <>
      <textarea
        id={id}
        rows={6}
        spellCheck={false}
        value={text}
        placeholder="JSON"
        aria-describedby={describedBy}
        onChange={({ target }) => edit(target.value)}
      />
      {problem === undefined ? null : <span className="issue">No JSON: {problem}</span>}
    </>
  )
}

const Inputs = ({ schema, root, value, onChange, name, isRequired, path, issues }: FieldProps) => {
  const id = useId()
  const field = Fields.fieldOf(schema, root)
  const label = name === "" ? (field.title ?? "") : Fields.labelOf(name, field.title)
  const mine = issues.filter(
    (issue) => issue.path.length === path.length && issue.path.every((part, index) => part === path[index]),
  )
  const hintId = field.description === undefined && mine.length === 0 ? undefined : `${id}-hint`
  const inner = { root, issues }
  const about = (
    <span id={hintId}>
      {field.description === undefined ? null : <span className="hint">{field.description} </span>}
      {mine.map(({ message }) => (
        <span className="issue" key={message}>
          {label === "" ? "It" : label} {message}.
        </span>
      ))}
    </span>
  )
  const common = { id, "aria-describedby": hintId, "aria-invalid": mine.length > 0 || undefined, required: isRequired }
  const labelled = (input: React.ReactNode) => (
    <div className="field">
      <label htmlFor={id}>
        {label === "" ? "value" : label}
        {isRequired ? null : <span className="soft"> (optional)</span>}
      </label>
      {input}
      {about}
    </div>
  )
  switch (field.kind) {
    case "object": {
      const record = isRecord(value) ? value : {}
      const rows = field.fields.map(({ name, isRequired, schema }) => (
        <Inputs
          key={name}
          {...inner}
          {...{ schema, name, isRequired }}
          path={[...path, name]}
          value={Object.hasOwn(record, name) ? record[name] : undefined}
          onChange={(next) => {
            const { [name]: _, ...rest } = record
            onChange(next === undefined ? rest : { ...record, [name]: next })
          }}
        />
      ))
      if (path.length === 0) {
        return (
          <>
            {rows}
            {about}
          </>
        )
      }
      if (!isRequired && value === undefined) {
        return (
          <div className="field">
            <span className="label">
              {label} <span className="soft">(optional)</span>
            </span>
            <div>
              <button type="button" onClick={() => onChange(Fields.initialOf(schema, root))}>
                Add {label}
              </button>
            </div>
          </div>
        )
      }
      return (
        <fieldset>
          <legend>{label}</legend>
          {rows}
          {isRequired ? null : (
            <div>
              <button type="button" onClick={() => onChange(undefined)}>
                Remove {label}
              </button>
            </div>
          )}
          {about}
        </fieldset>
      )
    }
    case "text": {
      const text = typeof value === "string" ? value : ""
      const edit = (next: string) => onChange(next === "" && !isRequired ? undefined : next)
      const types: { readonly [format: string]: string } = { email: "email", uri: "url", date: "date", time: "time" }
      return labelled(
        field.isLong ? (
          <textarea {...common} rows={3} value={text} onChange={({ target }) => edit(target.value)} />
        ) : (
          <input
            {...common}
            type={types[field.format ?? ""] ?? "text"}
            value={text}
            onChange={({ target }) => edit(target.value)}
          />
        ),
      )
    }
    case "number":
      return labelled(
        <input
          {...common}
          type="number"
          step={field.isInteger ? 1 : "any"}
          min={field.least}
          max={field.most}
          value={typeof value === "number" ? value : ""}
          onChange={({ target }) => onChange(target.value === "" ? undefined : target.valueAsNumber)}
        />,
      )
    case "boolean":
      return (
        <fieldset aria-describedby={hintId}>
          <legend>{label === "" ? "yes or no" : label}</legend>
          <div className="bar">
            {[true, false].map((option) => (
              <label key={String(option)}>
                <input type="radio" name={id} checked={value === option} onChange={() => onChange(option)} />{" "}
                {option ? "yes" : "no"}
              </label>
            ))}
          </div>
          {about}
        </fieldset>
      )
    case "choice": {
      const index = field.options.findIndex((option) => JSON.stringify(option.value) === JSON.stringify(value))
      return labelled(
        <select {...common} value={index} onChange={({ target }) => onChange(field.options[Number(target.value)]?.value)}>
          <option value={-1}>choose…</option>
          {field.options.map(({ text }, at) => (
            <option key={text} value={at}>
              {text}
            </option>
          ))}
        </select>,
      )
    }
    case "nullable":
      return (
        <div className="field">
          <label>
            <input
              type="checkbox"
              checked={value !== null && value !== undefined}
              onChange={({ target }) =>
                onChange(target.checked ? (Fields.initialOf(field.inner, root) ?? initialText(field.inner, root)) : null)
              }
            />{" "}
            {label === "" ? "a value" : label}
          </label>
          {value === null || value === undefined ? (
            about
          ) : (
            <Inputs {...inner} schema={field.inner} name={name} isRequired path={path} value={value} onChange={onChange} />
          )}
        </div>
      )
    case "list": {
      const items = Array.isArray(value) ? (value as ReadonlyArray<unknown>) : []
      return (
        <fieldset aria-describedby={hintId}>
          <legend>{label === "" ? "list" : label}</legend>
          {items.map((item, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: items have no other name than their place
            <div className="bar" key={index}>
              <div className="grow">
                <Inputs
                  {...inner}
                  schema={field.item}
                  name={`${label} ${index + 1}`}
                  isRequired
                  path={[...path, index]}
                  value={item ?? undefined}
                  onChange={(next) => onChange(items.with(index, next ?? null))}
                />
              </div>
              <button type="button" aria-label={`Remove ${label} ${index + 1}`} onClick={() => onChange(items.toSpliced(index, 1))}>
                ✕
              </button>
            </div>
          ))}
          <div>
            <button
              type="button"
              onClick={() => onChange([...items, Fields.initialOf(field.item, root) ?? initialText(field.item, root)])}
            >
              Add
            </button>
          </div>
          {about}
        </fieldset>
      )
    }
    case "variants": {
      const chosen = Fields.variantOf(field.options, value)
      return (
        <fieldset>
          <legend>{label === "" ? "kind" : label}</legend>
          <select
            aria-label={`Kind of ${label}`}
            value={chosen}
            onChange={({ target }) => onChange(Fields.initialOf(field.options[Number(target.value)]?.schema, root))}
          >
            {field.options.map(({ text }, at) => (
              <option key={text} value={at}>
                {text}
              </option>
            ))}
          </select>
          <Inputs
            {...inner}
            key={chosen}
            schema={field.options[chosen]?.schema}
            name=""
            isRequired
            path={path}
            value={value}
            onChange={onChange}
          />
          {about}
        </fieldset>
      )
    }
    default:
      return labelled(<JsonEditor id={id} value={value} onChange={onChange} describedBy={hintId} />)
  }
}

/** The value that a text begins with, so that it is there to be written. */
const initialText = (schema: unknown, root: Fields.Schema): unknown => (Fields.fieldOf(schema, root).kind === "text" ? "" : null)

/** A form with one button. Issues show once somebody has tried to send. */
export const Form = ({
  schema,
  initial,
  submit,
  isBusy,
  onSubmit,
  children,
}: {
  readonly schema: unknown
  readonly initial?: unknown
  readonly submit: string
  readonly isBusy: boolean
  readonly onSubmit: (value: unknown) => void
  readonly children?: React.ReactNode
}) => {
  const root = isRecord(schema) ? schema : {}
  const [value, setValue] = useState(() => initial ?? Fields.initialOf(root, root))
  const [isTried, setTried] = useState(false)
  const issues = isTried ? Fields.issuesOf(root, root, value) : []
  const send = (event: React.FormEvent): void => {
    event.preventDefault()
    setTried(true)
    if (Fields.issuesOf(root, root, value).length === 0) onSubmit(value)
  }
  return (
    <form className="form" noValidate onSubmit={send}>
      <Inputs schema={root} root={root} value={value} onChange={setValue} name="" isRequired path={[]} issues={issues} />
      {issues.length === 0 ? null : (
        <p className="issue" role="alert">
          {issues.length === 1 ? "One field needs" : `${issues.length} fields need`} attention.
        </p>
      )}
      <div className="bar">
        <button type="submit" className="primary" data-submit disabled={isBusy}>
          {isBusy ? "Sending…" : submit}
        </button>
        {children}
      </div>
    </form>
  )
}
