/**
 * Commands that serve other programs.
 */
import { argument, choice, define, flag, integer, optionalArgument, text, texts } from "../Definition.ts"
import { otel } from "./running.ts"

const parameters = {
  port: integer("port", "Port to listen on; 0 for any. Default: 4280"),
  host: text("host", "address", "Address to listen on. Any but a loopback one needs --token-file. Default: 127.0.0.1"),
  tokenFile: text("token-file", "file", "File of the owner's token, readable by nobody else. Default: <database>.token"),
  allowHost: texts("allow-host", "name", "Name of a host that requests may be for, such as that of a proxy. Repeatable"),
  root: text("root", "folder", "Folder of the project. Default: the nearest one upward with workflows"),
  supervise: flag("supervise", "Also resume runs that no process works on, as `smithers supervise` does"),
  otel,
}

export const serve = define({
  path: ["serve"],
  summary: "Serves the API, its streams of events, the metrics and the page, until it is stopped.",
  details:
    "Requests carry the owner's token, which is in a file beside the database, or one of `smithers token add`. The database may be one that others work on, or that of runs which have died. Workflows are loaded in processes of their own, which begin in the folder of the project. SIGTERM or Ctrl-C closes all streams and stops.",
  examples: [
    { line: "smithers serve", does: "Listens on http://127.0.0.1:4280." },
    { line: "smithers serve --supervise", does: "Also wakes runs whose process died, or whose time or answer has come." },
    {
      line: "smithers serve --host 0.0.0.0 --token-file /run/secrets/smithers --allow-host ci.example.com",
      does: "Listens on all addresses, for requests to that host.",
    },
  ],
  parameters,
  output: "Serving",
  isStream: true,
  onBrokenPipe: "interrupt",
  action: () => import("../actions/serve.ts").then(({ serve }) => serve),
})

export const ui = define({
  path: ["ui"],
  summary: "Serves the page of the runs, and opens it in a browser.",
  details: "As `smithers serve`, with any free port by default. The address that it prints holds the token: it is for you alone.",
  examples: [
    { line: "smithers ui", does: "Opens the page." },
    { line: "smithers ui --no-open", does: "Prints its address only." },
  ],
  parameters: { ...parameters, noOpen: flag("no-open", "Open no browser") },
  output: "Serving",
  isStream: true,
  onBrokenPipe: "interrupt",
  action: () => import("../actions/serve.ts").then(({ ui }) => ui),
})

export const mcp = define({
  path: ["mcp"],
  summary: "Serves runs and workflows as tools of the Model Context Protocol, over standard input and output.",
  details:
    "Clients start it themselves: `smithers mcp add` prints their configuration. Tools list, explain, start, repair and fork runs, and read, write and check workflows. Approvals and questions are decided by the person behind the client, who is shown the request; a client that cannot ask is refused.",
  examples: [
    { line: "smithers mcp add", does: "Prints the configuration of Claude Code, Codex, Cursor and VS Code." },
    { line: "smithers mcp --read-only", does: "Serves tools that change nothing." },
  ],
  parameters: {
    add: optionalArgument("add", "Print the configuration of clients, and serve nothing", ["add"]),
    client: optionalArgument("client", "Only the configuration of this client", ["claude", "codex", "cursor", "vscode"]),
    root: text("root", "folder", "Folder of the project. Default: the nearest one upward with workflows"),
    readOnly: flag("read-only", "Offer only tools that read"),
    allowApprove: flag("allow-approve", "Let clients decide requests that cannot ask a person"),
    forRun: text(
      "for-run",
      "run",
      "Run that the client works in: its requests, and those of its child runs and forks, are never decided",
    ),
  },
  output: "McpClients",
  action: () => import("../actions/mcp.ts").then(({ mcp }) => mcp),
})

const name = argument("name", "Name of the token. Decisions are stored with it")

export const tokenAdd = define({
  path: ["token", "add"],
  summary: "Adds a token for the API, and prints it once.",
  details:
    "Only its hash is stored, beside the database. Scopes, each with those before it: metrics, read (look at runs), decide (approve, deny, answer), operate (start, control and fork runs), admin (revert runs, write workflows).",
  examples: [
    { line: "smithers token add ann --scope decide", does: "Adds a token for a person who approves." },
    { line: "smithers token add prometheus --scope metrics", does: "Adds a token that only reads the metrics." },
  ],
  parameters: {
    name,
    scope: choice("scope", ["metrics", "read", "decide", "operate", "admin"], "Most that its holder may do. Default: read"),
    forRun: text("for-run", "run", "Run that its holder works in, and whose requests it never decides"),
  },
  output: "TokenAdded",
  action: () => import("../actions/token.ts").then(({ add }) => add),
})

export const tokenList = define({
  path: ["token", "list"],
  summary: "Lists the tokens for the API by name, with their scopes.",
  examples: [{ line: "smithers token list", does: "Lists the tokens." }],
  parameters: {},
  output: "TokenList",
  action: () => import("../actions/token.ts").then(({ list }) => list),
})

export const tokenRemove = define({
  path: ["token", "rm"],
  summary: "Removes a token for the API. Servers refuse it from the next request on.",
  examples: [{ line: "smithers token rm ann", does: "Removes a token." }],
  parameters: { name },
  output: "TokenRemoved",
  action: () => import("../actions/token.ts").then(({ remove }) => remove),
})

const hook = {
  workflow: argument("workflow", "Name of the workflow, or of an event"),
  signal: optionalArgument("signal", "Name of the signal of the workflow; without it the hook publishes an event"),
}

export const hookAdd = define({
  path: ["hook", "add"],
  summary: "Adds a webhook for a signal of a workflow, or for an event, and prints its secret once.",
  details:
    "Services send POST /hooks/<workflow>/<signal> with the payload as JSON, signed as the Standard Webhooks specification says: webhook-id, webhook-timestamp and webhook-signature. The signal goes to each run of the workflow that waits for it, with ?correlation=<text> to those with this correlation, with ?run=<id> to one run. A delivery with the same id counts once. The hook of an event, POST /hooks/<event>, publishes it: it is kept if no run waits.",
  examples: [
    { line: "smithers hook add pay paid", does: "Adds a hook for the signal paid of pay." },
    { line: "smithers hook add merged", does: "Adds a hook that publishes the event merged." },
  ],
  parameters: hook,
  output: "HookAdded",
  action: () => import("../actions/hook.ts").then(({ add }) => add),
})

export const hookList = define({
  path: ["hook", "list"],
  summary: "Lists the webhooks, without their secrets.",
  examples: [{ line: "smithers hook list", does: "Lists the hooks." }],
  parameters: {},
  output: "HookList",
  action: () => import("../actions/hook.ts").then(({ list }) => list),
})

export const hookRemove = define({
  path: ["hook", "rm"],
  summary: "Removes a webhook. Servers refuse its deliveries from the next one on.",
  examples: [{ line: "smithers hook rm pay paid", does: "Removes a hook." }],
  parameters: hook,
  output: "HookRemoved",
  action: () => import("../actions/hook.ts").then(({ remove }) => remove),
})
