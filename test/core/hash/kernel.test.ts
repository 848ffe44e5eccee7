// Goal: the WASM kernel gives the bytes of the portable engine and of @noble/hashes, whatever it hashed before, from
// whatever view, and never writes to its input; where it cannot run, the fallback takes over.
// Method: both engines side by side on every length to 5,000, on the edges of blocks, chunks, groups and the input
// window, and on random batches; the kernel taken away.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { blake3 } from "@noble/hashes/blake3.js";
import fc from "fast-check";
import { concatBytes } from "#src/core/bytes.js";
import { AssertionFailed } from "#src/core/errors.js";
import {
  groupChainingValue,
  groupChainingValues,
  hashPairs,
  kernelName,
  parentChainingValue,
  tagPrefix,
  type Tag,
} from "#src/core/hash/index.js";
import { KERNEL_BASE64 } from "#src/core/hash/kernel/kernel-binary.js";
import { loadWasmEngine } from "#src/core/hash/kernel/wasm-engine.js";
import { PortableEngine } from "#src/core/hash/portable.js";
import { selectKernel } from "#src/core/hash/selection.js";
import { patternBytes } from "../../support/vectors.js";

const GROUP = 16_384;
const WINDOW = 262_144;
const EDGES = [64, 128, 1024, 2048, 3072, 4096, 5120, 8192, GROUP, 2 * GROUP, 3 * GROUP, WINDOW, WINDOW + GROUP];
const TAGS: readonly Tag[] = ["blob:", "commit:", "state_key:", "state_leaf:", "merkle_node:"];

const wasm = loadWasmEngine();
assert.ok(wasm !== undefined, "the kernel runs where the tests do");
const portable = new PortableEngine();

/** The bytes as a view in the middle of a larger buffer that is full of other bytes. */
function embedded(bytes: Uint8Array, offset: number): Uint8Array {
  const buffer = new Uint8Array(bytes.length + offset + 70).fill(0xee);
  buffer.set(bytes, offset);
  return buffer.subarray(offset, offset + bytes.length);
}

/** Fills the kernel's memory with what would show if it were read again. */
function dirty(): void {
  wasm!.groupChainingValues(new Uint8Array(WINDOW).fill(0xff), 5);
}

/** The layers of a tree of hashes, pair by pair, with noble. */
function slowTree(leaves: Uint8Array): Uint8Array {
  const layers = [leaves];
  for (let layer = leaves; layer.length > 32; layer = layers.at(-1)!) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < layer.length; at += 64) {
      const pair = layer.subarray(at, at + 64);
      above.push(pair.length === 64 ? blake3(concatBytes(tagPrefix("merkle_node:"), pair)) : pair);
    }
    layers.push(concatBytes(...above));
  }
  return concatBytes(...layers);
}

/** Messages one behind the other, somewhere within an array, hash as the same messages one by one. */
function requireSameRanges(prefix: Uint8Array, messages: readonly Uint8Array[]): void {
  const starts = [3];
  for (const { length } of messages) starts.push((starts.at(-1) ?? 0) + length);
  const bytes = new Uint8Array((starts.at(-1) ?? 0) + 5).fill(0xee);
  messages.forEach((message, index) => bytes.set(message, starts[index]));
  const copy = bytes.slice();
  assert.deepEqual(wasm!.hashRanges(prefix, bytes, starts), portable.hashBatch(prefix, messages));
  assert.deepEqual(portable.hashRanges(prefix, bytes, starts), portable.hashBatch(prefix, messages));
  if (messages.length > 0) {
    assert.deepEqual(wasm!.hashTree(prefix, bytes, starts), slowTree(portable.hashBatch(prefix, messages)));
    assert.deepEqual(portable.hashTree(prefix, bytes, starts), slowTree(portable.hashBatch(prefix, messages)));
  }
  assert.deepEqual(bytes, copy, "messages are not written to");
}

describe("the kernel", () => {
  test("hashes every length to 5,000, after whatever lay in its memory", () => {
    const bytes = patternBytes(5000);
    const prefix = tagPrefix("blob:");
    dirty();
    for (let length = 0; length <= 5000; length += 1) {
      // Down from the longest and up from the shortest in turns, so that older bytes lie behind the shorter ones.
      const input = bytes.subarray(0, length % 2 === 0 ? length : 5000 - length);
      const expected = blake3(concatBytes(prefix, input));
      assert.deepEqual(wasm.hashPrefixed(prefix, input), expected, `length ${input.length}`);
      assert.deepEqual(portable.hashPrefixed(prefix, input), expected, `length ${input.length}, portable`);
    }
  });

  test("hashes around every edge, with every prefix", () => {
    const bytes = patternBytes(WINDOW + GROUP + 20);
    for (const tag of TAGS) {
      const prefix = tagPrefix(tag);
      for (const edge of EDGES) {
        for (const length of [-1, 0, 1].map((offset) => edge + offset - prefix.length)) {
          const input = bytes.subarray(0, length);
          const expected = blake3(concatBytes(prefix, input));
          assert.deepEqual(wasm.hashPrefixed(prefix, input), expected, `${tag} ${length}`);
          assert.deepEqual(portable.hashPrefixed(prefix, input), expected, `${tag} ${length}, portable`);
        }
      }
    }
  });

  test("hashes random batches of mixed lengths", () => {
    const length = fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 150 }) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 1030 }) },
      { weight: 1, arbitrary: fc.constantFrom(52, 53, 116, 117, 1011, 1012, 1013, 1023, 1024, 2000, GROUP + 1) },
    );
    const message = fc.record({
      length,
      offset: fc.integer({ min: 0, max: 17 }),
      seed: fc.integer({ min: 0, max: 250 }),
    });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), fc.constantFrom(...TAGS), (shapes, tag) => {
        const bytes = patternBytes(GROUP + 300);
        const messages = shapes.map((m) => embedded(bytes.subarray(m.seed, m.seed + m.length), m.offset));
        const copies = messages.map((m) => m.slice());
        const prefix = tagPrefix(tag);
        assert.deepEqual(wasm.hashBatch(prefix, messages), portable.hashBatch(prefix, messages));
        requireSameRanges(prefix, messages);
        assert.deepEqual(
          messages.map((m) => m.slice()),
          copies,
          "messages are not written to",
        );
      }),
      { numRuns: 150 },
    );
  });

  test("hashes batches larger than its window, by messages and by bytes", () => {
    const prefix = tagPrefix("state_leaf:");
    const bytes = patternBytes(2000);
    const many = Array.from({ length: 9000 }, (_, index) => bytes.subarray(index % 251, (index % 251) + (index % 40)));
    const long = Array.from({ length: 600 }, (_, index) => bytes.subarray(index, index + 900 + (index % 113)));
    const mixed = [...long.slice(0, 50), ...many.slice(0, 3000), bytes.subarray(0, 1500), ...long.slice(0, 300)];
    // As many as fit to the byte, and the longest that are packed.
    const exact = Array.from({ length: 4096 }, (_, index) => bytes.subarray(index % 7, (index % 7) + 1));
    const chunks = Array.from({ length: 300 }, (_, index) => bytes.subarray(index, index + 1024 - prefix.length));
    for (const messages of [many, long, mixed, exact, chunks]) {
      assert.deepEqual(wasm.hashBatch(prefix, messages), portable.hashBatch(prefix, messages));
      requireSameRanges(prefix, messages);
    }
  });

  test("hashes trees of every number of leaves, and of more than one call", () => {
    const bytes = patternBytes(30_000);
    for (const count of [...Array.from({ length: 70 }, (_, index) => index + 1), 1000, 2047, 2048, 2049, 4097]) {
      const messages = Array.from({ length: count }, (_, index) => bytes.subarray(index * 3, index * 3 + (index % 80)));
      requireSameRanges(tagPrefix("state_leaf:"), messages);
    }
    requireSameRanges(tagPrefix("state_leaf:"), [
      bytes.subarray(0, 1400),
      bytes.subarray(9, 50),
      bytes.subarray(0, 1390),
    ]);
  });

  test("hashes pairs in every number of lanes and over more than a window", () => {
    const pairs = patternBytes(64 * 5003 + 3).subarray(3);
    dirty();
    for (const count of [0, 1, 2, 3, 4, 5, 6, 7, 8, 13, 4095, 4096, 4097, 5003]) {
      const part = pairs.subarray(0, count * 64);
      assert.deepEqual(wasm.hashPairs(part), portable.hashPairs(part), `${count} pairs`);
    }
  });

  test("gives the chaining values of groups of every length, at counters over 32 bits too", () => {
    const bytes = patternBytes(GROUP);
    const lengths = new Set([0, 1, GROUP]);
    for (let edge = 512; edge <= GROUP; edge += 512) for (const offset of [-1, 0, 1]) lengths.add(edge + offset);
    dirty();
    for (const length of [...lengths].filter((one) => one <= GROUP)) {
      const input = embedded(bytes.subarray(0, length), length % 17);
      for (const position of [
        { groupIndex: 0, isRoot: true },
        { groupIndex: 3, isRoot: false },
        { groupIndex: 2 ** 28 - 1, isRoot: false },
        { groupIndex: 2 ** 30, isRoot: false },
      ]) {
        assert.deepEqual(
          wasm.groupChainingValue(input, position),
          portable.groupChainingValue(input, position),
          `${length} bytes at ${position.groupIndex}`,
        );
      }
    }
  });

  test("gives the chaining values of runs of groups, over a window and across 2^32 chunks", () => {
    const input = embedded(patternBytes(WINDOW + 3 * GROUP), 5);
    for (const [count, firstGroupIndex] of [
      [1, 7],
      [2, 2 ** 28 - 1],
      [3, 0],
      [19, 2 ** 28 - 9],
    ] as const) {
      const part = input.subarray(0, count * GROUP);
      assert.deepEqual(
        wasm.groupChainingValues(part, firstGroupIndex),
        portable.groupChainingValues(part, firstGroupIndex),
      );
    }
  });

  test("gives the chaining values of parents", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.boolean(), (pair, isRoot) => {
        assert.deepEqual(wasm.parentChainingValue(pair, { isRoot }), portable.parentChainingValue(pair, { isRoot }));
      }),
    );
  });

  test("hands out results that the next call leaves alone", () => {
    const prefix = tagPrefix("blob:");
    const first = wasm.hashPrefixed(prefix, patternBytes(10));
    const copy = first.slice();
    dirty();
    assert.deepEqual(first, copy);
    assert.equal(first.buffer.byteLength, 32);
  });

  test("is the committed module, in both forms", () => {
    const module = readFileSync("src/core/hash/kernel/kernel.wasm");
    assert.equal(Buffer.compare(Buffer.from(KERNEL_BASE64, "base64"), module), 0);
  });

  test("is what its sources give", () => {
    execFileSync(process.execPath, ["tools/build-kernel.js", "--check"], { stdio: "pipe" });
  });
});

describe("the choice of an engine", () => {
  after(() => void selectKernel("wasm-simd"));

  test("is the kernel, or the portable one on request", () => {
    assert.equal(selectKernel("portable"), "portable");
    assert.equal(kernelName(), "portable");
    assert.equal(selectKernel("wasm-simd"), "wasm-simd");
    assert.equal(kernelName(), "wasm-simd");
  });

  for (const [what, replacement] of [
    ["is missing", undefined],
    ["is blocked by a policy", { Module: refuse, Instance: refuse }],
  ] as const) {
    test(`cannot be the kernel where WebAssembly ${what}`, (context) => {
      const real = Object.getOwnPropertyDescriptor(globalThis, "WebAssembly")!;
      context.after(() => Object.defineProperty(globalThis, "WebAssembly", real));
      Object.defineProperty(globalThis, "WebAssembly", { value: replacement, configurable: true });
      assert.equal(loadWasmEngine(), undefined);
    });
  }

  const emptyBlob = "bcd0fb6f8fd959498b5c72de291b6047b45366a56fe0d46a8ca456d3733c7ee5";
  const printHash =
    'process.stdout.write(kernelName() + Buffer.from(hashTagged("blob:", new Uint8Array(0))).toString("hex"));';
  const run = (script: string, ...options: string[]): string => {
    const load = 'const { hashTagged, kernelName, loadKernel } = await import("#src/core/hash/index.js");';
    return execFileSync(process.execPath, [...options, "--input-type=module", "-e", load + script], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  };

  test("falls to the portable one in a process without a compiler", () => {
    assert.equal(run(printHash, "--jitless"), `portable${emptyBlob}`);
    assert.equal(run(`await loadKernel();${printHash}`, "--jitless"), `portable${emptyBlob}`);
  });

  test("is the kernel once it is loaded, also where compiling may not block", () => {
    // As browsers do that refuse the constructors for more than 4 KiB on their main thread.
    const refuse = "WebAssembly.Module = function () { throw new RangeError('blocking'); };";
    assert.equal(run(refuse + printHash), `portable${emptyBlob}`);
    assert.equal(run(`${refuse}await loadKernel();${printHash}`), `wasm-simd${emptyBlob}`);
    // A first hash has settled for the portable engine: what is loaded later replaces it.
    const printed = `portable${emptyBlob}wasm-simd${emptyBlob}`;
    assert.equal(run(`${refuse}${printHash}await Promise.all([loadKernel(), loadKernel()]);${printHash}`), printed);
    assert.equal(
      run(`const loading = loadKernel();${printHash}await loading;${printHash}`),
      `wasm-simd${emptyBlob}`.repeat(2),
    );
    const refuseAll = "WebAssembly.instantiate = async () => { throw new Error('policy'); };";
    assert.equal(run(`${refuse}${refuseAll}await loadKernel();${printHash}`), `portable${emptyBlob}`);
  });
});

test("lengths that the formats do not have are bugs of the caller", () => {
  const wrong: (() => unknown)[] = [
    () => hashPairs(new Uint8Array(63)),
    () => groupChainingValue(new Uint8Array(GROUP + 1), { groupIndex: 0, isRoot: true }),
    () => groupChainingValue(new Uint8Array(1), { groupIndex: 1, isRoot: true }),
    () => groupChainingValue(new Uint8Array(1), { groupIndex: -1, isRoot: false }),
    () => groupChainingValues(new Uint8Array(GROUP + 1), 0),
    () => groupChainingValues(new Uint8Array(GROUP), 0.5),
    () => parentChainingValue(new Uint8Array(65), { isRoot: false }),
  ];
  for (const call of wrong) assert.throws(call, AssertionFailed);
});

function refuse(): never {
  throw new Error("blocked by the Content-Security-Policy");
}
