// A large blob open for reading, and where blobs lie: `<root>/aa/bb/<name>`, where aa and bb are the first four digits of the
// name, with the outboard beside it under the same name and `.outboard`.
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Corrupt, Unavailable, assert } from "../../core/errors.js";
import type { LargeBlob } from "../contract.js";
import type { BlobPart, FileFormat, FileReader } from "./file-format.js";
import { flushDirectory, onFileIfThere, type OpenFile } from "./file-system.js";

export const OUTBOARD_SUFFIX = ".outboard";

/** The files of one blob. */
export interface BlobPaths {
  readonly directory: string;
  readonly content: string;
  readonly outboard: string;
}

/** `name`: 64 hex digits. */
export function blobPaths(root: string, name: string): BlobPaths {
  const directory = join(root, name.slice(0, 2), name.slice(2, 4));
  const content = join(directory, name);
  return { directory, content, outboard: content + OUTBOARD_SUFFIX };
}

/** Flushes the folder of a blob, and those that name it, so that the blob is found after a crash. */
export async function flushBlobFolders(directory: string): Promise<void> {
  const first = dirname(directory);
  await Promise.all([directory, first, dirname(first)].map(flushDirectory));
}

/** What a blob's files are read with. */
interface BlobReaders {
  readonly content: FileReader;
  readonly outboard: FileReader;
}

export class BlobFile implements LargeBlob {
  readonly #readers: BlobReaders;
  readonly #close: () => Promise<void>;
  #closed = false;

  /**
   * Opens both files, or returns undefined where there is no such blob.
   * @throws Corrupt - its outboard is gone, or one of them is not the file of this blob
   */
  static async open(root: string, hash: Uint8Array, format: FileFormat): Promise<BlobFile | undefined> {
    const paths = blobPaths(root, format.blobName(hash));
    const content = await openIfThere(paths.content);
    if (content === undefined) return undefined;
    try {
      const outboard = await openIfThere(paths.outboard);
      if (outboard !== undefined) return await BlobFile.#read(hash, { content, outboard }, format);
      // A delete in progress takes the content's name first, and then the outboard's.
      const still = await openIfThere(paths.content);
      await still?.handle.close();
      if (still === undefined) {
        await content.handle.close();
        return undefined;
      }
      throw new Corrupt(`the outboard ${paths.outboard} of a blob is gone`, {
        hint: "run: neleus db fsck",
        facts: { path: paths.outboard },
      });
    } catch (error) {
      await content.handle.close();
      throw error;
    }
  }

  static async #read(
    hash: Uint8Array,
    files: Readonly<Record<BlobPart, OpenFile>>,
    format: FileFormat,
  ): Promise<BlobFile> {
    const { content, outboard } = files;
    try {
      const readers = {
        content: await format.read(content, { hash, part: "content" }),
        outboard: await format.read(outboard, { hash, part: "outboard" }),
      };
      return new BlobFile(readers, async () => {
        await content.handle.close();
        await outboard.handle.close();
      });
    } catch (error) {
      await outboard.handle.close();
      throw error;
    }
  }

  private constructor(readers: BlobReaders, close: () => Promise<void>) {
    this.#readers = readers;
    this.#close = close;
  }

  get sizeBytes(): number {
    return this.#readers.content.sizeBytes;
  }

  get outboardSizeBytes(): number {
    return this.#readers.outboard.sizeBytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes(this.#readers.content, { offset, length });
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    this.#check({ offset, length: into.length, sizeBytes: this.sizeBytes });
    await this.#readers.content.fill(offset, into);
  }

  async readOutboard(offset: number, length: number): Promise<Uint8Array> {
    return this.#bytes(this.#readers.outboard, { offset, length });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#close();
  }

  async #bytes(reader: FileReader, range: { offset: number; length: number }): Promise<Uint8Array> {
    this.#check({ ...range, sizeBytes: reader.sizeBytes });
    const bytes = new Uint8Array(range.length);
    await reader.fill(range.offset, bytes);
    return bytes;
  }

  #check(range: { offset: number; length: number; sizeBytes: number }): void {
    if (this.#closed) throw new Unavailable("the blob is closed");
    checkRange(range);
  }
}

async function openIfThere(path: string): Promise<OpenFile | undefined> {
  const handle = await onFileIfThere({ doing: "open", path }, () => open(path, "r"));
  return handle && { path, handle };
}

/** Fails an assertion on a range that is not within a file of `sizeBytes`. */
export function checkRange(range: { offset: number; length: number; sizeBytes: number }): void {
  const { offset, length, sizeBytes } = range;
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  assert(valid && offset + length <= sizeBytes, `bytes ${offset} + ${length} of a file of ${sizeBytes}`);
}
