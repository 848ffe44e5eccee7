// The slow, obvious twin of the map's builder: FORMATS §3 as it is written, level by level, with @noble/hashes. Shares nothing with
// the code under test.
import * as dagCbor from "@ipld/dag-cbor";
import { blake3 } from "@noble/hashes/blake3.js";

export interface SlowEntry {
  readonly key: Uint8Array;
  readonly cell: Uint8Array;
}

/** An entry of some level: its bytes, its key or last key, and the keys below. */
interface Row {
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
  readonly total: number;
}

const MAX_ENTRIES = 64;
const MAX_KEY_BYTES = 16_384;

function hash(tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return blake3(Buffer.concat([Buffer.from(tag), ...parts]));
}

/** Root and levels of the map with these entries, which ascend by key. */
export function slowMap(
  kind: number,
  entries: readonly SlowEntry[],
): { readonly root: Uint8Array; readonly height: number } {
  let rows: Row[] = entries.map(({ key, cell }) => {
    const bytes = Buffer.concat([Uint8Array.of(0x82), dagCbor.encode(key), cell]);
    return { key, bytes, total: 1 };
  });
  for (let level = 0; ; level += 1) {
    const nodes = level === 0 && rows.length === 0 ? [[]] : cutLevel(rows, level);
    const made = nodes.map((node) => nodeOf(kind, level, node));
    const [only] = made;
    if (made.length === 1 && only !== undefined) return { root: only.digest, height: level + 1 };
    rows = made.map(({ digest, last, total }) => ({ key: last, bytes: dagCbor.encode([last, digest, total]), total }));
  }
}

function nodeOf(
  kind: number,
  level: number,
  rows: readonly Row[],
): { digest: Uint8Array; last: Uint8Array; total: number } {
  const total = rows.reduce((sum, row) => sum + row.total, 0);
  const header = dagCbor.encode([1, kind, level, rows.length, total, entriesRoot(rows.map(({ bytes }) => bytes))]);
  return { digest: hash("state_node:", header), last: rows.at(-1)?.key ?? new Uint8Array(0), total };
}

function entriesRoot(entries: readonly Uint8Array[]): Uint8Array {
  const [only] = entries;
  if (only === undefined) return hash("merkle_node:");
  if (entries.length === 1) return hash("state_leaf:", only);
  let split = 1;
  while (split * 2 < entries.length) split *= 2;
  return hash("merkle_node:", entriesRoot(entries.slice(0, split)), entriesRoot(entries.slice(split)));
}

function place(row: Row): Buffer {
  return Buffer.from(hash("state_key:", row.key));
}

function rank(row: Row): number {
  const bits = [...place(row)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const zeros = bits.indexOf("1");
  return Math.floor((zeros < 0 ? bits.length : zeros) / 4);
}

function cutLevel(rows: readonly Row[], level: number): (readonly Row[])[] {
  const segments: Row[][] = [[]];
  for (const [index, row] of rows.entries()) {
    segments.at(-1)?.push(row);
    const before = rows[index - 1];
    const isHigh = rank(row) > level;
    const ends = level === 0 ? isHigh : isHigh && before !== undefined && !(rank(before) > level);
    if (ends && index + 1 < rows.length) segments.push([]);
  }
  return segments.flatMap(cutSegment);
}

function cutSegment(rows: readonly Row[]): (readonly Row[])[] {
  const keyBytes = rows.reduce((sum, { key }) => sum + key.length, 0);
  if (rows.length <= MAX_ENTRIES && keyBytes <= MAX_KEY_BYTES) return [rows];
  // Candidates are entries 2 … n − 2, counted from 1.
  let lowest = 1;
  for (let index = 2; index <= rows.length - 3; index += 1) {
    const [candidate, found] = [rows[index], rows[lowest]];
    if (candidate !== undefined && found !== undefined && Buffer.compare(place(candidate), place(found)) < 0)
      lowest = index;
  }
  return [...cutSegment(rows.slice(0, lowest + 1)), ...cutSegment(rows.slice(lowest + 1))];
}
