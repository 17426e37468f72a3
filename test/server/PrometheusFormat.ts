/**
 * A reader of the text format of Prometheus that takes nothing else: the grammar, and what `promtool check metrics` asks of names.
 */

interface Sample {
  readonly name: string
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

export interface Metrics {
  readonly types: ReadonlyMap<string, string>
  readonly samples: ReadonlyArray<Sample>
}

const pair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"/g
const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/
const escapes: { readonly [escaped: string]: string } = { "\\\\": "\\", '\\"': '"', "\\n": "\n" }

const labelsOf = (text: string): Sample["labels"] => {
  const pairs = [...text.matchAll(pair)]
  const rest = pairs.map(([whole]) => whole).join(",")
  if (rest !== text) throw new Error(`labels are not well-formed: ${text}`)
  return Object.fromEntries(
    pairs.map(([, name, value = ""]) => [name, value.replaceAll(/\\[\\"n]/g, (found) => escapes[found] ?? "")]),
  )
}

const numberOf = (text: string): number =>
  text === "+Inf" ? Number.POSITIVE_INFINITY : text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text)

/** Reads a text. Throws where it breaks a rule. */
export const parse = (text: string): Metrics => {
  const fail = (why: string): never => {
    throw new Error(why)
  }
  if (text !== "" && !text.endsWith("\n")) fail("the last line does not end")
  const [types, helps] = [new Map<string, string>(), new Set<string>()]
  const samples: Array<Sample> = []
  let current: string | undefined
  for (const one of text.split("\n").slice(0, -1)) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(one) ?? []
    if (kind === "HELP") {
      if (helps.has(name)) fail(`${name} has two helps`)
      helps.add(name)
      current = name
    } else if (kind === "TYPE") {
      if (types.has(name) || current !== name) fail(`${name} has its type twice, or away from its help`)
      if (!["counter", "gauge", "histogram"].includes(rest)) fail(`${name} has the type ${rest}`)
      if ((rest === "counter") !== name.endsWith("_total")) fail(`${name}: only counters end with _total`)
      if (/_(milliseconds|ms|kilobytes|kb|minutes|hours)(_|$)/.test(name)) fail(`${name} is not in seconds or bytes`)
      types.set(name, rest)
    } else {
      const [, sample = "", labels = "", value = ""] = line.exec(one) ?? fail(`not a sample: ${one}`)
      const family = types.get(current ?? "") === "histogram" ? sample.replace(/_(bucket|sum|count)$/, "") : sample
      if (family !== current || !types.has(family)) fail(`${sample} is not with its family`)
      samples.push({ name: sample, labels: labelsOf(labels), value: numberOf(value) })
    }
  }
  const keys = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).toSorted()]))
  if (new Set(keys).size !== keys.length) fail("a sample is there twice")
  for (const [name, type] of types) if (type === "histogram") checkHistogram(name, samples)
  return { types, samples }
}

const checkHistogram = (name: string, samples: ReadonlyArray<Sample>): void => {
  const without = ({ le: _, ...labels }: Sample["labels"]) => JSON.stringify(Object.entries(labels).toSorted())
  const counts = new Map(samples.filter((one) => one.name === `${name}_count`).map(({ labels, value }) => [without(labels), value]))
  const buckets = Map.groupBy(
    samples.filter((one) => one.name === `${name}_bucket`),
    ({ labels }) => without(labels),
  )
  if (counts.size !== buckets.size) throw new Error(`${name} has buckets without a count, or the other way round`)
  for (const [key, of] of buckets) {
    const bounds = of.map(({ labels }) => numberOf(labels.le ?? ""))
    const isRising = bounds.every((bound, index) => index === 0 || bound > (bounds[index - 1] ?? 0))
    const isCumulative = of.every(({ value }, index) => index === 0 || value >= (of[index - 1]?.value ?? 0))
    if (!isRising || !isCumulative || bounds.at(-1) !== Number.POSITIVE_INFINITY || of.at(-1)?.value !== counts.get(key))
      throw new Error(`the buckets of ${name} are not cumulative up to +Inf`)
  }
}
