/** Whose clock ages are measured by, and how far the server's may be from it. */
export interface Freshness {
  readonly clock: () => number;
  readonly clockToleranceMs: number;
}
