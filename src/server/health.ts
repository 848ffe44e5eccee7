// grpc.health.v1: whether the server, and each of its services, takes calls. Probes and load balancers ask it.
//
// The empty name stands for the whole server. All services share one fate here: they serve until the server shuts down, or
// while whoever started it says that they do not: what it serves has lost leaves of its log, and is to be mended.
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { NotFound, Unavailable } from "../core/errors.js";
import { bindService, type CallContext, type ServiceBinding } from "../service/implementation.js";

/** How often a watcher's status is looked at. */
const LOOK_EVERY_MS = 1_000;

/** The health of one server. */
export class HealthService {
  readonly #names: ReadonlySet<string>;
  #isStopped = false;
  readonly #isFit: () => boolean;
  #onStopped = new Set<() => void>();

  /**
   * @param serviceNames - full names of the services served, e.g. `neleus.v1.BlobService`
   * @param isFit - false while they cannot do their work
   */
  constructor(serviceNames: Iterable<string>, isFit: () => boolean = () => true) {
    this.#names = new Set(["", ...serviceNames]);
    this.#isFit = isFit;
  }

  /** From now on the answer is NOT_SERVING; watchers are told, and their calls end. */
  stop(): void {
    this.#isStopped = true;
    for (const tell of this.#onStopped) tell();
  }

  binding(): ServiceBinding {
    return bindService(Health, {
      check: async ({ service }) => {
        const status = this.#statusOf(service);
        if (status === ServingStatus.SERVICE_UNKNOWN)
          throw new NotFound(`no service "${service}" here`, { field: "service" });
        return { status };
      },
      list: async () => {
        const statuses = [...this.#names].map((name) => [name, { status: this.#statusOf(name) }] as const);
        return { statuses: Object.fromEntries(statuses) };
      },
      watch: ({ service }, context) => this.#watch(service, context),
    });
  }

  async *#watch(service: string, context: CallContext): AsyncGenerator<{ status: ServingStatus }> {
    const isKnown = this.#names.has(service);
    let last = this.#statusOf(service);
    yield { status: last };
    while (!this.#isStopped) {
      await this.#stopped(context.signal);
      const status = this.#statusOf(service);
      if (isKnown && status !== last) yield { status };
      last = status;
    }
    // Not OK: the protocol asks clients to come back, and by then another server may answer.
    throw new Unavailable("the server is shutting down");
  }

  #statusOf(service: string): ServingStatus {
    if (!this.#names.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return !this.#isStopped && this.#isFit() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  /** Waits until the server stops, or a while: fitness is looked at, not told. Rejects with the signal's reason when the call ends before. */
  #stopped(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#onStopped.delete(onStopped);
        signal.removeEventListener("abort", onAbort);
      };
      const onStopped = (): void => {
        settle();
        resolve();
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(onStopped, LOOK_EVERY_MS);
      timer.unref();
      signal.throwIfAborted();
      signal.addEventListener("abort", onAbort);
      this.#onStopped.add(onStopped);
    });
  }
}
