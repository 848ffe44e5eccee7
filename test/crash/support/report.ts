// What the processes of these tests report, a line of JSON each.

export const MIB = 1024 * 1024;
/** The blob that the workload `upload` sends. */
export const UPLOAD = { sizeBytes: 3 * MIB + 12_345, seed: 9 } as const;

/** The key that all writers count up. */
export const COUNTER = "counter";
/** Of so many writes of one that counts, one is of the shared key; the others are of its own. */
export const COUNT_EVERY = 12;

export type WorkloadName = "init" | "writes" | "upload" | "load" | "epochs";

/** Where an acknowledged write stands in the log. */
interface Logged {
  readonly logIndex: number;
  readonly checkpoint: string;
}

/** A step that was acknowledged: it must be found again, whatever happened afterwards. */
export type Acknowledged =
  | ({ readonly kind: "set"; readonly keys: readonly (readonly [key: string, hash: string])[] } & Logged)
  | ({ readonly kind: "commit"; readonly hash: string } & Logged)
  | ({ readonly kind: "tag"; readonly name: string; readonly hash: string } & Logged)
  | ({ readonly kind: "counted"; readonly to: number } & Logged)
  | ({ readonly kind: "announced"; readonly key: string } & Logged)
  | ({ readonly kind: "epoch"; readonly epoch: number; readonly key: string } & Logged)
  | { readonly kind: "staged"; readonly id: string; readonly sizeBytes: number }
  | { readonly kind: "blob"; readonly hash: string; readonly sizeBytes: number }
  | { readonly kind: "cosigned"; readonly note: string }
  | { readonly kind: "made"; readonly id: string }
  | { readonly kind: "opened" | "closed" | "ended" };

/** A step that was refused. */
export interface Refusal {
  readonly what: string;
  /** The code of the error, or UNTYPED for what is none of ours. */
  readonly code: string;
  readonly system?: string | undefined;
  /** True where the error says that the write was applied all the same. */
  readonly applied: boolean;
  readonly message: string;
}

export type Report = { readonly did: Acknowledged } | { readonly failed: Refusal };
