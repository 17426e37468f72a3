/**
 * A typed client of the HTTP API that `smithers serve` offers, for browsers, Node and Bun. Loads nothing but itself.
 */
export { type Client, type ConnectOptions, connect, type Operations } from "@smithers/server/client/Client"
export { type Followed, type FollowedEvent, type FollowOptions, followEvents } from "@smithers/server/client/Events"
export { RequestFailed, Unreachable } from "@smithers/server/client/Failures"
