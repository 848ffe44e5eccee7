// Topic hash: the domains of FORMATS §1. Oracle: the shared vectors, and @noble/hashes.
import { blake3 } from "@noble/hashes/blake3.js";
import { concatBytes, toHex, utf8 } from "#src/core/bytes.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, pattern, patternName, type Topic } from "../case.js";

/** Beside blocks, chunks, groups, and pairs and fours of chunks. */
const LENGTHS = [
  2, 31, 63, 64, 65, 1011, 1012, 1013, 1019, 1020, 1023, 1025, 2048, 3072, 4096, 5120, 16_378, 16_379, 16_380,
];
const LONG = [31_744, 32_763, 32_764, 65_536, 100_000, 262_144, 300_000];

export function hashCases(): Topic {
  const cases = new CaseList("hash");
  const { tags } = readVectors("hash") as { tags: Readonly<Record<string, Readonly<Record<string, string>>>> };
  const add = (tag: string, length: number, hash: string): void =>
    cases.accept(`${tag}${length}`, { operation: "hash", input: { tag, bytes: patternName(0, length) } }, { hash });
  for (const [tag, known] of Object.entries(tags)) {
    for (const [length, hash] of Object.entries(known)) add(tag, Number(length), hash);
    for (const length of tag === "blob:" ? [...LENGTHS, ...LONG] : LENGTHS.slice(0, 8)) {
      add(tag, length, toHex(blake3(concatBytes(utf8(tag), pattern(0, length)))));
    }
  }
  return cases.topic("Tagged BLAKE3 of bytes of many lengths (FORMATS §1).");
}
