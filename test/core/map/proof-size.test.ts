// Goal: a point proof of 18-byte keys stays near 0.8 KB at 10,000 keys and 1.0 KB at 100,000 (FORMATS §4).
//
// Method: maps of state cells under keys "user/0000000000000"; the protobuf size of the witness of 1,000 present keys,
// by the wire format's own arithmetic (a tag and a length before every bytes field, packed indices), each reveal a
// repeated field of the message.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { NodeRevealSchema } from "#gen/neleus/v1/proof_pb.js";
import type { Reveal } from "#src/core/map/index.js";
import { get } from "#src/core/map/index.js";
import { numberedEntries, prove, sampleMap } from "./support.js";

function varintBytes(value: number): number {
  return value < 128 ? 1 : 1 + varintBytes(Math.floor(value / 128));
}

/** A length-delimited field with a tag of one byte. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function numberBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function revealBytes(reveal: Reveal): number {
  let bytes =
    numberBytes(reveal.kind) + numberBytes(reveal.level) + numberBytes(reveal.count) + numberBytes(reveal.total);
  const packed = reveal.indices.reduce((sum, index) => sum + varintBytes(index), 0);
  if (packed > 0) bytes += fieldBytes(packed);
  for (const entry of reveal.entries) bytes += fieldBytes(entry.length);
  return reveal.siblings.length > 0 ? bytes + fieldBytes(reveal.siblings.length) : bytes;
}

describe("size of a point proof", () => {
  for (const { keys, mostBytes } of [
    { keys: 10_000, mostBytes: 900 },
    { keys: 100_000, mostBytes: 1100 },
  ]) {
    it(`${keys} keys of 18 bytes: ${mostBytes} bytes at most, on average`, (test) => {
      const map = sampleMap(numberedEntries({ count: keys, prefix: "user/", digits: 13 }));
      const sizes: number[] = [];
      for (let sample = 0; sample < 1000; sample += 1) {
        const { key } = map.entries[(sample * 7919) % keys]!;
        assert.equal(key.length, 18);
        const { reveals } = prove(map, get(map, key));
        sizes.push(reveals.reduce((sum, reveal) => sum + fieldBytes(revealBytes(reveal)), 0));
        if (sample === 0) checkArithmetic(reveals);
      }
      sizes.sort((a, b) => a - b);
      const mean = sizes.reduce((sum, size) => sum + size) / sizes.length;
      test.diagnostic(`mean ${mean.toFixed(0)}, p99 ${sizes[990]}, largest ${sizes[999]} bytes`);
      assert.ok(mean <= mostBytes, `${mean} bytes`);
    });
  }
});

function checkArithmetic(reveals: readonly Reveal[]): void {
  for (const reveal of reveals) {
    const parts = {
      ...reveal,
      indices: [...reveal.indices],
      entries: [...reveal.entries],
      total: BigInt(reveal.total),
    };
    assert.equal(toBinary(NodeRevealSchema, create(NodeRevealSchema, parts)).length, revealBytes(reveal));
  }
}
