// Room for the messages of one answer, in arrays that are used again. Each begins with room for the frame that gRPC puts
// around a message (grpc-internals.ts).
import { ReusedArrays } from "../wire/reused-arrays.js";
import { FRAME_HEAD_BYTES, takeFrames } from "./grpc-internals.js";

export class MessageFrames {
  /** Whether the call takes frames; otherwise messages go as they are. */
  readonly #isFramed: boolean;
  readonly #arrays = new ReusedArrays();

  constructor(call: object) {
    this.#isFramed = takeFrames(call);
  }

  /** Room for a message, with anything in it. */
  readonly allocate = (sizeBytes: number): Buffer => {
    const frameBytes = FRAME_HEAD_BYTES + sizeBytes;
    return this.#arrays.take(frameBytes).subarray(FRAME_HEAD_BYTES, frameBytes);
  };

  /** What is to be written for a message; of one with room from here the frame lies around it. */
  frameOf(message: Buffer): Buffer {
    if (!this.#isFramed) return message;
    const frame = this.#arrays.isOwn(message) ? frameAround(message) : this.#copied(message);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    return frame;
  }

  /** The frame has gone: its array may be written to. */
  giveBack(frame: Buffer): void {
    this.#arrays.giveBack(frame);
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
