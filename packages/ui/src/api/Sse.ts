/** Reads server-sent events out of text that arrives in any pieces. */

export interface Message {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/** Makes a reader: text goes in, and each message that is complete goes to `take`. */
export const reader = (take: (message: Message) => void): ((text: string) => void) => {
  let rest = ""
  let [event, id]: [string, string | undefined] = ["message", undefined]
  let data: Array<string> = []
  const line = (text: string): void => {
    if (text === "") {
      if (data.length > 0 || event !== "message") take({ event, data: data.join("\n"), id })
      event = "message"
      id = undefined
      data = []
      return
    }
    const colon = text.indexOf(":")
    if (colon === 0) return
    const name = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "")
    if (name === "event") event = value
    else if (name === "data") data.push(value)
    else if (name === "id") id = value
  }
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ""
    for (const one of lines) line(one)
  }
}
