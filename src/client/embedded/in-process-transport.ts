// Calls services in this process: the same transport contract as over gRPC, without sockets or bytes.
//
// Messages are handed over by reference. What holds over the wire holds here: a caller that leaves a stream, cancels or
// runs out of time ends the handler's signal and iterator; a source that fails ends the handler's requests with
// CANCELLED; a handler that answers early ends the source. test/rpc/transport.test.ts runs one suite over both.
import { setMaxListeners } from "node:events";
import { create } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { NeleusError, Unsupported } from "../../core/errors.js";
import { GrpcStatus, STATUS_OF } from "../../service/errors.js";
import type { CallContext, Handler, ServiceBinding } from "../../service/implementation.js";
import { ClientCall, ConnectionClosed } from "../client-call.js";
import type { CallOptions, Transport } from "../transport.js";
import { RequestFeed } from "./request-feed.js";

export interface InProcessOptions {
  /** What the transport calls itself, e.g. the directory. */
  readonly address: string;
  readonly services: readonly ServiceBinding[];
}

/** A transport to services in this process. */
export function inProcessTransport(options: InProcessOptions): Transport {
  return new InProcessTransport(options);
}

class InProcessTransport implements Transport {
  readonly address: string;
  readonly isInProcess = true;
  readonly #services: ReadonlyMap<string, ServiceBinding>;
  readonly #open = new Set<ClientCall>();
  #startedCount = 0;
  #isClosed = false;

  constructor(options: InProcessOptions) {
    this.address = options.address;
    this.#services = new Map(options.services.map((binding) => [binding.descriptor.typeName, binding]));
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const running = this.#start(options);
    try {
      const handler = this.#handler(method);
      const answer = await running.unlessEnded(handler(create(method.input, request), running.context));
      return create(method.output, answer);
    } catch (error) {
      throw failure(error);
    } finally {
      this.#finish(running);
    }
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    return { [Symbol.asyncIterator]: () => this.#answers(method, request, options) };
  }

  async *#answers<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const running = this.#start(options);
    let iterator: AsyncIterator<MessageInitShape<O>> | undefined;
    try {
      const handler = this.#handler(method);
      iterator = handler(create(method.input, request), running.context)[Symbol.asyncIterator]();
      for (;;) {
        const next: IteratorResult<MessageInitShape<O>> = await running.unlessEnded(iterator.next());
        // A handler that noticed its signal and just returned has not answered.
        running.call.throwIfEnded();
        if (next.done === true) {
          iterator = undefined;
          return;
        }
        yield create(method.output, next.value);
        running.call.throwIfEnded();
      }
    } catch (error) {
      throw failure(error);
    } finally {
      this.#finish(running);
      running.stop(new NeleusError("CANCELLED", "the caller left the stream"));
      // Not awaited: a handler that is still at work lets go only after its next step.
      iterator?.return?.().catch(() => undefined);
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const running = this.#start(options);
    const feed = new RequestFeed({
      source: requests,
      signal: running.context.signal,
      convert: (request) => create(method.input, request),
      // The handler may be waiting for something else: the caller is told at once.
      onFailed: (reason) => running.call.end(reason),
    });
    try {
      const answer = await running.unlessEnded(this.#handler(method)(feed, running.context));
      return create(method.output, answer);
    } catch (error) {
      // What the caller's own source threw is the caller's: it comes back as it is.
      throw feed.failure === undefined ? failure(error) : feed.failure.error;
    } finally {
      this.#finish(running);
      feed.stop();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const call of this.#open) call.end(new ConnectionClosed(`${this.address} was closed`));
  }

  #handler<M extends DescMethod>(method: M): Handler<M> {
    const binding = this.#services.get(method.parent.typeName);
    const handler = binding?.handlers[method.localName] as unknown;
    if (typeof handler !== "function") {
      throw new Unsupported(`${this.address} does not serve ${method.parent.typeName}.${method.name}`);
    }
    return handler.bind(binding?.handlers) as Handler<M>;
  }

  #start(options: CallOptions): RunningCall {
    if (this.#isClosed) throw new ConnectionClosed(`${this.address} is closed`);
    this.#startedCount += 1;
    const running = new RunningCall(new ClientCall(options), `local-${this.#startedCount}`);
    this.#open.add(running.call);
    return running;
  }

  #finish(running: RunningCall): void {
    this.#open.delete(running.call);
    running.call.release();
  }
}

/** Both sides of one call. */
class RunningCall {
  readonly call: ClientCall;
  readonly context: CallContext;
  readonly #controller = new AbortController();
  #refuse: ((reason: NeleusError) => void) | undefined;

  constructor(call: ClientCall, requestId: string) {
    this.call = call;
    this.context = { signal: this.#controller.signal, requestId };
    // A handler may hand its signal to any number of reads.
    setMaxListeners(0, this.#controller.signal);
    call.onEnd((reason) => {
      this.#controller.abort(reason);
      this.#refuse?.(reason);
    });
  }

  /** Tells the handler to stop; no effect once it has been told. */
  stop(reason: NeleusError): void {
    this.#controller.abort(reason);
  }

  /** What the handler promises, or the reason why the caller ended the call before. */
  unlessEnded<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#refuse = reject;
      promise.then(resolve, reject);
    });
  }
}

/** The error as it would come over the wire, where what only bugs and verifiers throw is INTERNAL. */
function failure(error: unknown): NeleusError {
  if (error instanceof NeleusError && STATUS_OF[error.code] !== GrpcStatus.INTERNAL) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new NeleusError("CANCELLED", "the call was ended by its caller", {}, { cause: error });
  }
  if (error instanceof Error && error.name === "TimeoutError") {
    return new NeleusError("DEADLINE_EXCEEDED", "the call's deadline passed", {}, { cause: error });
  }
  const message = error instanceof Error ? error.message : "something that is no error was thrown";
  return new NeleusError("INTERNAL", `internal error: ${message}`, {}, { cause: error });
}
