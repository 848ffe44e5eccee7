// The gRPC server of a set of services: listens, serves them with health and reflection, and shuts down in order.
//
//   const server = await startServer({ services, listen: "127.0.0.1:7117" });
//   …
//   await server.close({ graceMs: 10_000 });
//
// Shutting down: health says NOT_SERVING and watchers are let go; the address is freed and connections are told that no
// further calls are taken; calls in progress may finish for the grace period; then their signals fire, they have a moment
// to say UNAVAILABLE, and the connections are closed.
import { EventEmitter } from "node:events";
import { Server, ServerCredentials, setLogger } from "@grpc/grpc-js";
import { SHUTDOWN_GRACE_MS } from "../core/limits.js";
import { Unavailable } from "../core/errors.js";
import type { ServiceBinding } from "../service/implementation.js";
import { addService } from "./adapter.js";
import { prepareConnections, setStreamWindow } from "./grpc-internals.js";
import { HealthService } from "./health.js";
import { IdleWatch } from "./idle-watch.js";
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from "./limits.js";
import { parseListenAddress } from "./listen-address.js";
import { Listener } from "./listener.js";
import { jsonLinesLogger, type Logger } from "./logger.js";
import { OpenCalls } from "./open-calls.js";
import { receiveBudget } from "./receive-budget.js";
import { addReflection } from "./reflection.js";
import { RequestWatch } from "./request-watch.js";
import { SendBudget } from "./send-budget.js";

export interface ServerOptions {
  readonly services: readonly ServiceBinding[];
  /** `HOST:PORT` on a loopback address, port 0 for any free one; or `unix:PATH`. */
  readonly listen: string;
  /** Default: JSON lines on stderr, warnings and errors. */
  readonly logger?: Logger;
  readonly limits?: Partial<ServerLimits>;
  /** False while the services cannot do their work: health then says NOT_SERVING. Default: they always can. */
  readonly isFit?: () => boolean;
  /** Told once when there has been neither call nor connection for `afterMs`. The server goes on until it is closed. */
  readonly idle?: { readonly afterMs: number; readonly onIdle: () => void };
}

/** What a server is doing, for metrics and tests. */
export interface ServerCounters {
  /** Calls that are being worked on, or whose answer the peer is still taking. */
  readonly openCalls: number;
  readonly openConnections: number;
  /** Calls taken since the start. Calls of methods that do not exist are not seen. */
  readonly startedCalls: number;
}

export interface RunningServer {
  /** Where it listens, as a client takes it: `127.0.0.1:7117`, `[::1]:7117` or `unix:/path`. */
  readonly address: string;
  counters(): ServerCounters;
  /**
   * Shuts down as told above, and resolves when no call and no connection is left, or when a handler has ignored its
   * signal for a second (logged). A second call shares the first one's end; a shorter grace of it counts.
   * @param options.graceMs - how long calls may go on; default 10 seconds
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Starts a server.
 * @throws InvalidArgument - the address is no loopback address or socket, or does not exist here
 * @throws AlreadyExists - the address is in use
 * @throws NeleusError - PERMISSION_DENIED
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const address = parseListenAddress(options.listen);
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
  const logger = options.logger ?? jsonLinesLogger();
  const activity = new EventEmitter();
  const onCountChanged = (): void => void activity.emit("changed");
  const calls = new OpenCalls({ lingerMs: limits.slowPeerTimeoutMs, onCountChanged });
  const health = new HealthService(
    options.services.map((binding) => binding.descriptor.typeName),
    options.isFit,
  );
  const grpc = createGrpcServer(limits, logger);
  const requests = new RequestWatch(limits);
  const sendBudget = new SendBudget(limits.sendBudgetBytes);
  const environment = { calls, requests, sendBudget, limits, logger };
  const bindings = [...options.services, health.binding()];
  for (const binding of bindings) addService(grpc, binding, environment);
  addReflection(grpc, bindings, environment);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const { windowBytes } = limits;
  if (!prepareConnections(grpc, { windowBytes, onStream: (stream) => requests.opened(stream) }))
    logger.log("warn", "connection windows stay at their default size, requests without an end are not ended");
  const listener = await Listener.open({
    address,
    maxConnections: limits.maxConnections,
    onConnection: (socket) => injector.injectConnection(socket),
    onCountChanged,
  });
  const idle = new IdleWatch({ ...options.idle, busyCount: () => calls.size + listener.connectionCount });
  activity.on("changed", () => idle.update());
  return new GrpcServer({ grpc, listener, calls, health, idle, logger, activity });
}

function createGrpcServer(limits: ServerLimits, logger: Logger): Server {
  // What grpc-js would print on the console (it has one logger for the process) is mostly what a peer did wrong.
  setLogger({ error: (text: unknown) => logger.log("info", "grpc-js", { text: String(text) }) });
  const grpc = new Server({
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_send_message_length": limits.maxMessageBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc.keepalive_time_ms": limits.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": limits.keepaliveTimeoutMs,
    "grpc.max_connection_idle_ms": limits.connectionIdleMs,
    "grpc.enable_channelz": 0,
    interceptors: [receiveBudget(limits.receiveBufferBytes)],
  });
  if (!setStreamWindow(grpc, limits.windowBytes)) logger.log("warn", "stream windows stay at their default size");
  return grpc;
}

/** How long handlers have to let go once their signal has fired, in milliseconds. */
const LET_GO_MS = 1_000;

interface ServerParts {
  readonly grpc: Server;
  readonly listener: Listener;
  readonly calls: OpenCalls;
  readonly health: HealthService;
  readonly idle: IdleWatch;
  readonly logger: Logger;
  /** Emits `changed` when the number of calls or connections has. */
  readonly activity: EventEmitter;
}

class GrpcServer implements RunningServer {
  readonly address: string;
  readonly #parts: ServerParts;
  #closing: Promise<void> | undefined;
  #graceEndsMs = Infinity;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.address = parts.listener.address;
  }

  counters(): ServerCounters {
    const { calls, listener } = this.#parts;
    return { openCalls: calls.size, openConnections: listener.connectionCount, startedCalls: calls.startedCount };
  }

  close(options: { readonly graceMs?: number } = {}): Promise<void> {
    const graceEndsMs = performance.now() + (options.graceMs ?? SHUTDOWN_GRACE_MS);
    this.#graceEndsMs = Math.min(this.#graceEndsMs, graceEndsMs);
    this.#closing ??= this.#close();
    this.#parts.activity.emit("changed");
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { grpc, listener, calls, health, idle, logger } = this.#parts;
    idle.stop();
    health.stop();
    listener.stop();
    // Connections are told that this was the last call; those without a call close at once.
    grpc.tryShutdown(() => undefined);
    await this.#drained(() => this.#graceEndsMs);
    calls.abortAll(new Unavailable("the server is shutting down"));
    const letGoMs = performance.now() + LET_GO_MS;
    await this.#drained(() => letGoMs);
    grpc.forceShutdown();
    listener.destroyConnections();
    const forcedMs = performance.now() + LET_GO_MS;
    await this.#drained(() => forcedMs);
    if (calls.size > 0) logger.log("warn", "handlers ignored the end of their calls", { calls: calls.size });
  }

  /** Waits until no call and no connection is left, at longest until a time that may yet be brought forward. */
  #drained(untilMs: () => number): Promise<void> {
    const { calls, listener, activity } = this.#parts;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const check = (): void => {
        clearTimeout(timer);
        const waitMs = untilMs() - performance.now();
        if (waitMs > 0 && calls.size + listener.connectionCount > 0) {
          timer = setTimeout(check, waitMs);
          return;
        }
        activity.off("changed", check);
        resolve();
      };
      activity.on("changed", check);
      check();
    });
  }
}
