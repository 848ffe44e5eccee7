// The hash kernel, one thread, beside the other implementations of BLAKE3 that run in a browser.
import { blake3 as noble } from "@noble/hashes/blake3.js";
import { hash as jit } from "blake3-jit";
import { createBLAKE3 } from "hash-wasm";
import { hashBatch, hashTagged, kernelName } from "#src/core/hash/index.js";
import { inTurns, rateOf, shown, type Bench, type Figure } from "../harness.js";

const MiB = 1_048_576;
const MESSAGES = 4_096;
const MESSAGE_BYTES = 64;
const ROUND_MS = 100;

export const kernel: Bench = {
  name: "kernel",
  about: "BLAKE3 of 1 MiB, and of batches of 64-byte messages, one thread",
  figures: ["kernel-large-wasm", "kernel-large-noble", "kernel-small-wasm", "kernel-small-noble", "kernel-small-rate"],
  isInShortForm: true,
  async run(context) {
    if (kernelName() !== "wasm-simd") throw new Error("the WASM kernel is not in use here");
    const rounds = Math.max(context.rounds, 5);
    const large = Uint8Array.from({ length: MiB }, (_, index) => index % 251);
    const messages = Array.from({ length: MESSAGES }, (_, index) => large.slice(index, index + MESSAGE_BYTES));
    const hasher = await createBLAKE3();
    const others = {
      "hash-wasm": (bytes: Uint8Array): unknown => hasher.init().update(bytes).digest("binary"),
      "blake3-jit": (bytes: Uint8Array): unknown => jit(bytes),
      noble: (bytes: Uint8Array): unknown => noble(bytes),
    };
    const beside = async (
      amount: number,
      ours: () => unknown,
      theirs: (digest: (bytes: Uint8Array) => unknown) => unknown,
    ): Promise<Record<keyof typeof others, Awaited<ReturnType<typeof inTurns>>>> => {
      const measured = {} as Record<keyof typeof others, Awaited<ReturnType<typeof inTurns>>>;
      for (const [name, digest] of Object.entries(others)) {
        const slower = name === "noble" ? ROUND_MS * 2 : ROUND_MS;
        measured[name as keyof typeof others] = await inTurns(
          rounds,
          async () => amount * (await rateOf(ROUND_MS, ours)),
          async () => amount * (await rateOf(slower, () => theirs(digest))),
        );
      }
      return measured;
    };
    context.progress("1 MiB");
    const one = await beside(
      MiB / 1e6,
      () => hashTagged("blob:", large),
      (digest) => digest(large),
    );
    context.progress("64-byte messages");
    const many = await beside(
      MESSAGES / 1e6,
      () => hashBatch("state_leaf:", messages),
      (digest) => messages.forEach((message) => digest(message)),
    );
    const figures: Figure[] = [];
    for (const [what, name, unit, measured] of [
      ["1 MiB", "kernel-large", "MB/s", one],
      ["messages of 64 bytes", "kernel-small", "million/s", many],
    ] as const) {
      const best = measured["hash-wasm"].ratio < measured["blake3-jit"].ratio ? "hash-wasm" : "blake3-jit";
      figures.push(
        {
          name: `${name}-wasm`,
          what,
          measured: shown(measured[best].ours, unit),
          baseline: `${shown(measured[best].baseline, unit)}: ${best}`,
          result: measured[best].ratio,
          goal: { atLeast: 1.5, unit: "×" },
        },
        {
          name: `${name}-noble`,
          what,
          measured: shown(measured.noble.ours, unit),
          baseline: `${shown(measured.noble.baseline, unit)}: @noble/hashes`,
          result: measured.noble.ratio,
          goal: { atLeast: 40, unit: "×" },
        },
      );
    }
    figures.push({
      name: "kernel-small-rate",
      what: "messages of 64 bytes",
      measured: shown(many.noble.ours, "million/s"),
      result: many.noble.ours,
      goal: { atLeast: 4, unit: "million/s" },
    });
    return figures;
  },
};
