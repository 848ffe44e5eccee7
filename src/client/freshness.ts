// How new an answer is, and by whose clock.

/** How far a clock elsewhere may be from this machine's, in milliseconds, where nothing else is said. */
export const DEFAULT_CLOCK_TOLERANCE_MS = 10_000;

/** Whose clock ages are measured by, and how far the server's may be from it. */
export interface Freshness {
  readonly clock: () => number;
  readonly clockToleranceMs: number;
}
