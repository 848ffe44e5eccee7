// Goal: a manifest that somebody wrote to harm its readers does not make them load without bound.
// Method: a list of one chunk, larger than any server cuts, made by hand; its download must not begin.
import test from "node:test";
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import type { Transport } from "#src/client/transport.js";
import { hashBlob } from "#src/core/blob/index.js";
import { LimitExceeded } from "#src/core/errors.js";
import { MAX_CHUNK_BYTES } from "#src/core/limits.js";
import { buildMap, MapKind, NodeTable, readSync, Recorder, scan } from "#src/core/map/index.js";
import { chunkCell, chunkKey, encodeManifest, manifestHashOf } from "#src/core/object/index.js";
import { all, openFixture } from "../client/support/fixture.js";

test("a chunk larger than any is not loaded", async () => {
  const size = MAX_CHUNK_BYTES + 1;
  const hash = hashBlob(new Uint8Array(3));
  const table = new NodeTable();
  const cell = chunkCell.encode({ hash, size, offset: 0 });
  const { root } = buildMap(MapKind.chunks, [{ key: chunkKey(0), cell }], table.add);
  const recorder = new Recorder();
  readSync(
    scan({ kind: MapKind.chunks, root }, { from: chunkKey(0), to: undefined }, () => undefined),
    table,
    recorder,
  );
  const nodes = [...recorder.reveals()].map((reveal) => ({
    ...reveal,
    total: BigInt(reveal.total),
    indices: [...reveal.indices],
    entries: [...reveal.entries],
  }));
  const chunking = { method: "text", size, overlap: 0 };
  const blob = { hash, size };
  const manifest = encodeManifest({ v: 1, kind: "document", source: "s", blob, chunking, chunks: root, time: 1 });
  const { output } = ManifestService.method.listChunks;
  const asked: string[] = [];
  const wrap = (inner: Transport): Transport => ({
    address: inner.address,
    unary: inner.unary.bind(inner),
    clientStream: inner.clientStream.bind(inner),
    close: () => inner.close(),
    async *serverStream(method) {
      asked.push(method.name);
      yield create(output, { header: { manifest }, nodes }) as never;
    },
  });
  const fixture = await openFixture("in process");
  try {
    const db = await fixture.client({}, wrap);
    const [chunk] = await all(db.chunks(manifestHashOf(manifest)));
    assert.equal(chunk?.sizeBytes, size);
    await assert.rejects(chunk.bytes(), LimitExceeded);
    assert.deepEqual(asked, ["ListChunks"]);
  } finally {
    await fixture.close();
  }
});
