// Arrays for the messages of one stream, used again once they have gone: making a large one costs more than filling it, and
// collecting it more than that.

/** What holds less is not worth keeping. */
const LEAST_KEPT_BYTES = 16 * 1024;
/** A sixteenth more than is asked for, so that a message a little larger than the last fits in its place. */
const SPARE_SHARE = 16;
/** As many are on their way at once only where messages are small. */
const MOST_KEPT = 8;
/** An array of more than so many times what is asked for is of a time when the stream was given more. */
const MOST_TIMES_WANTED = 4;

export class ReusedArrays {
  readonly #free: Buffer[] = [];
  readonly #made = new Set<ArrayBufferLike>();

  /** An array of at least this size, with anything in it. */
  take(sizeBytes: number): Buffer {
    if ((this.#free[0]?.length ?? 0) > MOST_TIMES_WANTED * sizeBytes) this.#letGo();
    if (sizeBytes < LEAST_KEPT_BYTES) return this.#make(sizeBytes);
    const free = this.#free.pop();
    if (free !== undefined && free.length >= sizeBytes) return free;
    if (free !== undefined) this.#made.delete(free.buffer);
    return this.#make(sizeBytes + Math.ceil(sizeBytes / SPARE_SHARE));
  }

  /** True for an array that is from here, or a view of one. */
  isOwn({ buffer }: Buffer): boolean {
    return this.#made.has(buffer);
  }

  /** The array, or a view of it, is of no use any more and may be written to. What is not from here is left alone. */
  giveBack({ buffer }: Buffer): void {
    if (!this.#made.has(buffer)) return;
    if (buffer.byteLength >= LEAST_KEPT_BYTES && this.#free.length < MOST_KEPT) this.#free.push(Buffer.from(buffer));
    else this.#made.delete(buffer);
  }

  /** What nobody counts any more must not be kept either: messages have become smaller. */
  #letGo(): void {
    for (const { buffer } of this.#free.splice(0)) this.#made.delete(buffer);
  }

  #make(sizeBytes: number): Buffer {
    const made = Buffer.allocUnsafeSlow(sizeBytes);
    this.#made.add(made.buffer);
    return made;
  }
}
