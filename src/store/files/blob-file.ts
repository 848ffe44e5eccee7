// A large blob open for reading, and where blobs lie: `<root>/aa/bb/<hash in hex>`, where aa and bb are the first two
// bytes of the hash, with the outboard beside it under the same name and `.outboard`.
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toHex } from "../../core/bytes.js";
import { Corrupt, Unavailable, assert } from "../../core/errors.js";
import type { LargeBlob } from "../contract.js";
import { flushDirectory, onFile, onFileIfThere } from "./file-system.js";

export const OUTBOARD_SUFFIX = ".outboard";

/** The files of one blob. */
export interface BlobPaths {
  readonly directory: string;
  readonly content: string;
  readonly outboard: string;
}

export function blobPaths(root: string, hash: Uint8Array): BlobPaths {
  assert(hash.length === 32, `a blob's hash is 32 bytes, not ${hash.length}`);
  const name = toHex(hash);
  const directory = join(root, name.slice(0, 2), name.slice(2, 4));
  const content = join(directory, name);
  return { directory, content, outboard: content + OUTBOARD_SUFFIX };
}

/** Flushes the folder of a blob, and those that name it, so that the blob is found after a crash. */
export async function flushBlobFolders(directory: string): Promise<void> {
  const first = dirname(directory);
  await Promise.all([directory, first, dirname(first)].map(flushDirectory));
}

/** An open file, and what it is called in errors. */
interface NamedFile {
  readonly handle: FileHandle;
  readonly path: string;
}

/** Exactly `length` bytes of an open file. @throws Corrupt - the file ends before */
export async function readExactly(
  file: NamedFile,
  range: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(range.length);
  await fillFrom(file, range.offset, bytes);
  return bytes;
}

/** Fills an array from an open file. @throws Corrupt - the file ends before */
export async function fillFrom(file: NamedFile, offset: number, bytes: Uint8Array): Promise<void> {
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await onFile({ doing: "read", path: file.path }, () =>
      file.handle.read(bytes, filled, bytes.length - filled, offset + filled),
    );
    if (bytesRead === 0) {
      throw new Corrupt(`${file.path} ends at byte ${offset + filled}, before byte ${offset + bytes.length}`, {
        hint: "run: neleus db fsck",
        facts: { path: file.path },
      });
    }
    filled += bytesRead;
  }
}

/** Two open files of one blob. */
interface OpenFiles {
  readonly content: FileHandle;
  readonly outboard: FileHandle;
}

export class BlobFile implements LargeBlob {
  readonly sizeBytes: number;
  readonly outboardSizeBytes: number;
  readonly #paths: BlobPaths;
  readonly #files: OpenFiles;
  #closed = false;

  /** Opens both files, or returns undefined where there is no such blob. @throws Corrupt - its outboard is gone */
  static async open(paths: BlobPaths): Promise<BlobFile | undefined> {
    const content = await onFileIfThere({ doing: "open", path: paths.content }, () => open(paths.content, "r"));
    if (content === undefined) return undefined;
    try {
      const outboard = await onFileIfThere({ doing: "open", path: paths.outboard }, () => open(paths.outboard, "r"));
      if (outboard !== undefined) return await BlobFile.#measure(paths, { content, outboard });
      // A delete in progress takes the content's name first, and then the outboard's.
      if (!(await BlobFile.#isThere(paths.content))) {
        await content.close();
        return undefined;
      }
      throw new Corrupt(`the outboard ${paths.outboard} of a blob is gone`, {
        hint: "run: neleus db fsck",
        facts: { path: paths.outboard },
      });
    } catch (error) {
      await content.close();
      throw error;
    }
  }

  static async #isThere(path: string): Promise<boolean> {
    const handle = await onFileIfThere({ doing: "open", path }, () => open(path, "r"));
    await handle?.close();
    return handle !== undefined;
  }

  static async #measure(paths: BlobPaths, files: OpenFiles): Promise<BlobFile> {
    try {
      return await onFile({ doing: "measure", path: paths.content }, async () => {
        const content = await files.content.stat();
        const outboard = await files.outboard.stat();
        return new BlobFile(paths, files, { sizeBytes: content.size, outboardSizeBytes: outboard.size });
      });
    } catch (error) {
      await files.outboard.close();
      throw error;
    }
  }

  private constructor(
    paths: BlobPaths,
    files: OpenFiles,
    sizes: { readonly sizeBytes: number; readonly outboardSizeBytes: number },
  ) {
    this.#paths = paths;
    this.#files = files;
    this.sizeBytes = sizes.sizeBytes;
    this.outboardSizeBytes = sizes.outboardSizeBytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#check({ offset, length, sizeBytes: this.sizeBytes });
    return readExactly({ handle: this.#files.content, path: this.#paths.content }, { offset, length });
  }

  async readInto(offset: number, into: Uint8Array): Promise<void> {
    this.#check({ offset, length: into.length, sizeBytes: this.sizeBytes });
    await fillFrom({ handle: this.#files.content, path: this.#paths.content }, offset, into);
  }

  async readOutboard(offset: number, length: number): Promise<Uint8Array> {
    this.#check({ offset, length, sizeBytes: this.outboardSizeBytes });
    return readExactly({ handle: this.#files.outboard, path: this.#paths.outboard }, { offset, length });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#files.content.close();
    await this.#files.outboard.close();
  }

  #check(range: { offset: number; length: number; sizeBytes: number }): void {
    if (this.#closed) throw new Unavailable("the blob is closed");
    checkRange(range);
  }
}

/** Fails an assertion on a range that is not within a file of `sizeBytes`. */
export function checkRange(range: { offset: number; length: number; sizeBytes: number }): void {
  const { offset, length, sizeBytes } = range;
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  assert(valid && offset + length <= sizeBytes, `bytes ${offset} + ${length} of a file of ${sizeBytes}`);
}
