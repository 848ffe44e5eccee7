// Which rows and blobs a check looks at: all, or some at random.
import type { FsckSample } from "./finding.js";

/** Picks out of a known number of things. */
export interface Sample {
  isPicked(): boolean;
}

const EVERYTHING: Sample = { isPicked: () => true };

export class Sampler {
  readonly #sample: FsckSample | undefined;
  readonly #random: () => number;

  /** `random`: numbers of [0, 1). */
  constructor(sample: FsckSample | undefined, random: () => number) {
    this.#sample = sample;
    this.#random = random;
  }

  get isWhole(): boolean {
    return this.#sample === undefined;
  }

  /** A count is met on average; of fewer things than that each is picked. */
  of(total: number): Sample {
    const sample = this.#sample;
    if (sample === undefined) return EVERYTHING;
    const share = "count" in sample ? sample.count / Math.max(1, total) : sample.percent / 100;
    return { isPicked: () => this.#random() < share };
  }
}
