// Topic map-roots: the root of a map from its content (FORMATS §3). Oracle: the shared vectors, on which independent models agree,
// and the slow twin beside this file.
import * as dagCbor from "@ipld/dag-cbor";
import { compareBytes, fromHex, toHex } from "#src/core/bytes.js";
import { numberedEntries } from "../../core/map/support.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, Seeded, type Json, type Topic } from "../case.js";
import { slowMap, type SlowEntry } from "./slow-map.js";

interface MapVector {
  readonly name: string;
  readonly entries: readonly (readonly [key: string, hash: string, size: number])[];
  readonly root: string;
  readonly height: number;
}

/** Larger ones say nothing that these do not, and the kit is to stay small. */
const MOST_VECTOR_BYTES = 50_000;

export function mapCases(): Topic {
  const cases = new CaseList("map-roots");
  const explicit = (
    kind: number,
    entries: readonly SlowEntry[],
  ): { operation: string; input: Record<string, Json> } => ({
    operation: "map.root",
    input: { kind, entries: entries.map(({ key, cell }) => [toHex(key), toHex(cell)]) },
  });
  for (const file of ["map", "map-extra"]) {
    for (const { name, entries, root, height } of readVectors(file) as MapVector[]) {
      const read = entries.map(([key, hash, size]) => ({
        key: fromHex(key),
        cell: dagCbor.encode([fromHex(hash), size]),
      }));
      const question = explicit(1, read);
      if (JSON.stringify(question).length > MOST_VECTOR_BYTES) continue;
      cases.accept(`vector ${name}`, question, { root, height });
    }
  }
  for (const count of [0, 1, 2, 15, 16, 17, 63, 64, 65, 128, 129, 500, 1500, 4000]) {
    const { root, height } = slowMap(1, numberedEntries({ count }));
    const input = { kind: 1, numbered: { count, prefix: "key-", digits: 6 } };
    cases.accept(`numbered ${count}`, { operation: "map.root", input }, { root: toHex(root), height });
  }
  const random = new Seeded(3);
  for (const kind of [1, 2, 3, 4]) {
    for (const count of [3, 40, 90]) {
      const entries = randomEntries(random, count);
      const { root, height } = slowMap(kind, entries);
      cases.accept(`random ${count} of kind ${kind}`, explicit(kind, entries), { root: toHex(root), height });
    }
  }
  return cases.topic("The root and the number of levels of a map with given entries (FORMATS §3).");
}

/** Keys of 1 to 20 bytes, and cells that are lists of any kind. */
function randomEntries(random: Seeded, count: number): SlowEntry[] {
  const keys = new Map<string, Uint8Array>();
  while (keys.size < count) {
    const key = random.bytes(1 + random.below(20));
    keys.set(toHex(key), key);
  }
  return [...keys.values()]
    .sort(compareBytes)
    .map((key) => ({ key, cell: dagCbor.encode([random.bytes(32), random.below(5000), { more: [random.below(9)] }]) }));
}
