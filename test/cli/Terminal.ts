/** A command in a terminal of its own, as a person has one. */
import { type Folder, until } from "./Fixture.ts"

/** Starts a command in a terminal that is 100 columns wide. */
export const inTerminal = (place: Folder, ...args: ReadonlyArray<string>) => {
  let text = ""
  const terminal = new Bun.Terminal({
    cols: 100,
    rows: 24,
    data: (_, data) => {
      text += new TextDecoder().decode(data)
    },
  })
  const { CI: _, SMITHERS_DB: __, ...env } = process.env
  const child = Bun.spawn([process.execPath, place.bin, ...args], { cwd: place.path, env: { ...env, TERM: "xterm" }, terminal })
  const seen = () => Bun.stripANSI(text)
  return {
    seen,
    sees: (words: string) =>
      until(
        () => seen().includes(words),
        () => `the terminal shows ${words}; it shows ${seen()}`,
      ),
    type: (keys: string) => terminal.write(keys),
    ended: child.exited.finally(() => terminal.close()),
  }
}
