// Topic blobs: slices of blobs verified against their hash (FORMATS §5). Oracle: the shared vectors, whose parents and groups an
// independent model made; what a slice shows is the filler itself. Larger slices are made by the encoder, and say nothing of the
// tree's shape that the vectors do not.
import { blake3 } from "@noble/hashes/blake3.js";
import { concatBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { encodeSlice } from "#src/core/blob/index.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, pattern, patternName, type Json, type Topic } from "../case.js";

interface BlobVectors {
  readonly blobs: readonly {
    readonly length: number;
    readonly hash: string;
    readonly slices: readonly {
      readonly start: number;
      readonly end: number;
      readonly items: readonly (readonly [string, string])[];
    }[];
  }[];
}

const GROUP = 16_384;
const PREFIX = 5;

/** A slice as a case has it. */
interface Sliced {
  readonly hash: string;
  readonly size: number;
  readonly start: number;
  readonly end: number;
  readonly parents: string;
  /** Which bytes of the blob its groups hold. */
  readonly from: number;
  readonly to: number;
}

function hashOf(bytes: Uint8Array): string {
  return toHex(blake3(concatBytes(utf8("blob:"), bytes)));
}

function groupStart(offset: number): number {
  const group = Math.floor((offset + PREFIX) / GROUP);
  return group === 0 ? 0 : group * GROUP - PREFIX;
}

function ask(
  { hash, size, start, end, parents, from, to }: Sliced,
  changed: Record<string, Json> = {},
): { operation: string; input: Record<string, Json> } {
  const data = patternName(from, to);
  return { operation: "blob.slice", input: { hash, size, start, end, parents, data, ...changed } };
}

function shown({ start, end }: { readonly start: number; readonly end: number }): Json {
  return { size: end - start, hash: hashOf(pattern(start, end)) };
}

export function blobCases(): Topic {
  const cases = new CaseList("blobs");
  const { blobs } = readVectors("blob") as BlobVectors;
  for (const { length: size, hash, slices } of blobs) {
    for (const { start, end, items } of slices) {
      const parents = items.flatMap(([kind, value]) => (kind === "parent" ? [value] : [])).join("");
      const held = items.flatMap(([kind, value]) => (kind === "data" ? [Number(value.split(":")[1])] : []));
      const from = groupStart(start);
      const sliced = { hash, size, start, end, parents, from, to: from + held.reduce((sum, one) => sum + one, 0) };
      cases.accept(`${size} bytes, ${start} to ${end}`, ask(sliced), shown(sliced));
    }
  }
  const bytes = pattern(0, 1_000_000);
  for (const [start, end] of [
    [0, 1],
    [16_379, 16_380],
    [500_000, 600_001],
    [999_999, 1_000_000],
    [31, 999_000],
  ] as const) {
    const sliced = madeSlice(bytes, start, end);
    cases.accept(`a million bytes, ${start} to ${end}`, ask(sliced), shown(sliced));
  }
  refusedCases(cases, madeSlice(pattern(0, 100_000), 40_000, 60_000));
  severalCases(cases);
  return cases.topic("Ranges of blobs, whose byte i is i mod 251, verified by a slice (FORMATS §5).");
}

function madeSlice(bytes: Uint8Array, start: number, end: number): Sliced {
  const { parents, data } = encodeSlice(bytes, { range: { start, end } });
  const from = groupStart(start);
  return { hash: hashOf(bytes), size: bytes.length, start, end, parents: toHex(parents), from, to: from + data.length };
}

function refusedCases(cases: CaseList, slice: Sliced): void {
  const { parents, from, to, size, hash } = slice;
  const [FAILED, INCOMPLETE] = ["VERIFICATION_FAILED", "INCOMPLETE_PROOF"];
  const refuse = (name: string, error: string, changed: Record<string, Json>): void =>
    cases.refuse(`refused, ${name}`, ask(slice, changed), error);
  for (const at of [0, 70, parents.length / 2 - 1]) {
    const flipped = fromHex(parents);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    refuse(`parents with byte ${at} flipped`, FAILED, { parents: toHex(flipped) });
  }
  for (const flip of [0, 20_000, to - from - 1])
    refuse(`data with byte ${flip} flipped`, FAILED, { data: patternName(from, to, flip) });
  refuse("a byte of data more", FAILED, { data: patternName(from, to + 1) });
  refuse("a parent more", FAILED, { parents: parents + "00".repeat(64) });
  refuse("a byte of parents more", FAILED, { parents: `${parents}00` });
  refuse("a byte of data short", INCOMPLETE, { data: patternName(from, to - 1) });
  refuse("nothing at all", INCOMPLETE, { parents: "", data: "" });
  refuse("another blob's hash", FAILED, { hash: hash.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) });
  refuse("another place", FAILED, { start: 60_000, end: 80_000 });
  refuse("parents in another order", FAILED, {
    parents: parents.slice(128, 256) + parents.slice(0, 128) + parents.slice(256),
  });
  // A size is proved by the last group alone: here the tree would have another shape.
  refuse("a larger size", FAILED, { size: size * 4 });
  const whole = madeSlice(pattern(0, 20_000), 0, 20_000);
  cases.refuse(
    "refused, a size that the last group does not have",
    ask(whole, { size: 20_001, end: 20_001 }),
    INCOMPLETE,
  );
  cases.refuse("refused, a size below the last group's", ask(whole, { size: 19_999, end: 19_999 }), FAILED);
}

/** Several ranges by one walk: each parent and group once. */
function severalCases(cases: CaseList): void {
  const lists: readonly (readonly (readonly [start: number, end: number])[])[] = [
    [[0, 100_000]],
    [
      [0, 1],
      [99_999, 100_000],
    ],
    [
      [10, 20],
      [30, 40],
      [50_000, 50_001],
    ],
    [
      [16_378, 16_379],
      [16_379, 16_380],
    ],
    [
      [5, 40_000],
      [40_000, 40_001],
      [90_000, 100_000],
    ],
  ];
  const bytes = pattern(0, 100_000);
  const ask = (
    ranges: readonly (readonly [number, number])[],
    changed: Record<string, Json> = {},
  ): { operation: string; input: Record<string, Json> } => {
    const { parents, data } = walkOf(bytes, ranges);
    const input = {
      hash: hashOf(bytes),
      size: bytes.length,
      ranges: ranges.map((range) => [...range]),
      parents,
      data,
      ...changed,
    };
    return { operation: "blob.slices", input };
  };
  for (const ranges of lists) {
    const content = concatBytes(...ranges.map(([start, end]) => bytes.subarray(start, end)));
    const name = ranges.map(([start, end]) => `${start} to ${end}`).join(", ");
    cases.accept(`several: ${name}`, ask(ranges), { size: content.length, hash: hashOf(content) });
  }
  const ranges = lists[2]!;
  const { parents, data } = walkOf(bytes, ranges);
  const refuse = (name: string, error: string, changed: Record<string, Json>): void =>
    cases.refuse(`several, refused: ${name}`, ask(ranges, changed), error);
  refuse("a group short", "INCOMPLETE_PROOF", { data: data.slice(0, -1) });
  refuse("a group twice", "VERIFICATION_FAILED", { data: [...data, data.at(-1)!] });
  refuse("groups in another order", "VERIFICATION_FAILED", { data: [...data].reverse() });
  refuse("a parent flipped", "VERIFICATION_FAILED", {
    parents: parents.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
  });
}

/**
 * The walk of FORMATS §5 as a recursion: a parent for each subtree that meets a range, then its halves; of a group its bytes. Chaining
 * values are those of single slices' encoder, read out of slices that reach one group.
 */
function walkOf(bytes: Uint8Array, ranges: readonly (readonly [number, number])[]): { parents: string; data: Json[] } {
  const meets = (from: number, to: number): boolean =>
    ranges.some(([start, end]) => start + PREFIX < to && from < end + PREFIX);
  const data: Json[] = [];
  const parents: string[] = [];
  const walk = (from: number, to: number, depth: number): void => {
    if (!meets(from, to)) return;
    if (to - from <= GROUP) {
      data.push(patternName(Math.max(from - PREFIX, 0), to - PREFIX));
      return;
    }
    // A slice of one byte of this subtree holds the parents on the way to it, this one at its depth.
    const offset = Math.max(from - PREFIX, 0);
    const way = encodeSlice(bytes, { range: { start: offset, end: offset + 1 } }).parents;
    parents.push(toHex(way.subarray(depth * 64, depth * 64 + 64)));
    let left = GROUP;
    while (left * 2 < to - from) left *= 2;
    walk(from, from + left, depth + 1);
    walk(from + left, to, depth + 1);
  };
  walk(0, bytes.length + PREFIX, 0);
  return { parents: parents.join(""), data };
}
