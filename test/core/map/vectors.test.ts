// Goal: the bytes of FORMATS §3 and §4, to the last one. Method: every root, header, proof and scan witness of the shared
// vectors is rebuilt and compared; every witness of witness-refuse.json, whose hashes all hold, is refused.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { fromHex, toHex } from "#src/core/bytes.js";
import { VerificationFailed } from "#src/core/errors.js";
import { mapRoot } from "#src/core/hashes.js";
import type { Entry, MapKind } from "#src/core/map/index.js";
import { ScanVerifier, get, proveScanSync, scan, verifyNode, verifyWitness } from "#src/core/map/index.js";
import { encodeHeader } from "#src/core/map/node.js";
import { readVectors } from "../../support/vectors.js";
import type { SampleMap } from "./support.js";
import { plain, prove, revealOf, sampleMap } from "./support.js";

interface MapVector {
  readonly name: string;
  readonly entries: readonly (readonly [key: string, hash: string, size: number])[];
  readonly root: string;
  readonly height: number;
  readonly root_header?: string;
  readonly proofs?: readonly { readonly key: string; readonly present: boolean; readonly witness: unknown[] }[];
  readonly scans?: readonly {
    readonly from: string;
    readonly to: string | null;
    readonly keys: number;
    readonly witness: unknown[];
  }[];
}

interface RefuseVector {
  readonly why: string;
  readonly root: string;
  readonly kind: MapKind;
  readonly key: string;
  readonly witness: unknown[];
}

function entriesOf(vector: MapVector): Entry[] {
  return vector.entries.map(([key, hash, size]) => ({
    key: fromHex(key),
    cell: dagCbor.encode([fromHex(hash), size]),
  }));
}

for (const file of ["map", "map-extra"]) {
  describe(`vectors ${file}.json`, () => {
    for (const vector of readVectors(file) as MapVector[]) {
      it(vector.name, () => {
        const map = sampleMap(entriesOf(vector));
        assert.equal(toHex(map.root), vector.root);
        const root = map.source.load(map.root);
        assert.equal(root.level + 1, vector.height);
        assert.deepEqual(verifyNode(root.stored, map.root).digest, map.root);
        if (vector.root_header !== undefined) {
          assert.equal(toHex(encodeHeader(root, root.tree.root)), vector.root_header);
        }
        checkProofs(map, vector);
        checkScans(map, vector);
      });
    }
  });
}

function checkProofs(map: SampleMap, vector: MapVector): void {
  for (const proof of vector.proofs ?? []) {
    const key = fromHex(proof.key);
    const { answer, reveals } = prove(map, get(map, key));
    const expected = proof.witness.map((raw) => revealOf(raw, "hex"));
    assert.deepEqual(plain(reveals), plain(expected), `witness of ${proof.key}`);
    assert.equal(answer !== undefined, proof.present);
    assert.deepEqual(verifyWitness(get(map, key), expected), answer);
  }
}

function checkScans(map: SampleMap, vector: MapVector): void {
  for (const wanted of vector.scans ?? []) {
    const range = { from: fromHex(wanted.from), to: wanted.to === null ? undefined : fromHex(wanted.to) };
    const expected = wanted.witness.map((raw) => revealOf(raw, "hex"));
    const found: Entry[] = [];
    const { reveals } = prove(
      map,
      scan(map, range, (run) => run.collect(found)),
    );
    assert.equal(found.length, wanted.keys);
    assert.deepEqual(plain(reveals), plain(expected), `witness of the scan from ${wanted.from}`);
    const streamed = [...proveScanSync(map.source, map, range)].flatMap((part) => part.reveals);
    assert.deepEqual(plain(streamed), plain(expected));
    const verifier = new ScanVerifier(map, range);
    assert.deepEqual(verifier.push(expected), found);
    verifier.finish();
  }
}

describe("vectors witness-refuse.json", () => {
  for (const vector of readVectors("witness-refuse") as RefuseVector[]) {
    it(vector.why, () => {
      const map = { kind: vector.kind, root: mapRoot(fromHex(vector.root)) };
      const reveals = vector.witness.map((raw) => revealOf(raw, "base64"));
      assert.throws(() => verifyWitness(get(map, fromHex(vector.key)), reveals), VerificationFailed);
    });
  }
});
