/**
 * The transport over standard input and output. A module of its own, so that only the command that needs it loads it.
 */
export { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
