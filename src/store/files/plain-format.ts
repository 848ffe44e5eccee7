// Files as they are: a blob's file is its content, and is called by its hash.
import { constants, copyFile } from "node:fs/promises";
import { fromHex, toHex } from "../../core/bytes.js";
import { Corrupt } from "../../core/errors.js";
import type { FileFormat, FileReader, FileWriter, Released, WriterState } from "./file-format.js";
import type { OpenFile } from "./file-system.js";
import { fillFrom, onFile, writeAt } from "./file-system.js";

class PlainFile implements FileWriter {
  readonly #file: OpenFile;
  #sizeBytes: number;

  constructor(file: OpenFile, sizeBytes: number) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async fill(offset: number, into: Uint8Array): Promise<void> {
    await fillFrom(this.#file, offset, into);
  }

  async append(bytes: Uint8Array): Promise<void> {
    await writeAt(this.#file, this.#sizeBytes, bytes);
    this.#sizeBytes += bytes.length;
  }

  async sync(): Promise<undefined> {
    await flush(this.#file);
  }

  async release(): Promise<Released> {
    await this.#cutTail();
    await flush(this.#file);
    return { tail: undefined };
  }

  async finish(): Promise<void> {
    await this.#cutTail();
    await flush(this.#file);
  }

  /** An append that failed half-way may have left bytes behind the end. */
  async #cutTail(): Promise<void> {
    const { handle, path } = this.#file;
    await onFile({ doing: "cut", path }, () => handle.truncate(this.#sizeBytes));
  }
}

export const plainFormat: FileFormat = {
  blobName: toHex,
  blobOf: async (name) => fromHex(name),
  uploadName: (uploadId) => uploadId,

  async read(file): Promise<FileReader> {
    return new PlainFile(file, await sizeOf(file));
  },

  async begin(file) {
    const { handle, path } = file;
    await onFile({ doing: "cut", path }, () => handle.truncate(0));
    return new PlainFile(file, 0);
  },

  async resume(file, { sizeBytes }: WriterState) {
    const actual = await sizeOf(file);
    if (actual < sizeBytes) throw tooShort(file.path, { actual, sizeBytes });
    return new PlainFile(file, sizeBytes);
  },

  /** Shares blocks where the file system can. */
  async copy(from, to, { sizeBytes }: WriterState) {
    await onFile({ doing: "copy", path: from }, () => copyFile(from, to.path, constants.COPYFILE_FICLONE));
    const actual = await sizeOf(to);
    if (actual < sizeBytes) throw tooShort(from, { actual, sizeBytes });
    await onFile({ doing: "cut", path: to.path }, () => to.handle.truncate(sizeBytes));
    return new PlainFile(to, sizeBytes);
  },

  recordName: "record.json",
  encodeRecord: (_folder, record) => record,
  decodeRecord: (_folder, stored) => stored,
};

async function sizeOf({ handle, path }: OpenFile): Promise<number> {
  return (await onFile({ doing: "measure", path }, () => handle.stat())).size;
}

async function flush({ handle, path }: OpenFile): Promise<void> {
  await onFile({ doing: "flush", path }, () => handle.datasync());
}

function tooShort(
  path: string,
  { actual, sizeBytes }: { readonly actual: number; readonly sizeBytes: number },
): Corrupt {
  return new Corrupt(`${path} holds ${actual} bytes, and ${sizeBytes} were durable`, {
    hint: "discard the upload and begin it anew",
    facts: { path },
  });
}
