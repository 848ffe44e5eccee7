// Goal: a message of 1 MiB that proves nothing is refused within 10 ms and 4 MiB, whatever is in it.
//
// Method: messages built to be as costly as their size allows. Processor time and allocation, each the least of several
// tries, since what a busy machine adds is not the verifier's.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as dagCbor from "@ipld/dag-cbor";
import { IncompleteProof, VerificationFailed } from "#src/core/errors.js";
import type { MapAt, Reveal } from "#src/core/map/index.js";
import { MapKind, ScanVerifier, scan } from "#src/core/map/index.js";
import { forge } from "./forge.js";
import { numberedEntries, prove, sampleMap } from "./support.js";

const MESSAGE_BYTES = 1024 * 1024;
const TRIES = 12;

function fill(make: (index: number) => Reveal): Reveal[] {
  const reveals: Reveal[] = [];
  let bytes = 0;
  for (let index = 0; bytes < MESSAGE_BYTES; index += 1) {
    const reveal = make(index);
    bytes += 12 + reveal.siblings.length + reveal.indices.length;
    for (const { length } of reveal.entries) bytes += length + 2;
    reveals.push(reveal);
  }
  return reveals;
}

function leafReveal(entries: readonly Uint8Array[]): Reveal {
  const indices = entries.map((_, index) => index);
  return {
    kind: 1,
    level: 0,
    count: entries.length,
    total: entries.length,
    indices,
    entries,
    siblings: new Uint8Array(0),
  };
}

const key = (index: number): Uint8Array => Uint8Array.of(index >> 8, index);
const small = Array.from({ length: 64 }, (_, index) => dagCbor.encode([key(index), []]));
/** Cells that the fast path does not take, with as many items as fit. */
const intricate = Array.from({ length: 64 }, (_, index) =>
  dagCbor.encode([key(index), Array.from({ length: 240 }, () => null)]),
);
const badText = [...intricate.slice(1), Uint8Array.from([0x82, 0x42, 0xff, 0xff, 0x81, 0x61, 0xff])];
const long = Array.from({ length: 64 }, (_, index) => {
  const bytes = new Uint8Array(1024).fill(index);
  return dagCbor.encode([bytes, [new Uint8Array(240)]]);
});
const hidden = { kind: 1, level: 0, count: 64, total: 64, indices: [], entries: [], siblings: new Uint8Array(32) };
const one = leafReveal([small[0]!]);

const map = sampleMap(numberedEntries({ count: 3000 }));
const honest = prove(
  map,
  scan(map, { from: new Uint8Array(0) }, () => undefined),
).reveals;
const forgedRoot = forge({
  level: 1,
  total: 128,
  entries: [small, small].map((entries, half) => {
    const child = forge({ entries });
    return dagCbor.encode([Uint8Array.of(half, 0xff), child.digest, 64]);
  }),
});

const messages: Readonly<Record<string, readonly Reveal[]>> = {
  "one reveal of nothing but siblings": [{ ...hidden, siblings: new Uint8Array(MESSAGE_BYTES) }],
  "one reveal of nothing but indices": [
    { ...one, indices: Array.from({ length: MESSAGE_BYTES }, (_, index) => index) },
  ],
  "one reveal of nothing but entries": [leafReveal(Array.from({ length: MESSAGE_BYTES / 2 }, () => new Uint8Array(0)))],
  "one entry": [leafReveal([new Uint8Array(MESSAGE_BYTES)])],
  "the least reveals": fill(() => ({ ...hidden, siblings: new Uint8Array(0) })),
  "reveals that show nothing": fill(() => hidden),
  "reveals of one entry": fill(() => one),
  "reveals of many small entries": fill(() => leafReveal(small)),
  "reveals of intricate cells": fill(() => leafReveal(intricate)),
  "reveals of intricate cells, each with a fault at its end": fill(() => leafReveal(badText)),
  "reveals of long entries": fill(() => leafReveal(long)),
  "an honest root, then reveals of another map": [honest[0]!, ...fill(() => leafReveal(small))],
  "an honest scan, then more": [...honest, ...fill(() => one)],
  "a forged root, then its child over and over": [forgedRoot.reveal, ...fill(() => leafReveal(small))],
};

function costOf(at: MapAt, reveals: readonly Reveal[]): { cpuMs: number; allocatedBytes: number } {
  const verifier = new ScanVerifier(at, { from: new Uint8Array(0) });
  const memory = process.memoryUsage();
  const start = process.cpuUsage();
  let failure: unknown;
  try {
    verifier.push(reveals);
  } catch (error) {
    failure = error;
  }
  const { user, system } = process.cpuUsage(start);
  const after = process.memoryUsage();
  assert.ok(failure instanceof VerificationFailed || failure instanceof IncompleteProof, String(failure));
  const allocatedBytes = after.heapUsed - memory.heapUsed + after.arrayBuffers - memory.arrayBuffers;
  return { cpuMs: (user + system) / 1000, allocatedBytes };
}

/** What the entries of the honest scan take, as they are handed out: two views each. */
function honestBytes(): number {
  const verifier = new ScanVerifier({ kind: MapKind.state, root: map.root }, { from: new Uint8Array(0) });
  return verifier.push(honest).reduce((sum, { key, cell }) => sum + key.length + cell.length, 0);
}

describe("messages of 1 MiB that prove nothing", () => {
  for (const [name, reveals] of Object.entries(messages)) {
    it(name, (test) => {
      const root = name.includes("forged") ? forgedRoot.digest : map.root;
      const costs = Array.from({ length: TRIES }, () => costOf({ kind: MapKind.state, root }, reveals));
      const cpuMs = Math.min(...costs.map((cost) => cost.cpuMs));
      // A collection in between makes a difference negative; such a try says nothing.
      const allocated = costs.map((cost) => cost.allocatedBytes).filter((bytes) => bytes >= 0);
      const allocatedBytes = Math.min(...allocated);
      test.diagnostic(`${cpuMs.toFixed(1)} ms, ${(allocatedBytes / 1024).toFixed(0)} KiB`);
      assert.ok(cpuMs <= 10, `${cpuMs} ms`);
      // Everything allocated is counted, garbage too; what was honestly proved before the fault is no cost of the fault.
      const mostBytes = 4 * 1024 * 1024 + (name === "an honest scan, then more" ? honestBytes() : 0);
      assert.ok(allocatedBytes <= mostBytes, `${allocatedBytes} bytes`);
    });
  }
});
