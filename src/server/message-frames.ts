// Arrays for the messages of one answer, used again once they have gone: making a large one costs more than filling it, and
// collecting it more than that. Each begins with room for the frame that gRPC puts around a message (grpc-internals.ts).
import { FRAME_HEAD_BYTES, takeFrames } from "./grpc-internals.js";

/** What holds less is not worth keeping. */
const LEAST_KEPT_BYTES = 16 * 1024;
/** Sizes are multiples of this, so that a message a little larger than the last fits in its place. */
const STEP_BYTES = 64 * 1024;
/** As many are on their way at once only where messages are small. */
const MOST_KEPT = 8;

export class MessageFrames {
  /** Whether the call takes frames; otherwise messages go as they are. */
  readonly #isFramed: boolean;
  readonly #free: Buffer[] = [];
  readonly #made = new Set<ArrayBufferLike>();

  constructor(call: object) {
    this.#isFramed = takeFrames(call);
  }

  /** Room for a message, with anything in it. */
  readonly allocate = (sizeBytes: number): Buffer => {
    const frameBytes = FRAME_HEAD_BYTES + sizeBytes;
    return this.#room(frameBytes).subarray(FRAME_HEAD_BYTES, frameBytes);
  };

  /** What is to be written for a message; of one with room from here the frame lies around it. */
  frameOf(message: Buffer): Buffer {
    if (!this.#isFramed) return message;
    const frame = this.#made.has(message.buffer) ? frameAround(message) : this.#copied(message);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    return frame;
  }

  /** The frame has gone: its array may be written to. */
  giveBack({ buffer }: Buffer): void {
    if (!this.#made.has(buffer)) return;
    if (buffer.byteLength >= LEAST_KEPT_BYTES && this.#free.length < MOST_KEPT) this.#free.push(Buffer.from(buffer));
    else this.#made.delete(buffer);
  }

  #room(sizeBytes: number): Buffer {
    if (sizeBytes < LEAST_KEPT_BYTES) return this.#make(sizeBytes);
    const free = this.#free.pop();
    if (free !== undefined && free.length >= sizeBytes) return free;
    if (free !== undefined) this.#made.delete(free.buffer);
    return this.#make(Math.ceil(sizeBytes / STEP_BYTES) * STEP_BYTES);
  }

  #make(sizeBytes: number): Buffer {
    const made = Buffer.allocUnsafeSlow(sizeBytes);
    this.#made.add(made.buffer);
    return made;
  }

  #copied(message: Buffer): Buffer {
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + message.length);
    frame.set(message, FRAME_HEAD_BYTES);
    return frame;
  }
}

function frameAround(message: Buffer): Buffer {
  const start = message.byteOffset - FRAME_HEAD_BYTES;
  return Buffer.from(message.buffer, start, FRAME_HEAD_BYTES + message.length);
}
