/**
 * The server of the control plane in the `HttpServer` of a program, by `@effect/platform`, which this subpath alone loads.
 */
export * as Server from "./serving.ts"
