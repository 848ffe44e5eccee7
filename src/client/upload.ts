// Content on its way to the server: the messages of an upload, and what the client knows of it once it has been sent.
//
// A header, data at consecutive offsets, an explicit finish with the size and hash that the client computed itself. The
// same three parts carry a blob and a document. Memory is one message, whatever the size.
import { BlobHasher } from "../core/blob/index.js";
import { InvalidArgument } from "../core/errors.js";
import { DATA_MESSAGE_BYTES } from "../core/limits.js";
import type { BlobReference, ContentSource } from "./records.js";
import { contentPieces, SourceFailed } from "./content.js";

/** Bytes and where they go. */
export interface DataPart {
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface OutgoingOptions {
  /** Bytes that the server holds already: they are read, but not sent. */
  readonly skipBytes?: number;
  /** What the content was before, when it was read and hashed: then it is not hashed again, but for its size only held against that. */
  readonly known?: BlobReference | undefined;
  readonly onProgress?: ((sentBytes: number) => void) | undefined;
  /** Shown every byte of the content, in order, on its way; the array is only lent. */
  readonly onBytes?: ((bytes: Uint8Array) => void) | undefined;
}

/** One pass over content: its data messages, then its size and hash. */
export class Outgoing {
  readonly #content: ContentSource;
  readonly #skipBytes: number;
  readonly #known: BlobReference | undefined;
  readonly #onProgress: ((sentBytes: number) => void) | undefined;
  readonly #onBytes: ((bytes: Uint8Array) => void) | undefined;
  #finished: BlobReference | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(content: ContentSource, options: OutgoingOptions = {}) {
    this.#content = content;
    this.#skipBytes = options.skipBytes ?? 0;
    this.#known = options.known;
    this.#onProgress = options.onProgress;
    this.#onBytes = options.onBytes;
  }

  /** Size and hash; undefined until `parts` has ended. */
  get finished(): BlobReference | undefined {
    return this.#finished;
  }

  /**
   * The data messages, each at most DATA_MESSAGE_BYTES.
   * @throws SourceFailed @throws LimitExceeded - over MAX_BLOB_BYTES
   * @throws InvalidArgument - the content is shorter than what the server holds of it, or not as long as it was known to be
   */
  async *parts(): AsyncGenerator<DataPart, void, undefined> {
    try {
      yield* this.#cut();
    } catch (error) {
      this.#failure = { error: error instanceof SourceFailed ? error.cause : error };
      throw error;
    }
  }

  /**
   * Waits for the call that sends the parts. Where the content itself failed, that is what the caller gets, as it was
   * thrown, whatever the transport made of it.
   */
  async settle<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.#failure === undefined ? error : this.#failure.error;
    }
  }

  async *#cut(): AsyncGenerator<DataPart, void, undefined> {
    const hasher: Tally = this.#known === undefined ? new BlobHasher() : new KnownTally(this.#known);
    // A source may fill the same array again once it is asked for more, so what does not fill a message is copied.
    const waiting = new Uint8Array(DATA_MESSAGE_BYTES);
    let waitingBytes = 0;
    for await (const piece of contentPieces(this.#content)) {
      for (let taken = 0; taken < piece.length;) {
        const offset = hasher.sizeBytes;
        const skipped = offset < this.#skipBytes;
        const most = skipped ? this.#skipBytes - offset : DATA_MESSAGE_BYTES - waitingBytes;
        const part = piece.subarray(taken, taken + Math.min(most, DATA_MESSAGE_BYTES));
        taken += part.length;
        hasher.update(part);
        // Only the hash is wanted: interior nodes are dropped as they come, so that memory stays what it is.
        hasher.drainOutboard();
        this.#onBytes?.(part);
        if (skipped) continue;
        if (part.length === DATA_MESSAGE_BYTES) {
          yield* this.#message(part, hasher.sizeBytes);
          continue;
        }
        waiting.set(part, waitingBytes);
        waitingBytes += part.length;
        if (waitingBytes < DATA_MESSAGE_BYTES) continue;
        yield* this.#message(waiting.slice(), hasher.sizeBytes);
        waitingBytes = 0;
      }
    }
    if (hasher.sizeBytes < this.#skipBytes) throw this.#tooShort(hasher.sizeBytes);
    if (waitingBytes > 0) yield* this.#message(waiting.slice(0, waitingBytes), hasher.sizeBytes);
    const { hash, sizeBytes } = hasher.finish();
    this.#finished = { hash, sizeBytes };
  }

  *#message(data: Uint8Array, end: number): Generator<DataPart, void, undefined> {
    yield { offset: end - data.length, data };
    this.#onProgress?.(end);
  }

  #tooShort(sizeBytes: number): InvalidArgument {
    const message = `the content has ${sizeBytes} bytes, and the server holds ${this.#skipBytes} under this upload id`;
    return new InvalidArgument(`content: ${message}`, { field: "content", hint: "choose a new upload id" });
  }
}

/** What is kept of content as it passes. */
interface Tally {
  readonly sizeBytes: number;
  update(bytes: Uint8Array): void;
  drainOutboard(): unknown;
  finish(): BlobReference;
}

/** Counts only. The server holds the bytes against the hash at the end; a size that differs is found here. */
class KnownTally implements Tally {
  readonly #known: BlobReference;
  #sizeBytes = 0;

  constructor(known: BlobReference) {
    this.#known = known;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > this.#known.sizeBytes) throw this.#changed("more");
  }

  drainOutboard(): void {
    // There is none.
  }

  finish(): BlobReference {
    if (this.#sizeBytes < this.#known.sizeBytes) throw this.#changed("fewer");
    return this.#known;
  }

  #changed(what: "more" | "fewer"): InvalidArgument {
    return new InvalidArgument(
      `content: it has ${what} than the ${this.#known.sizeBytes} bytes it had when it was hashed`,
      {
        field: "content",
        hint: "let nobody write to it while it is stored",
      },
    );
  }
}
