// How large the messages of a stream should be, those with bulk data aside.
import { STREAM_MESSAGE_BYTES } from "../core/limits.js";
import type { StreamMemory } from "../database/index.js";

/** Bytes of the next message: fewer where the stream shares memory with many. What cannot be cut may be larger. */
export function messageBytes(memory: StreamMemory | undefined): number {
  return memory === undefined ? STREAM_MESSAGE_BYTES : memory.messageBytes(STREAM_MESSAGE_BYTES);
}
