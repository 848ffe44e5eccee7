// Reading a blob, whole or in part, with what proves it (FORMATS §5).
//
// A blob comes from a row, whose bytes are in memory and were hashed when it was opened, or from a file, of which only
// the wanted groups are read. What is read from a file is checked group by group with the decoder that clients use,
// before it is handed on, unless `verify_on_read` is off.
//
// Cost: one read of content every 1 MiB, one of outboard every 4 MiB. Memory: twice 1 MiB, of which one is read while the
// other is handed on, and 8 pages of outboard. A stream that shares memory with many (StreamMemory) reads less at once, down
// to a group and its pair, and nothing ahead.
import { PAIR_BYTES, SliceDecoder, computeOutboard, outboardBytes, slicePlan } from "../core/blob/index.js";
import type { ByteRange, ByteRanges, SliceItem, SlicePart } from "../core/blob/index.js";
import { concatBytes, toHex } from "../core/bytes.js";
import { Corrupt, VerificationFailed } from "../core/errors.js";
import type { BlobHash } from "../core/hashes.js";
import { BLOB_GROUP_BYTES, DATA_MESSAGE_BYTES } from "../core/limits.js";
import type { LargeBlob, LargeBlobs } from "../store/contract.js";
import type { BlobReader, StreamMemory } from "./blob-contract.js";

const GROUPS_IN_PART = DATA_MESSAGE_BYTES / BLOB_GROUP_BYTES;

/** What is read at once: parts, the groups of each, and whether the next is read while this is handed on. */
interface StretchSize {
  readonly parts: number;
  readonly groupsInPart: number;
  readonly isReadAhead: boolean;
}

/** 1 MiB: a read of a file costs as much as copying that. */
const WHOLE_STRETCH: StretchSize = { parts: 4, groupsInPart: GROUPS_IN_PART, isReadAhead: true };
const OUTBOARD_PAGE_BYTES = 16 * 1024;
const PAIRS_IN_PAGE = OUTBOARD_PAGE_BYTES / PAIR_BYTES;
const MAX_PAGES = 8;

const NO_BYTES = new Uint8Array(0);

/** Whether what is read from disk is hashed again. */
export type ReadChecking = "verified" | "unverified";

/** Where the bytes of a slice come from. */
interface SliceSource {
  readonly sizeBytes: number;
  /** Bytes of the content: views of what is in memory anyway, or read into `room`, which is as large as they are. */
  read(range: ByteRange, room: () => Uint8Array): Promise<Uint8Array>;
  /** Pair number `index` of the outboard. */
  pair(index: number): Uint8Array | Promise<Uint8Array>;
}

/** A part of a slice, and where its groups lie in the blob. */
interface PlacedPart extends SlicePart {
  readonly start: number;
}

/** A blob whose verified content is in memory. */
export class RowBlobReader implements BlobReader {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly #content: Uint8Array;

  constructor(hash: BlobHash, content: Uint8Array) {
    this.hash = hash;
    this.sizeBytes = content.length;
    this.#content = content;
  }

  async *slices(range?: ByteRanges): AsyncGenerator<SlicePart, void, undefined> {
    const content = this.#content;
    const outboard = computeOutboard(content);
    const source: SliceSource = {
      sizeBytes: content.length,
      read: async ({ start, end }) => content.subarray(start, end),
      pair: (index) => outboard.subarray(index * PAIR_BYTES, (index + 1) * PAIR_BYTES),
    };
    const parts = sliceParts(source, range ?? wholeOf(this), () => WHOLE_STRETCH);
    for await (const { parents, data } of parts) yield { parents, data };
  }

  async *bytes(range: ByteRange = wholeOf(this)): AsyncGenerator<Uint8Array, void, undefined> {
    slicePlan(this.sizeBytes, range);
    if (range.end > range.start) yield this.#content.subarray(range.start, range.end);
  }

  async close(): Promise<void> {
    // Nothing is held but memory.
  }
}

/** A blob in a file. */
export class FileBlobReader implements BlobReader {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly #file: LargeBlob;
  readonly #checking: ReadChecking;
  readonly #pages = new Map<number, Uint8Array>();
  #mostPages = MAX_PAGES;

  /** Takes over `file`. @throws Corrupt - the outboard does not fit the content; `file` is then still open */
  constructor(options: { readonly hash: BlobHash; readonly file: LargeBlob; readonly checking: ReadChecking }) {
    const { hash, file, checking } = options;
    if (file.outboardSizeBytes !== outboardBytes(file.sizeBytes)) {
      throw corruptFile(hash, `${file.sizeBytes} bytes of content with an outboard of ${file.outboardSizeBytes}`);
    }
    this.hash = hash;
    this.sizeBytes = file.sizeBytes;
    this.#file = file;
    this.#checking = checking;
  }

  async *slices(range: ByteRanges = wholeOf(this), memory?: StreamMemory): AsyncGenerator<SlicePart, void, undefined> {
    for await (const { parents, data } of this.#parts(range, memory)) yield { parents, data };
  }

  async *bytes(range: ByteRange = wholeOf(this), memory?: StreamMemory): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#checking === "unverified") {
      yield* this.#bytesUnverified(range, memory);
      return;
    }
    for await (const { start, data } of this.#parts(range, memory)) {
      const wanted = data.subarray(Math.max(0, range.start - start), Math.max(0, range.end - start));
      if (wanted.length > 0) yield wanted;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The slice in parts, each checked before it is handed on. */
  async *#parts(range: ByteRanges, memory: StreamMemory | undefined): AsyncGenerator<PlacedPart, void, undefined> {
    const stretchSize = (): StretchSize => this.#stretchSize(memory);
    const source: SliceSource = {
      sizeBytes: this.sizeBytes,
      read: async ({ start }, room) => {
        const bytes = room();
        await this.#file.readInto(start, bytes);
        return bytes;
      },
      pair: (index) => this.#pair(index),
    };
    if (this.#checking === "unverified") {
      yield* sliceParts(source, range, stretchSize);
      return;
    }
    const decoder = new SliceDecoder({ hash: this.hash, sizeBytes: this.sizeBytes, range });
    for await (const part of sliceParts(source, range, stretchSize)) {
      try {
        decoder.push(part);
      } catch (cause) {
        if (!(cause instanceof VerificationFailed)) throw cause;
        throw corruptFile(this.hash, "the stored bytes do not match the hash", cause);
      }
      yield part;
    }
    decoder.finish();
  }

  async *#bytesUnverified(
    range: ByteRange,
    memory: StreamMemory | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    slicePlan(this.sizeBytes, range);
    for (let offset = range.start; offset < range.end;) {
      const mostBytes = memory?.messageBytes(DATA_MESSAGE_BYTES) ?? DATA_MESSAGE_BYTES;
      const part = await this.#file.read(offset, Math.min(mostBytes, range.end - offset));
      yield part;
      offset += part.length;
    }
  }

  /** How much is read at once from now on. The last but one that was read is no longer lent. */
  #stretchSize(memory: StreamMemory | undefined): StretchSize {
    const wantedBytes = 2 * WHOLE_STRETCH.parts * DATA_MESSAGE_BYTES + MAX_PAGES * OUTBOARD_PAGE_BYTES;
    const mayBytes = memory?.keep(wantedBytes) ?? wantedBytes;
    this.#mostPages = MAX_PAGES;
    if (mayBytes === wantedBytes) return WHOLE_STRETCH;
    const groups = Math.max(1, Math.floor((mayBytes - OUTBOARD_PAGE_BYTES) / 2 / BLOB_GROUP_BYTES));
    this.#mostPages = groups > 1 ? 1 : 0;
    if (this.#mostPages === 0) this.#pages.clear();
    const groupsInPart = Math.min(GROUPS_IN_PART, groups);
    return { parts: Math.floor(groups / groupsInPart), groupsInPart, isReadAhead: groups > 1 };
  }

  #pair(index: number): Uint8Array | Promise<Uint8Array> {
    const number = Math.floor(index / PAIRS_IN_PAGE);
    const offset = (index % PAIRS_IN_PAGE) * PAIR_BYTES;
    const kept = this.#pages.get(number);
    if (kept !== undefined) return kept.subarray(offset, offset + PAIR_BYTES);
    if (this.#mostPages === 0) return this.#file.readOutboard(index * PAIR_BYTES, PAIR_BYTES);
    return this.#page(number).then((page) => page.subarray(offset, offset + PAIR_BYTES));
  }

  /** A page of the outboard. The walk reads a page's pairs close together, so a few pages serve all of them. */
  async #page(number: number): Promise<Uint8Array> {
    const offset = number * OUTBOARD_PAGE_BYTES;
    const length = Math.min(OUTBOARD_PAGE_BYTES, this.#file.outboardSizeBytes - offset);
    const page = await this.#file.readOutboard(offset, length);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size < this.#mostPages) break;
      this.#pages.delete(oldest);
    }
    this.#pages.set(number, page);
    return page;
  }
}

/**
 * Removes a stored blob that is damaged, so that the same content can be stored in its place. To be called by whoever
 * has that content. Costs reading and hashing the blob, which is what storing it costs too.
 */
export async function removeIfDamaged(files: LargeBlobs, hash: BlobHash): Promise<void> {
  try {
    const file = await files.open(hash);
    if (file === undefined) return;
    try {
      const parts = new FileBlobReader({ hash, file, checking: "verified" }).bytes();
      while ((await parts.next()).done !== true);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof Corrupt)) throw error;
    await files.delete(hash);
  }
}

/** Stored content of a blob that is not what its name says. */
export function corruptFile(hash: BlobHash, what: string, cause?: unknown): Corrupt {
  const hex = toHex(hash);
  return new Corrupt(
    `blob ${hex}: ${what}`,
    {
      hint: "the file was changed or damaged; whoever has the content can mend it by storing it again",
      facts: { hash: hex, kind: "blob" },
    },
    { cause },
  );
}

function wholeOf(blob: { readonly sizeBytes: number }): ByteRange {
  return { start: 0, end: blob.sizeBytes };
}

/** A part before its content is read. */
interface PlannedPart {
  readonly parents: Uint8Array[];
  /** Groups that lie one behind the other, as bytes of the blob. */
  readonly runs: Run[];
}

interface Run {
  readonly start: number;
  end: number;
}

/** The walk over a slice, cut into parts. While the parts of one stretch are handed on, the next stretch is read. */
async function* sliceParts(
  source: SliceSource,
  range: ByteRanges,
  stretchSize: () => StretchSize,
): AsyncGenerator<PlacedPart, void, undefined> {
  const plan = slicePlan(source.sizeBytes, range);
  let room = new ReadingRoom();
  let lentRoom = new ReadingRoom();
  let size = stretchSize();
  let ahead: Promise<readonly PlacedPart[]> | undefined;
  for (;;) {
    const parts = await (ahead ?? readStretch({ source, plan, size, room }));
    if (parts.length === 0) return;
    // What was handed on before is no longer lent, so its room is free.
    [room, lentRoom] = [lentRoom, room];
    size = stretchSize();
    ahead = size.isReadAhead ? readStretch({ source, plan, size, room }) : undefined;
    // It is looked at when its turn comes, if that comes.
    ahead?.catch(() => undefined);
    if (ahead === undefined) room.drop();
    yield* parts;
  }
}

/** The next few parts of the walk. What lies one behind the other is one read; reads go on side by side. */
async function readStretch({
  source,
  plan,
  size,
  room,
}: {
  readonly source: SliceSource;
  readonly plan: Generator<SliceItem, void, undefined>;
  readonly size: StretchSize;
  readonly room: ReadingRoom;
}): Promise<readonly PlacedPart[]> {
  const planned: PlannedPart[] = [];
  while (planned.length < size.parts) {
    const part = await nextPart(source, plan, size.groupsInPart);
    if (part === undefined) break;
    planned.push(part);
  }
  const stretches: Run[] = [];
  for (const { runs } of planned) for (const { start, end } of runs) addRun(stretches, { start, end });
  room.clear({
    wantedBytes: stretches.reduce((sum, { start, end }) => sum + end - start, 0),
    mostBytes: size.parts * size.groupsInPart * BLOB_GROUP_BYTES,
  });
  const read = await Promise.all(
    stretches.map(async ({ start, end }) => {
      const bytes = await source.read({ start, end }, () => room.take(end - start));
      return { start, end, bytes };
    }),
  );
  let at = 0;
  const bytesOf = ({ start, end }: Run): Uint8Array => {
    while (start >= (read[at]?.end ?? Infinity)) at += 1;
    const { bytes, start: first } = read[at] ?? { bytes: NO_BYTES, start };
    return bytes.subarray(start - first, end - first);
  };
  return planned.map(({ parents, runs }) => {
    const pieces = runs.map(bytesOf);
    const [only] = pieces;
    const data = only !== undefined && pieces.length === 1 ? only : concatBytes(...pieces);
    return { start: runs[0]?.start ?? 0, parents: concatBytes(...parents), data };
  });
}

/** Where a stretch is read to, and then another: making such arrays is dear, and collecting them dearer. */
class ReadingRoom {
  #bytes = NO_BYTES;
  #wanted = 0;
  #used = 0;

  /** Makes room for so many bytes, and keeps no more than the most. What lay there is gone. */
  clear({ wantedBytes, mostBytes }: { readonly wantedBytes: number; readonly mostBytes: number }): void {
    if (this.#bytes.length > mostBytes) this.drop();
    this.#wanted = wantedBytes;
    this.#used = 0;
  }

  drop(): void {
    this.#bytes = NO_BYTES;
  }

  take(sizeBytes: number): Uint8Array {
    if (this.#bytes.length < this.#wanted) this.#bytes = new Uint8Array(this.#wanted);
    this.#used += sizeBytes;
    return this.#bytes.subarray(this.#used - sizeBytes, this.#used);
  }
}

/** The next items of the walk, up to the last group that fits in a part; undefined at its end. */
async function nextPart(
  source: SliceSource,
  plan: Generator<SliceItem, void, undefined>,
  mostGroups: number,
): Promise<PlannedPart | undefined> {
  const parents: Uint8Array[] = [];
  const runs: Run[] = [];
  // Not a `for` loop, which would end the walk when it is left.
  for (let groups = 0; groups < mostGroups;) {
    const { value: item } = plan.next();
    if (item === undefined) return groups === 0 ? undefined : { parents, runs };
    if (item.kind === "parent") {
      const pair = source.pair(item.pairIndex);
      parents.push(pair instanceof Uint8Array ? pair : await pair);
    } else {
      addRun(runs, { start: item.start, end: item.end });
      groups += 1;
    }
  }
  return { parents, runs };
}

function addRun(runs: Run[], next: Run): void {
  const last = runs.at(-1);
  if (last?.end === next.start) last.end = next.end;
  else runs.push(next);
}
