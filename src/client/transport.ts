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

/** Settings of one call that reads what the log has now. */
export interface FreshOptions extends CallOptions {
  /**
   * Leaves that the log must have: one more than the log index of a receipt, also of another client's, for an answer that
   * is no older than that write. What this client itself has seen it asks for anyway.
   * @throws RolledBack - the server's log is shorter, and did not grow to that within a few seconds
   */
  readonly minLogSize?: number | undefined;
}

/** Settings of one call that writes. */
export interface WriteOptions extends CallOptions {
  /**
   * Makes the write safe to ask for again, also by another process, for 24 hours: the same write with the same key has
   * one effect, and its first answer; another write with it is `AlreadyExists`. 1 to 128 printable characters of ASCII,
   * best random. Absent: over a network the client makes one of its own for each write, so that it can try again by
   * itself; in process there is none.
   *
   * With a key given here, what an earlier try did is told in the server's words: that it is still so is not to be
   * expected, and not checked.
   */
  readonly idempotencyKey?: string | undefined;
}

/**
 * Carries calls. Every method rejects (or its iterator throws) with a NeleusError: the one the service threw, or
 * `Unavailable`, `DEADLINE_EXCEEDED`, `CANCELLED` for what happens on the way. Leaving a stream early cancels the call.
 */
export interface Transport {
  /** Where this leads, for messages and the trust store, e.g. `127.0.0.1:7117` or a directory. */
  readonly address: string;
  /** True where what is called lives and dies with this process, so that no answer is lost on its way. */
  readonly isInProcess?: boolean | undefined;
  /** Settings of calls that have none of their own; a signal holds beside theirs. */
  readonly defaults?: CallOptions | undefined;

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

  /** Each request is taken before the next is asked for: arrays in it may then be used again. */
  clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;

  close(): Promise<void>;
}
