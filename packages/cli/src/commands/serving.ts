/**
 * Commands that serve other programs.
 */
import { define, flag, optionalArgument, text } from "../Definition.ts"
import * as Output from "../Output.ts"

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
  output: Output.McpClients,
  action: () => import("../actions/mcp.ts").then(({ mcp }) => mcp),
})
