// How a client reaches a server: over gRPC, or in process. The verifying client is written once, on this.
import type {
  DescMessage,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";

/** Settings of one call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Deadline from now, in milliseconds; absent: none. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Carries calls. Every method rejects (or its iterator throws) with a NeleusError: the one the service threw, or
 * `Unavailable`, `DEADLINE_EXCEEDED`, `CANCELLED` for what happens on the way. Leaving a stream early cancels the call.
 */
export interface Transport {
  /** Where this leads, for messages and the trust store, e.g. `127.0.0.1:7117` or a directory. */
  readonly address: string;

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>;

  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;

  close(): Promise<void>;
}
