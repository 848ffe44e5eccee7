// How large blobs and uploads lie in their files: as they are (plain-format.ts), or sealed (sealed-format.ts). Names,
// renames, flushes and who may write what are the same for both, and are file-blobs.ts and staged-file.ts.
import type { Corrupt } from "../../core/errors.js";
import type { OpenFile } from "./file-system.js";

/** The two files of a blob. */
export type BlobPart = "content" | "outboard";

/** Bytes that can be read from any offset. */
export interface FileReader {
  readonly sizeBytes: number;
  /** Fills the array from `offset` on. @throws Corrupt - the file ends before, or is not what was written */
  fill(offset: number, into: Uint8Array): Promise<void>;
}

/** Bytes that grow at their end, by one writer. */
export interface FileWriter extends FileReader {
  append(bytes: Uint8Array): Promise<void>;
  /** Brings the file to where a later writer can go on, and flushes it. Returns what the record has to keep for that one. */
  sync(): Promise<Uint8Array | undefined>;
  /** The same, by a writer who lets go; undefined where nobody may go on in this very file. */
  release(): Promise<Released | undefined>;
  /** Makes the file that of a blob, and flushes it. Nothing is appended after that. */
  finish(hash: Uint8Array): Promise<void>;
}

export interface Released {
  readonly tail: Uint8Array | undefined;
}

/** Where an earlier writer stood. */
export interface WriterState {
  readonly sizeBytes: number;
  /** What its `sync` or `release` gave. */
  readonly tail: Uint8Array | undefined;
}

export interface FileFormat {
  /** What a blob's files are called: 64 hex digits. */
  blobName(hash: Uint8Array): string;
  /** Which blob a content file is of; undefined where it has gone, and what is wrong with it where nothing tells. */
  blobOf(name: string, path: string): Promise<Uint8Array | Corrupt | undefined>;
  /** What the folder of an upload is called: 1 to 64 characters of `a–z 0–9 -`. */
  uploadName(uploadId: string): string;

  /** @throws Corrupt - not the file of this blob */
  read(file: OpenFile, blob: { readonly hash: Uint8Array; readonly part: BlobPart }): Promise<FileReader>;
  /** A writer of an empty file. */
  begin(file: OpenFile, part: BlobPart): Promise<FileWriter>;
  /**
   * One that goes on with content that another has released, in its own file; undefined where that is never done.
   * @throws Corrupt - the file is shorter than it said
   */
  readonly resume: ((file: OpenFile, state: WriterState) => Promise<FileWriter>) | undefined;
  /**
   * One of a new file with what another has made durable, whose own file is left alone. Durable after its `sync`.
   * @throws Corrupt - the file is shorter than it said, or not what was written
   */
  copy(from: string, to: OpenFile, state: WriterState): Promise<FileWriter>;

  /** Name of an upload's record within its folder. */
  readonly recordName: string;
  encodeRecord(folder: string, record: Uint8Array): Uint8Array;
  /** @throws Malformed - not what was encoded for this folder */
  decodeRecord(folder: string, stored: Uint8Array): Uint8Array;
}
