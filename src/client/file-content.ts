// A file as content that can be read more than once.
import { createReadStream } from "node:fs";
import { stat, type FileHandle } from "node:fs/promises";
import { DATA_MESSAGE_BYTES } from "../core/limits.js";
import type { RepeatableContent } from "./records.js";

/**
 * The content of a file, by its path or open. Nothing is read before it is sent; an open file is read from its start, and stays
 * open. A file that is not a regular one (a pipe, a terminal) can be read once only: its content has no size.
 * @throws Error - the system's own, where the file cannot be looked at; reading may throw others
 */
export async function fileContent(file: string | FileHandle): Promise<RepeatableContent> {
  const found = await (typeof file === "string" ? stat(file) : file.stat());
  const stream = (): AsyncIterable<Uint8Array> => {
    const highWaterMark = DATA_MESSAGE_BYTES;
    if (typeof file === "string") return createReadStream(file, { highWaterMark }) as AsyncIterable<Uint8Array>;
    return file.createReadStream({ start: 0, autoClose: false, highWaterMark }) as AsyncIterable<Uint8Array>;
  };
  return found.isFile() ? { stream, size: found.size } : { stream };
}
