// What a benchmark is: a name, and figures that it measures beside their baselines in the same run.
//
// A machine is never fast or slow in itself, so a figure is held against its goal as a ratio to a baseline that was
// measured right before or after it, wherever there is one. Rounds alternate and the median counts.

/** One line of the table. */
export interface Figure {
  /** Stable: ratios are committed under it. */
  readonly name: string;
  readonly what: string;
  /** What was measured, with its unit, e.g. "2,310 /s". */
  readonly measured: string;
  /** The baseline of the same run; absent where the goal is absolute. */
  readonly baseline?: string;
  /** What is held against the goal: a ratio, or a value where there is no baseline. */
  readonly result: number;
  readonly goal: Goal;
  /** More for the record: bytes on the wire, peaks of memory, percentiles. */
  readonly details?: Readonly<Record<string, number>>;
}

export interface Goal {
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Of the result, e.g. "×" or "µs". */
  readonly unit: string;
}

export interface BenchContext {
  /** True for the form that CI runs: small databases, short rounds. */
  readonly isShort: boolean;
  /** A directory for databases, on a real disk, gone afterwards. */
  readonly scratch: string;
  /** Counted runs of each round; the median is taken. */
  readonly rounds: number;
  /** Says what is being done. */
  readonly progress: (text: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly about: string;
  /** Names of the figures that it gives. */
  readonly figures: readonly string[];
  /** True where the short form is short enough for CI, and steady enough. */
  readonly isInShortForm: boolean;
  readonly run: (context: BenchContext) => Promise<Figure[]>;
}

export function isMet({ result, goal }: Figure): boolean {
  return result >= (goal.atLeast ?? -Infinity) && result <= (goal.atMost ?? Infinity);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Two things measured in turns, each as often as there are rounds: the medians of both and of their ratio. */
export async function inTurns(
  rounds: number,
  ours: () => Promise<number> | number,
  baseline: () => Promise<number> | number,
): Promise<{ readonly ours: number; readonly baseline: number; readonly ratio: number }> {
  const pairs: { readonly ours: number; readonly baseline: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // Who goes first changes: what warms up, or runs into a busy moment, is then not always the same.
    const first = round % 2 === 0 ? await ours() : await baseline();
    const second = round % 2 === 0 ? await baseline() : await ours();
    pairs.push(round % 2 === 0 ? { ours: first, baseline: second } : { ours: second, baseline: first });
  }
  return {
    ours: median(pairs.map((pair) => pair.ours)),
    baseline: median(pairs.map((pair) => pair.baseline)),
    ratio: median(pairs.map((pair) => pair.ours / pair.baseline)),
  };
}

/** Calls a second of an action that is repeated for so long. */
export async function rateOf(durationMs: number, action: () => unknown): Promise<number> {
  const started = performance.now();
  let count = 0;
  let elapsedMs = 0;
  while (elapsedMs < durationMs) {
    await action();
    count += 1;
    elapsedMs = performance.now() - started;
  }
  return (count / elapsedMs) * 1000;
}

/** A rate for people: three digits that count. */
export function shown(value: number, unit: string): string {
  const text = value >= 1000 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  return `${text} ${unit}`;
}
