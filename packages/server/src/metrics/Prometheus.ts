/**
 * The text format of Prometheus, version 0.0.4.
 */

/** A value of a metric with its labels. `suffix` is that of a part of a histogram. */
export interface Sample {
  readonly labels: { readonly [name: string]: string }
  readonly value: number
  readonly suffix?: "_bucket" | "_sum" | "_count"
}

/** A metric: the samples that share a name. */
export interface Family {
  readonly name: string
  /** One sentence without a full stop. */
  readonly help: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly samples: ReadonlyArray<Sample>
}

/** The content type of the text. */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

const helpOf = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const labelOf = (text: string): string => helpOf(text).replaceAll('"', '\\"')

/** Formats a number. */
export const numberOf = (value: number): string =>
  Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf"

const sampleOf = (name: string, { labels, value, suffix }: Sample): string => {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${labelOf(text)}"`)
  return `${name}${suffix ?? ""}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberOf(value)}`
}

/** Formats metrics, each with its help and type. Metrics without samples are left out. */
export const text = (families: ReadonlyArray<Family>): string =>
  families
    .filter(({ samples }) => samples.length > 0)
    .flatMap(({ name, help, type, samples }) => [
      `# HELP ${name} ${helpOf(help)}`,
      `# TYPE ${name} ${type}`,
      ...samples.map((sample) => sampleOf(name, sample)),
    ])
    .map((line) => `${line}\n`)
    .join("")
