// A sealed record (docs/FORMATS.md §8): how everything in an encrypted database lies on the disk.
//
//   version u8 = 1 ‖ key id u32be ‖ salt (32 random bytes) ‖ segments
//
// A segment is the ciphertext of 64 KiB of plaintext and a tag of 16 bytes; the last one may be shorter, and is empty only
// where it is the only one. Each record has a key of its own, HKDF-SHA256 (RFC 5869) of the data key that the id names:
//
//   subkey = HKDF(key: data key, salt: salt, info: "neleus record v1" ‖ algorithm), 32 bytes
//   nonce  = u88be(number of the segment, from 0) ‖ u8(1 in the last segment, 0 in others)
//
// so no nonce of a key is used twice, however many records there are, and segments cannot be dropped, added or reordered
// unseen (the STREAM construction, Hoang, Reyhanitabar, Rogaway, Vizár 2015). What a record is, and where it lies, is
// associated data: `space ‖ 0x00 ‖ physical name`. One moved to another place does not open there.
//
// Cost (bench/figures/encryption.ts): 53 bytes a record of up to 64 KiB, and some 20 µs, half of it the subkey.
import { createHmac, randomBytes } from "node:crypto";
import { concatBytes, utf8 } from "../../core/bytes.js";
import { Malformed, assert } from "../../core/errors.js";
import { TAG_BYTES, aeadOf } from "./aead.js";
import type { Algorithm, AeadMessage } from "./aead.js";

export const SEGMENT_BYTES = 64 * 1024;
/** Version, key id and salt. */
export const RECORD_HEADER_BYTES = 1 + 4 + 32;
export const KEY_BYTES = 32;

const VERSION = 1;
const SALT_BYTES = 32;
const SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES;
/** Far beyond any file, and within what a number holds exactly. */
const MAX_SEGMENTS = 2 ** 36;

/** A key that records are sealed under. */
export interface SealingKey {
  /** Names it in records, 1 to 2^32 − 1; 0 is the key that wraps others. */
  readonly id: number;
  readonly algorithm: Algorithm;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The key with this id, or undefined where there is none. */
export type FindKey = (id: number) => SealingKey | undefined;

/** What is authenticated with a record: what it is, and where it lies. */
export function placeOf(space: string, name: Uint8Array): Uint8Array {
  return concatBytes(utf8(space), Uint8Array.of(0), name);
}

/** Bytes of a record with so much plaintext. */
export function sealedBytes(plaintextBytes: number): number {
  const segments = Math.max(1, Math.ceil(plaintextBytes / SEGMENT_BYTES));
  return RECORD_HEADER_BYTES + plaintextBytes + segments * TAG_BYTES;
}

/** Bytes of plaintext in a record of this size. @throws Malformed - no record has this size */
export function plaintextBytes(recordBytes: number): number {
  const body = recordBytes - RECORD_HEADER_BYTES;
  const segments = Math.ceil(body / SEALED_SEGMENT_BYTES);
  const last = body - (segments - 1) * SEALED_SEGMENT_BYTES - TAG_BYTES;
  if (segments < 1 || last < 0 || (last === 0 && segments > 1)) throw new Malformed(`a record of ${recordBytes} bytes`);
  return body - segments * TAG_BYTES;
}

/** Seals and opens the segments of one record, in any order. */
export class SegmentCipher {
  /** What the record begins with. */
  readonly header: Uint8Array;
  readonly #algorithm: Algorithm;
  readonly #key: Uint8Array;
  readonly #place: Uint8Array;

  /** Of a new record. `salt`: for tests alone; two records of one salt are one key's. */
  static begin(key: SealingKey, place: Uint8Array, salt: Uint8Array = randomBytes(SALT_BYTES)): SegmentCipher {
    assert(salt.length === SALT_BYTES, "a salt is 32 bytes");
    const header = new Uint8Array(RECORD_HEADER_BYTES);
    header[0] = VERSION;
    new DataView(header.buffer).setUint32(1, key.id);
    header.set(salt, 5);
    return new SegmentCipher(key, header, place);
  }

  /**
   * Of a record that begins so.
   * @throws Malformed - too short, another version, or of a key that is not here
   */
  static resume(find: FindKey, start: Uint8Array, place: Uint8Array): SegmentCipher {
    if (start.length < RECORD_HEADER_BYTES) throw new Malformed(`${start.length} bytes are no sealed record`);
    if (start[0] !== VERSION) throw new Malformed("not a sealed record of version 1");
    const header = new Uint8Array(start.subarray(0, RECORD_HEADER_BYTES));
    const id = new DataView(header.buffer).getUint32(1);
    const key = find(id);
    if (key === undefined) throw new Malformed(`sealed under the key ${id}, which is not here`);
    return new SegmentCipher(key, header, place);
  }

  private constructor({ algorithm, key }: SealingKey, header: Uint8Array, place: Uint8Array) {
    this.header = header;
    this.#algorithm = algorithm;
    this.#key = recordKey(key, header.subarray(5), algorithm);
    this.#place = place;
  }

  /** The salt, which no other record shares. */
  get salt(): Uint8Array {
    return this.header.subarray(5);
  }

  sealInto(segment: Segment, plaintext: Uint8Array, into: Uint8Array): void {
    assert(into.length === plaintext.length + TAG_BYTES, "room for a segment and its tag");
    aeadOf(this.#algorithm).sealInto(this.#message(segment), plaintext, into);
  }

  /** @throws Malformed - not what was sealed at this place */
  openInto(segment: Segment, sealed: Uint8Array, into: Uint8Array): void {
    assert(into.length === sealed.length - TAG_BYTES, "room for a segment without its tag");
    if (aeadOf(this.#algorithm).openInto(this.#message(segment), sealed, into)) return;
    throw new Malformed(`segment ${segment.index} is not what was sealed here`);
  }

  #message({ index, isLast }: Segment): AeadMessage {
    assert(index < MAX_SEGMENTS, "a record of that many segments");
    const nonce = new Uint8Array(12);
    const view = new DataView(nonce.buffer);
    view.setUint32(3, Math.floor(index / 2 ** 32));
    view.setUint32(7, index % 2 ** 32);
    nonce[11] = isLast ? 1 : 0;
    return { key: this.#key, nonce, associatedData: this.#place };
  }
}

/** Which segment of a record. */
export interface Segment {
  readonly index: number;
  readonly isLast: boolean;
}

/** Where a segment lies in its record, and how long it is there. */
export function segmentPlace(index: number, ofPlaintextBytes: number): Segment & { offset: number; length: number } {
  const start = index * SEGMENT_BYTES;
  const plain = Math.min(SEGMENT_BYTES, ofPlaintextBytes - start);
  const isLast = start + plain === ofPlaintextBytes;
  return { index, isLast, offset: RECORD_HEADER_BYTES + index * SEALED_SEGMENT_BYTES, length: plain + TAG_BYTES };
}

/** A whole record. */
export function sealRecord(key: SealingKey, place: Uint8Array, plaintext: Uint8Array, salt?: Uint8Array): Uint8Array {
  const cipher = SegmentCipher.begin(key, place, salt);
  const record = new Uint8Array(sealedBytes(plaintext.length));
  record.set(cipher.header);
  for (let index = 0, start = 0; index === 0 || start < plaintext.length; index += 1, start += SEGMENT_BYTES) {
    const { offset, length, isLast } = segmentPlace(index, plaintext.length);
    const part = plaintext.subarray(start, start + SEGMENT_BYTES);
    cipher.sealInto({ index, isLast }, part, record.subarray(offset, offset + length));
  }
  return record;
}

/** The plaintext of a whole record. @throws Malformed - it is none, or not what was sealed at this place */
export function openRecord(find: FindKey, place: Uint8Array, record: Uint8Array): Uint8Array {
  const cipher = SegmentCipher.resume(find, record, place);
  const plaintext = new Uint8Array(plaintextBytes(record.length));
  for (let index = 0, start = 0; index === 0 || start < plaintext.length; index += 1, start += SEGMENT_BYTES) {
    const { offset, length, isLast } = segmentPlace(index, plaintext.length);
    const into = plaintext.subarray(start, start + SEGMENT_BYTES);
    cipher.openInto({ index, isLast }, record.subarray(offset, offset + length), into);
  }
  return plaintext;
}

/** HKDF-SHA256 of one block. Two HMACs by hand take half the time of `hkdfSync`. */
function recordKey(dataKey: Uint8Array, salt: Uint8Array, algorithm: Algorithm): Uint8Array {
  const pseudorandom = createHmac("sha256", salt).update(dataKey).digest();
  return createHmac("sha256", pseudorandom).update(INFO[algorithm]).digest();
}

/** With the number of the block behind it. */
const INFO: Readonly<Record<Algorithm, Uint8Array>> = {
  "aes-256-gcm": concatBytes(utf8("neleus record v1aes-256-gcm"), Uint8Array.of(1)),
  "chacha20-poly1305": concatBytes(utf8("neleus record v1chacha20-poly1305"), Uint8Array.of(1)),
};
