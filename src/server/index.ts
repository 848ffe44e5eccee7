// The gRPC server: what the CLI's `serve` and applications that embed a server use.
export { startServer } from "./server.js";
export type { RunningServer, ServerCounters, ServerOptions } from "./server.js";
export { DEFAULT_SERVER_LIMITS } from "./limits.js";
export type { ServerLimits } from "./limits.js";
export { jsonLinesLogger } from "./logger.js";
export type { JsonLinesOptions, LogFields, Logger, LogLevel } from "./logger.js";
export { formatListenAddress, parseListenAddress } from "./listen-address.js";
export type { ListenAddress } from "./listen-address.js";
