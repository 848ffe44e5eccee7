// A large blob's file in an encrypted store (docs/FORMATS.md §8):
//
//   label (125 bytes)   a sealed record of `hash (32) ‖ salt of the content (32) ‖ u64be(size of the content)`, at the place
//                       `blobs` or `outboards` under the name of the file
//   content             a sealed record at the place `content` or `outboard`, without a name
//
// The content is sealed while it arrives, when nobody knows yet what it will be called. The label, written last, says so, and which
// content is meant: its salt is its alone. So neither two files can be exchanged nor a file be given another's name.
//
// No segment is sealed twice with different content: what does not fill one stays in memory, and with the record of the upload
// between two writers; whoever goes on with what another has written seals it anew under another salt, since of a directory that was
// copied two may go on; and after the last segment nobody does. That costs reading and writing it, once each time: whoever goes on
// reads all of it anyway, to hash it.
import { concatBytes, equalBytes, readU64be, u64be } from "../../core/bytes.js";
import { Corrupt, Malformed, Unavailable, assert } from "../../core/errors.js";
import type { BlobPart, FileReader, FileWriter, Released, WriterState } from "../files/file-format.js";
import type { OpenFile } from "../files/file-system.js";
import { onFile, readExactly, writeAt } from "../files/file-system.js";
import { TAG_BYTES } from "./aead.js";
import type { KeyRing } from "./key-ring.js";
import {
  RECORD_HEADER_BYTES,
  SEGMENT_BYTES,
  SegmentCipher,
  openRecord,
  placeOf,
  sealRecord,
  sealedBytes,
  segmentPlace,
} from "./record.js";
import type { FindKey } from "./record.js";

const HASH_BYTES = 32;
const SALT_BYTES = 32;
const LABEL_PLAINTEXT_BYTES = HASH_BYTES + SALT_BYTES + 8;
export const LABEL_BYTES = sealedBytes(LABEL_PLAINTEXT_BYTES);
const SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES;
/** Segments that are read or written at once: 1 MiB. */
const SEGMENTS_AT_ONCE = 16;

const LABEL_SPACE: Readonly<Record<BlobPart, string>> = { content: "blobs", outboard: "outboards" };
const NAMELESS = new Uint8Array(0);
const CONTENT_PLACE: Readonly<Record<BlobPart, Uint8Array>> = {
  content: placeOf("content", NAMELESS),
  outboard: placeOf("outboard", NAMELESS),
};

/** What a file's label says. */
export interface Label {
  readonly hash: Uint8Array;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
}

/** What the files of a blob are called, in bytes. */
export function blobNameOf(keys: KeyRing, hash: Uint8Array): Uint8Array {
  return keys.name("blobs", hash);
}

export function labelPlace(part: BlobPart, name: Uint8Array): Uint8Array {
  return placeOf(LABEL_SPACE[part], name);
}

/** @throws Malformed - not a label that was sealed at this place */
export function openLabel(find: FindKey, place: Uint8Array, stored: Uint8Array): Label {
  const plaintext = openRecord(find, place, stored);
  if (plaintext.length !== LABEL_PLAINTEXT_BYTES) throw new Malformed("not a label");
  const [hash, salt] = [plaintext.slice(0, HASH_BYTES), plaintext.slice(HASH_BYTES, HASH_BYTES + SALT_BYTES)];
  return { hash, salt, sizeBytes: readU64be(plaintext.subarray(HASH_BYTES + SALT_BYTES)) };
}

/** The segments of one file as they lie in it. */
class Segments {
  readonly #file: OpenFile;
  readonly #cipher: SegmentCipher;
  /** The last segment of which a part was wanted: readers often go on where they stopped. */
  #opened: { readonly index: number; readonly bytes: Uint8Array } | undefined;

  constructor(file: OpenFile, cipher: SegmentCipher) {
    this.#file = file;
    this.#cipher = cipher;
  }

  /** Fills the array from content of `sizeBytes` bytes, all of them in the file, or of which none is the last. */
  async fill(offset: number, into: Uint8Array, content: { sizeBytes: number; isEnded: boolean }): Promise<void> {
    let filled = 0;
    while (filled < into.length) {
      const first = Math.floor((offset + filled) / SEGMENT_BYTES);
      const end = Math.min(Math.ceil((offset + into.length) / SEGMENT_BYTES), first + SEGMENTS_AT_ONCE);
      filled += await this.#fillFrom({ first, end, offset: offset + filled, content }, into.subarray(filled));
    }
  }

  /** Bytes of one run of segments. Returns how many. */
  async #fillFrom(
    run: { first: number; end: number; offset: number; content: { sizeBytes: number; isEnded: boolean } },
    into: Uint8Array,
  ): Promise<number> {
    const { first, end, offset, content } = run;
    const places = Array.from({ length: end - first }, (_, step) => segmentPlace(first + step, content.sizeBytes));
    const [start, last] = [places[0], places.at(-1)];
    assert(start !== undefined && last !== undefined, "a run of segments has some");
    const known = this.#opened;
    const isKnown = places.length === 1 && known?.index === first;
    const length = last.offset + last.length - start.offset;
    const sealed = isKnown ? NAMELESS : await readExactly(this.#file, { offset: LABEL_BYTES + start.offset, length });
    let filled = 0;
    for (const { index, isLast, offset: at, length: bytes } of places) {
      const skipped = Math.max(0, offset - index * SEGMENT_BYTES);
      const wanted = Math.min(bytes - TAG_BYTES - skipped, into.length - filled);
      const target = into.subarray(filled, filled + wanted);
      const isWhole = wanted === bytes - TAG_BYTES;
      const plaintext = isKnown ? known.bytes : isWhole ? target : new Uint8Array(bytes - TAG_BYTES);
      if (!isKnown) {
        const part = sealed.subarray(at - start.offset, at - start.offset + bytes);
        this.#open({ index, isLast: isLast && content.isEnded }, part, plaintext);
        if (!isWhole) this.#opened = { index, bytes: plaintext };
      }
      if (plaintext !== target) target.set(plaintext.subarray(skipped, skipped + wanted));
      filled += wanted;
    }
    return filled;
  }

  #open(segment: { index: number; isLast: boolean }, sealed: Uint8Array, into: Uint8Array): void {
    try {
      this.#cipher.openInto(segment, sealed, into);
    } catch (cause) {
      throw damaged(this.#file.path, cause);
    }
  }

  /** Writes whole segments one behind the other, from number `first` on; `isLast`: of the last of them. */
  async write(first: number, plaintexts: readonly Uint8Array[], { isLast }: { isLast: boolean }): Promise<void> {
    const bytes = plaintexts.reduce((sum, part) => sum + part.length + TAG_BYTES, 0);
    const sealed = new Uint8Array(bytes);
    let at = 0;
    for (const [step, plaintext] of plaintexts.entries()) {
      const into = sealed.subarray(at, at + plaintext.length + TAG_BYTES);
      const segment = { index: first + step, isLast: isLast && step === plaintexts.length - 1 };
      this.#cipher.sealInto(segment, plaintext, into);
      at += into.length;
    }
    await writeAt(this.#file, LABEL_BYTES + RECORD_HEADER_BYTES + first * SEALED_SEGMENT_BYTES, sealed);
  }
}

/** A file that is a blob's. */
export class SealedFileReader implements FileReader {
  readonly sizeBytes: number;
  readonly #segments: Segments;

  /** @throws Corrupt - not the file of this name, or cut, or extended */
  static async open(
    file: OpenFile,
    options: { readonly keys: KeyRing; readonly part: BlobPart; readonly hash: Uint8Array },
  ): Promise<SealedFileReader> {
    const { keys, part, hash } = options;
    const start = await readExactly(file, { offset: 0, length: LABEL_BYTES + RECORD_HEADER_BYTES });
    const fileBytes = (await onFile({ doing: "measure", path: file.path }, () => file.handle.stat())).size;
    try {
      const label = openLabel(keys.find, labelPlace(part, blobNameOf(keys, hash)), start.subarray(0, LABEL_BYTES));
      const cipher = SegmentCipher.resume(keys.find, start.subarray(LABEL_BYTES), CONTENT_PLACE[part]);
      if (!equalBytes(label.hash, hash)) throw new Malformed("labelled as another blob");
      if (!equalBytes(label.salt, cipher.salt)) throw new Malformed("the label is of other content");
      const expected = LABEL_BYTES + sealedBytes(label.sizeBytes);
      if (fileBytes !== expected) throw new Malformed(`${fileBytes} bytes, and ${expected} were written`);
      return new SealedFileReader(label.sizeBytes, new Segments(file, cipher));
    } catch (cause) {
      throw damaged(file.path, cause);
    }
  }

  private constructor(sizeBytes: number, segments: Segments) {
    this.sizeBytes = sizeBytes;
    this.#segments = segments;
  }

  async fill(offset: number, into: Uint8Array): Promise<void> {
    await this.#segments.fill(offset, into, { sizeBytes: this.sizeBytes, isEnded: true });
  }
}

/** A file that becomes one. */
export class SealedFileWriter implements FileWriter {
  readonly #file: OpenFile;
  readonly #keys: KeyRing;
  readonly #part: BlobPart;
  readonly #cipher: SegmentCipher;
  readonly #segments: Segments;
  /** Segments in the file, all of them full, none of them the last. */
  #written: number;
  /** What comes behind them. A full one may yet be the last. */
  readonly #tail = new Uint8Array(SEGMENT_BYTES);
  #tailBytes = 0;
  /** After a failed write nobody knows what lies in the file, and after the last segment nothing may follow. */
  #isBroken = false;

  static async begin(file: OpenFile, options: { keys: KeyRing; part: BlobPart }): Promise<SealedFileWriter> {
    const { handle, path } = file;
    const cipher = SegmentCipher.begin(options.keys.current, CONTENT_PLACE[options.part]);
    await onFile({ doing: "cut", path }, () => handle.truncate(0));
    await writeAt(file, LABEL_BYTES, cipher.header);
    return new SealedFileWriter(file, { ...options, cipher, written: 0, tail: NAMELESS });
  }

  /** What another writer has made durable, to be read. @throws Corrupt - the file is not what such a writer left */
  static async reopen(
    file: OpenFile,
    options: { keys: KeyRing; part: BlobPart; state: WriterState },
  ): Promise<FileReader> {
    const { keys, part, state } = options;
    const { sizeBytes, tail = NAMELESS } = state;
    try {
      const written = (sizeBytes - tail.length) / SEGMENT_BYTES;
      if (!Number.isInteger(written) || written < 0 || tail.length > SEGMENT_BYTES) {
        throw new Malformed("the record of the upload does not fit");
      }
      const header = await readExactly(file, { offset: LABEL_BYTES, length: RECORD_HEADER_BYTES });
      const cipher = SegmentCipher.resume(keys.find, header, CONTENT_PLACE[part]);
      const actual = (await onFile({ doing: "measure", path: file.path }, () => file.handle.stat())).size;
      const wanted = LABEL_BYTES + RECORD_HEADER_BYTES + written * SEALED_SEGMENT_BYTES;
      if (actual < wanted) throw new Malformed(`${actual} bytes, and ${wanted} were durable`);
      const reader = new SealedFileWriter(file, { keys, part, cipher, written, tail });
      // Its next segment may be sealed already, by that writer, or in a copy of the directory.
      reader.#isBroken = true;
      return reader;
    } catch (cause) {
      throw damaged(file.path, cause);
    }
  }

  private constructor(
    file: OpenFile,
    state: { keys: KeyRing; part: BlobPart; cipher: SegmentCipher; written: number; tail: Uint8Array },
  ) {
    this.#file = file;
    this.#keys = state.keys;
    this.#part = state.part;
    this.#cipher = state.cipher;
    this.#segments = new Segments(file, state.cipher);
    this.#written = state.written;
    this.#tail.set(state.tail);
    this.#tailBytes = state.tail.length;
  }

  get sizeBytes(): number {
    return this.#written * SEGMENT_BYTES + this.#tailBytes;
  }

  async fill(offset: number, into: Uint8Array): Promise<void> {
    const inFile = this.#written * SEGMENT_BYTES;
    const fromFile = Math.max(0, Math.min(into.length, inFile - offset));
    // Copied first: while the file is read, nobody appends, but what is the tail may become a segment.
    const start = Math.max(0, offset - inFile);
    into.set(this.#tail.subarray(start, start + into.length - fromFile), fromFile);
    if (fromFile > 0) {
      await this.#segments.fill(offset, into.subarray(0, fromFile), { sizeBytes: inFile, isEnded: false });
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#requireSound();
    let rest = bytes;
    while (this.#tailBytes + rest.length > SEGMENT_BYTES) rest = await this.#writeRun(rest);
    this.#tail.set(rest, this.#tailBytes);
    this.#tailBytes += rest.length;
  }

  /** Writes the tail, filled up, and full segments behind it as long as something is left. Returns that. */
  async #writeRun(bytes: Uint8Array): Promise<Uint8Array> {
    const taken = SEGMENT_BYTES - this.#tailBytes;
    this.#tail.set(bytes.subarray(0, taken), this.#tailBytes);
    const run: Uint8Array[] = [this.#tail];
    let at = taken;
    while (run.length < SEGMENTS_AT_ONCE && at + SEGMENT_BYTES < bytes.length) {
      run.push(bytes.subarray(at, at + SEGMENT_BYTES));
      at += SEGMENT_BYTES;
    }
    this.#isBroken = true;
    await this.#segments.write(this.#written, run, { isLast: false });
    this.#isBroken = false;
    this.#written += run.length;
    this.#tailBytes = 0;
    return bytes.subarray(at);
  }

  async sync(): Promise<Uint8Array> {
    this.#requireSound();
    // What there is now: of what is appended during the flush nobody knows whether it is in the file.
    const tail = this.#tail.slice(0, this.#tailBytes);
    await this.#flush();
    return tail;
  }

  async release(): Promise<Released | undefined> {
    if (this.#isBroken) return undefined;
    return { tail: await this.sync() };
  }

  async finish(hash: Uint8Array): Promise<void> {
    this.#requireSound();
    this.#isBroken = true;
    const { sizeBytes } = this;
    await this.#segments.write(this.#written, [this.#tail.subarray(0, this.#tailBytes)], { isLast: true });
    const place = labelPlace(this.#part, blobNameOf(this.#keys, hash));
    const label = concatBytes(hash, this.#cipher.salt, u64be(sizeBytes));
    await writeAt(this.#file, 0, sealRecord(this.#keys.current, place, label));
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const { handle, path } = this.#file;
    await onFile({ doing: "flush", path }, () => handle.datasync());
  }

  #requireSound(): void {
    if (!this.#isBroken) return;
    throw new Unavailable(`an earlier write to ${this.#file.path} failed`, { hint: "begin again where it is durable" });
  }
}

function damaged(path: string, cause: unknown): unknown {
  if (!(cause instanceof Malformed)) return cause;
  return new Corrupt(`${path}: ${cause.message}`, { hint: "run: neleus db fsck", facts: { path } }, { cause });
}
