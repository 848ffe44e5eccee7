// Requests that are on their way: streams whose one message, or its end, has not come, so that no handler knows of them.
//
// A peer that opens calls and does not end them would hold their places on its connection, and up to a message each, for
// ever. Calls come by the thousands a second and their requests with them, so a stream costs an entry of a set while it
// waits, and a glance now and then looks at those that are still there: what is there at a glance is counted from then on,
// and ended where too little of it has come a window of glances later. Glances are counted, not time, and each comes behind
// what the sockets held: a server that was busy for long has had few of them, and holds that against nobody.
import type { ServerHttp2Stream } from "node:http2";
import { refuseStream, streamOf } from "./grpc-internals.js";
import type { ProgressLimits } from "./peer-progress.js";
import { wireStatus, type WireStatus } from "./status.js";
import { requestTooSlow } from "./too-slow.js";
import { toStatus } from "../service/errors.js";

/** Glances in one window: a stream is ended after one window to one and a half. */
const GLANCES = 4;

export class RequestWatch {
  readonly #limits: ProgressLimits;
  readonly #waiting = new Map<ServerHttp2Stream, ArrivedBytes | undefined>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: ProgressLimits) {
    this.#limits = limits;
  }

  /** Streams whose request is waited for. */
  get size(): number {
    return this.#waiting.size;
  }

  /** A stream was opened. */
  opened(stream: ServerHttp2Stream): void {
    this.#waiting.set(stream, undefined);
    this.#timer ??= this.#nextGlance();
  }

  /** The request of a call has come to its end, or somebody else counts what comes of it. */
  received(call: object): void {
    const stream = streamOf(call);
    if (stream !== undefined) this.#forget(stream);
  }

  #forget(stream: ServerHttp2Stream): void {
    this.#waiting.get(stream)?.stop();
    this.#waiting.delete(stream);
  }

  #nextGlance(): NodeJS.Timeout {
    const glance = (): void => void setImmediate(() => this.#glance());
    return setTimeout(glance, this.#limits.slowPeerTimeoutMs / GLANCES).unref();
  }

  #glance(): void {
    const { minProgressBytes } = this.#limits;
    for (const [stream, arrived] of this.#waiting) {
      if (stream.closed || stream.destroyed || stream.readableEnded) this.#forget(stream);
      else if (arrived === undefined) this.#waiting.set(stream, new ArrivedBytes(stream));
      else if ((arrived.glances += 1) < GLANCES) continue;
      else if (arrived.bytes >= minProgressBytes) arrived.begin();
      else {
        this.#forget(stream);
        refuseStream(stream, this.#tooSlow(arrived.bytes));
      }
    }
    this.#timer = this.#waiting.size > 0 ? this.#nextGlance() : undefined;
  }

  #tooSlow(bytes: number): WireStatus {
    return wireStatus(
      toStatus(requestTooSlow(bytes, this.#limits), { requestId: "unread", logFailure: () => undefined }),
    );
  }
}

/** What comes on one stream since a glance. */
class ArrivedBytes {
  bytes = 0;
  glances = 0;
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    // grpc-js has a listener already, and pauses the stream as it likes: this one changes nothing of that.
    stream.on("data", this.#onData);
  }

  /** A new window. */
  begin(): void {
    this.bytes = 0;
    this.glances = 0;
  }

  stop(): void {
    this.#stream.off("data", this.#onData);
  }

  readonly #onData = (data: Buffer): void => {
    this.bytes += data.length;
  };
}
