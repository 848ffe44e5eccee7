// Goal: nobody can change a proof on its way. Method: proofs of every read, as protobuf bytes, changed in every way: each
// byte flipped, reveals and entries dropped, added, swapped, repeated and cut short. Each change must be refused with
// VerificationFailed or IncompleteProof. A change that the protobuf decoder does not see (it goes by field numbers, not
// by wire types) leaves the reveals as they were, which is asserted and counted.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { NodeRevealSchema } from "#gen/neleus/v1/proof_pb.js";
import { utf8 } from "#src/core/bytes.js";
import { IncompleteProof, VerificationFailed } from "#src/core/errors.js";
import type { Entry, KeyAnswer, Reader, Reveal } from "#src/core/map/index.js";
import { count, edit, get, getMany, scan, verifyWitness } from "#src/core/map/index.js";
import { keysByRank } from "./keys.js";
import type { SampleMap } from "./support.js";
import { cellOf, numberedEntries, plain, prove, sampleMap } from "./support.js";

/** A read whose whole answer is one value, so that answers compare. */
interface Question {
  readonly name: string;
  readonly read: (map: SampleMap) => Reader<unknown>;
}

function* collected<T>(start: (found: T[]) => Reader<void>): Reader<T[]> {
  const found: T[] = [];
  yield* start(found);
  return found;
}

function questions(map: SampleMap): Question[] {
  const key = (share: number): Uint8Array => map.entries[Math.floor(share * map.entries.length)]!.key;
  const absent = (share: number): Uint8Array => Uint8Array.from([...key(share), 1]);
  const range = { from: absent(0.4), to: Uint8Array.from([...key(0.45), 2]) };
  return [
    { name: "a present key", read: () => get(map, key(0.3)) },
    { name: "an absent key", read: () => get(map, absent(0.7)) },
    { name: "a key past the end", read: () => get(map, utf8("~~~")) },
    {
      name: "several keys",
      read: () =>
        collected<KeyAnswer>((found) => getMany(map, [key(0.1), absent(0.2), utf8("~")], (one) => found.push(one))),
    },
    { name: "a range", read: () => collected<Entry>((found) => scan(map, range, (run) => run.collect(found))) },
    {
      name: "a range to the end",
      read: () => collected<Entry>((found) => scan(map, { from: key(0.97) }, (run) => run.collect(found))),
    },
    { name: "a count", read: () => count(map, { from: key(0.2), to: absent(0.6) }) },
    { name: "a count of all", read: () => count(map, { from: new Uint8Array(0) }) },
    {
      name: "a transition",
      read: () =>
        rootAfter(map, [
          { key: key(0.5), cell: undefined },
          { key: absent(0.5), cell: cellOf("new") },
        ]),
    },
  ];
}

function* rootAfter(map: SampleMap, edits: Parameters<typeof edit>[1]): Reader<Uint8Array> {
  const { root } = yield* edit(map, edits);
  return root;
}

function toWire(reveal: Reveal): Uint8Array {
  const total = BigInt(reveal.total);
  const message = create(NodeRevealSchema, {
    ...reveal,
    indices: [...reveal.indices],
    entries: [...reveal.entries],
    total,
  });
  return toBinary(NodeRevealSchema, message);
}

/** As an edge narrows it. A total that does not fit is left to the verifier, which refuses it. */
function fromWire(bytes: Uint8Array): Reveal {
  const { kind, level, count, total, indices, entries, siblings } = fromBinary(NodeRevealSchema, bytes);
  return { kind, level, count, total: Number(total), indices, entries, siblings };
}

/** An honest proof, and what becomes of changed ones. */
class Proof {
  readonly reveals: readonly Reveal[];
  readonly wire: readonly Uint8Array[];
  refused = 0;
  /** Changes that the protobuf decoder does not see: what it reads are the very reveals that were sent. */
  unseen = 0;
  readonly #map: SampleMap;
  readonly #read: Question["read"];
  readonly #answer: unknown;

  constructor(map: SampleMap, read: Question["read"]) {
    const { answer, reveals } = prove(map, read(map));
    this.#map = map;
    this.#read = read;
    this.#answer = answer;
    this.reveals = reveals.map((reveal) => fromWire(toWire(reveal)));
    this.wire = reveals.map(toWire);
  }

  verify(reveals: readonly Reveal[]): void {
    assert.deepEqual(verifyWitness(this.#read(this.#map), reveals), this.#answer);
  }

  /** Tries changed reveals: they must be refused, unless they are the honest ones. */
  attempt(reveals: readonly Reveal[]): void {
    try {
      verifyWitness(this.#read(this.#map), reveals);
    } catch (error) {
      assert.ok(error instanceof VerificationFailed || error instanceof IncompleteProof, String(error));
      this.refused += 1;
      return;
    }
    assert.deepEqual(plain(reveals), plain(this.reveals), "what is accepted is what was sent");
    this.unseen += 1;
  }

  /** Tries one reveal changed on the wire. */
  attemptWire(position: number, bytes: Uint8Array): void {
    let changed: Reveal;
    try {
      changed = fromWire(bytes);
    } catch {
      this.refused += 1; // no protobuf message any more
      return;
    }
    this.attempt(replaced(this.reveals, position, changed));
  }
}

function replaced<T>(list: readonly T[], position: number, ...by: readonly T[]): T[] {
  return [...list.slice(0, position), ...by, ...list.slice(position + 1)];
}

const MAPS: Readonly<Record<string, SampleMap>> = {
  "300 keys": sampleMap(numberedEntries({ count: 300 })),
  "200 keys of rank 1": sampleMap(
    keysByRank()[1]!
      .slice(0, 200)
      .map((key) => ({ key, cell: cellOf("value") }))
      .sort((a, b) => Buffer.compare(a.key, b.key)),
  ),
  "one key": sampleMap(numberedEntries({ count: 1 })),
};

for (const [mapName, map] of Object.entries(MAPS)) {
  describe(`changed proofs of a map of ${mapName}`, () => {
    for (const { name, read } of questions(map)) {
      it(`${name}: every byte flipped`, (test) => {
        const proof = new Proof(map, read);
        proof.verify(proof.reveals);
        const sizeBytes = proof.wire.reduce((sum, { length }) => sum + length, 0);
        for (const [position, bytes] of proof.wire.entries()) {
          for (let offset = 0; offset < bytes.length; offset += 1) {
            // A long proof has every byte flipped once, a short one in several ways.
            const masks = sizeBytes > 1000 ? [1 << (offset & 7)] : [0x01, 0x08, 0x80];
            for (const mask of masks) {
              const changed = Uint8Array.from(bytes);
              changed[offset] = (changed[offset] ?? 0) ^ mask;
              proof.attemptWire(position, changed);
            }
          }
        }
        test.diagnostic(
          `${sizeBytes} bytes: ${proof.refused} changes refused, ${proof.unseen} not seen by the decoder`,
        );
        assert.ok(proof.unseen * 8 < proof.refused, "the decoder misses changes in tag bytes only");
      });

      it(`${name}: cut short, extended, repeated, swapped`, () => {
        const proof = new Proof(map, read);
        const { reveals, wire } = proof;
        for (const [position, bytes] of wire.entries()) {
          for (let length = 0; length < bytes.length; length += 1)
            proof.attemptWire(position, bytes.subarray(0, length));
          const reveal = reveals[position]!;
          proof.attempt(replaced(reveals, position));
          proof.attempt(replaced(reveals, position, reveal, reveal));
          proof.attempt(reveals.slice(0, position));
          proof.attempt([...reveals, reveal]);
          for (let other = position + 1; other < wire.length; other += 1) {
            if (Buffer.compare(bytes, wire[other]!) === 0) continue;
            proof.attempt(replaced(replaced(reveals, position, reveals[other]!), other, reveal));
          }
        }
        assert.equal(proof.unseen, 0);
      });

      it(`${name}: entries and siblings dropped, repeated, swapped, moved`, () => {
        const proof = new Proof(map, read);
        const attempt = (position: number, part: Partial<Reveal>): void => {
          proof.attempt(replaced(proof.reveals, position, { ...proof.reveals[position]!, ...part }));
        };
        for (const [position, { indices, entries, siblings }] of proof.reveals.entries()) {
          for (const [shown, entry] of entries.entries()) {
            const index = indices[shown]!;
            attempt(position, { indices: replaced(indices, shown), entries: replaced(entries, shown) });
            attempt(position, { entries: replaced(entries, shown) });
            attempt(position, { indices: replaced(indices, shown) });
            attempt(position, { indices: replaced(indices, shown, index + 1) });
            attempt(position, {
              indices: replaced(indices, shown, index, index),
              entries: replaced(entries, shown, entry, entry),
            });
            if (shown === 0) continue;
            attempt(position, {
              entries: replaced(replaced(entries, shown, entries[shown - 1]!), shown - 1, entry),
            });
          }
          for (let offset = 0; offset < siblings.length; offset += 32) {
            attempt(position, {
              siblings: Buffer.concat([siblings.subarray(0, offset), siblings.subarray(offset + 32)]),
            });
          }
          attempt(position, { siblings: Buffer.concat([siblings, new Uint8Array(32)]) });
        }
        assert.equal(proof.unseen, 0);
      });
    }
  });
}
