// A bare grpc-js server in a process of its own (echo-service.ts), which tells its parent where it listens.
import { listenEcho } from "./echo-service.js";

// The channel to the parent would keep it alive.
process.on("SIGTERM", () => process.exit());
process.on("disconnect", () => process.exit());
process.send?.(await listenEcho());
