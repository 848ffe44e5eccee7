// What every part of a client shares: the transport, the name of the database in every request, and how often a call
// that may be repeated is made.
import type {
  DescMessage,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { Repetition, isRepeatable } from "./repetition.js";
import type { CallOptions, Transport } from "./transport.js";

/** The settings of a call among those of a method that has more. */
export function callOptions(options: CallOptions): CallOptions {
  return { signal: options.signal, timeoutMs: options.timeoutMs };
}

/** A transport bound to one database. */
export class Connection {
  readonly transport: Transport;
  readonly database: string;
  readonly #maxAttempts: number;

  /** `maxAttempts`: how often a repeatable call is made at most; absent: once. */
  constructor(transport: Transport, database: string, options: { readonly maxAttempts?: number | undefined } = {}) {
    this.transport = transport;
    this.database = database;
    this.#maxAttempts = options.maxAttempts ?? 1;
  }

  /** True where an answer can be lost on its way, and a write that has a key is made again. */
  get repeatsWrites(): boolean {
    return this.#maxAttempts > 1 && this.transport.isInProcess !== true;
  }

  /** The tries of a call that is made again by whoever made it. */
  repetition(options: CallOptions): Repetition {
    return new Repetition(this.#maxAttempts, options, this.transport.defaults);
  }

  /** Runs what may be done again, from its start, while that helps. */
  async repeat<T>(attempt: (options: CallOptions) => Promise<T>, options: CallOptions = {}): Promise<T> {
    const repetition = this.repetition(options);
    for (;;) {
      try {
        return await attempt(repetition.options);
      } catch (error) {
        await repetition.next(error);
      }
    }
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    if (!isRepeatable(method, request)) return this.transport.unary(method, request, callOptions(options));
    return this.repeat((call) => this.transport.unary(method, request, call), options);
  }

  /** Made again only while nothing of the answer has been handed on: what goes on from there is the caller's to know. */
  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const repetition = this.repetition(options);
    for (let hasAnswer = false; ;) {
      try {
        for await (const message of this.transport.serverStream(method, request, repetition.options)) {
          hasAnswer = true;
          yield message;
        }
        return;
      } catch (error) {
        if (hasAnswer) throw error;
        await repetition.next(error);
      }
    }
  }

  /**
   * A stream whose parts join up: where the connection is lost it goes on from where it stood. `attempt` makes one call, of
   * the transport, for what is left; `position` says how far what was handed out goes, and grows with each item.
   */
  async *resumed<T>(
    stream: { readonly attempt: (call: CallOptions) => AsyncIterable<T>; readonly position: () => number },
    options: CallOptions = {},
  ): AsyncGenerator<T, void, undefined> {
    const repetition = this.repetition(options);
    for (;;) {
      const before = stream.position();
      try {
        yield* stream.attempt(repetition.options);
        return;
      } catch (error) {
        if (stream.position() > before) repetition.hasProgressed();
        await repetition.next(error);
      }
    }
  }

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.transport.clientStream(method, requests, callOptions(options));
  }
}
