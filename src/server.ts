// The package's server entry: serve a database over gRPC from a program of your own.
export { Database as Engine, type DatabaseOptions as EngineOptions } from "./database/index.js";
export { createServices, type ServiceBinding, type ServiceEnvironment } from "./service/index.js";
export { startServer, type RunningServer, type ServerOptions } from "./server/index.js";
