// Goal: what a chunk proof claims beyond any limit is a failed verification, as everything wrong in a proof is.
// Method: a proof whose parts fit together, of a document whose blob would be larger than any may be.
import assert from "node:assert/strict";
import test from "node:test";
import { create } from "@bufbuild/protobuf";
import { ChunkProofSchema } from "#gen/neleus/v1/proof_pb.js";
import { verifyProof } from "#src/client/verify/index.js";
import { hashBlob } from "#src/core/blob/index.js";
import { VerificationFailed } from "#src/core/errors.js";
import { MAX_BLOB_BYTES } from "#src/core/limits.js";
import { buildMap, get, MapKind, NodeTable, readSync, Recorder } from "#src/core/map/index.js";
import { chunkCell, chunkKey, encodeManifest } from "#src/core/object/index.js";

test("a document larger than any blob may be", () => {
  const bytes = new Uint8Array(10);
  const size = MAX_BLOB_BYTES + 10;
  const nodes = new NodeTable();
  const cell = chunkCell.encode({ hash: hashBlob(bytes), size: 10, offset: 0 });
  const { root } = buildMap(MapKind.chunks, [{ key: chunkKey(0), cell }], nodes.add);
  const recorder = new Recorder();
  readSync(get({ kind: MapKind.chunks, root }, chunkKey(0)), nodes, recorder);
  const blob = { hash: hashBlob(bytes), size };
  const chunking = { method: "text", size: 10, overlap: 0 };
  const manifest = encodeManifest({ v: 1, kind: "document", source: "s", blob, chunking, chunks: root, time: 1 });
  const proof = create(ChunkProofSchema, {
    type: "neleus.chunk-proof.v1",
    manifest,
    index: 0n,
    nodes: [...recorder.reveals()].map((reveal) => ({
      ...reveal,
      total: BigInt(reveal.total),
      indices: [...reveal.indices],
      entries: [...reveal.entries],
    })),
    slice: { size: BigInt(size), start: 0n, end: 10n, parents: new Uint8Array(0), data: bytes },
  });
  assert.throws(() => verifyProof(proof, { root }), VerificationFailed);
});
