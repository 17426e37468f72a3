/** Times and amounts as people read them. Pure: `now` is always given. */

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const

/** A span: `412 ms`, `3.2 s`, `4 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export const span = (ms: number): string => {
  const whole = Math.max(0, ms)
  if (whole < 1_000) return `${Math.round(whole)} ms`
  if (whole < 10_000) return `${(Math.floor(whole / 100) / 10).toFixed(1)} s`
  for (const [index, [unit, length]] of units.entries()) {
    if (whole < length) continue
    const count = Math.floor(whole / length)
    const next = units[index + 1]
    if (next === undefined) return `${count} ${unit}`
    const rest = Math.floor((whole - count * length) / next[1])
    return rest === 0 ? `${count} ${unit}` : `${count} ${unit} ${String(rest).padStart(next[0] === "h" ? 1 : 2, "0")} ${next[0]}`
  }
  return `${Math.round(whole)} ms`
}

/** How long ago, or in how long: `just now`, `12 s ago`, `in 3 min`. One unit only. */
export const ago = (at: number, now: number): string => {
  const distance = now - at
  const short = brief(Math.abs(distance))
  if (short === undefined) return distance >= -1_000 ? "just now" : "now"
  return distance >= 0 ? `${short} ago` : `in ${short}`
}

/** A span in one unit; `undefined` below a second. */
export const brief = (ms: number): string | undefined => {
  for (const [unit, length] of units) if (ms >= length) return `${Math.floor(ms / length)} ${unit}`
  return undefined
}

const two = (value: number): string => String(value).padStart(2, "0")

/** A moment of the local day, with its date where that is another day: `14:03:22`, `26 Nov 14:03:22`. */
export const clock = (at: number, now: number): string => {
  const [moment, today] = [new Date(at), new Date(now)]
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`
  if (moment.toDateString() === today.toDateString()) return time
  const month = months[moment.getMonth()] ?? ""
  const year = moment.getFullYear() === today.getFullYear() ? "" : ` ${moment.getFullYear()}`
  return `${moment.getDate()} ${month}${year} ${time}`
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

/** A moment to the millisecond, for titles. */
export const exact = (at: number): string => new Date(at).toISOString().replace("T", " ").replace("Z", " UTC")

/** Dollars: `$0.0041`, `$12.30`. */
export const dollars = (amount: number): string => {
  if (amount === 0) return "$0"
  return amount < 0.01 ? `$${amount.toPrecision(2)}` : `$${amount.toFixed(2)}`
}

/** Thousands in groups. */
export const count = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",")

/** Bytes: `812 B`, `4.2 MB`. */
export const bytes = (value: number): string => {
  const names = ["B", "kB", "MB", "GB", "TB"]
  let [amount, index] = [value, 0]
  while (amount >= 1_000 && index < names.length - 1) {
    amount /= 1_000
    index += 1
  }
  return `${index === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${names[index]}`
}

/** `1 step`, `3 steps`. */
export const plural = (number: number, one: string, many = `${one}s`): string => `${count(number)} ${number === 1 ? one : many}`
