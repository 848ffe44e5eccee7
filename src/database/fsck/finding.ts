// What a check of a database finds, and how it tells it (docs/OPERATIONS.md, "Checking a database").
import type { Space } from "../../store/contract.js";

/**
 * - `missing`: something that is kept names it, and it is not there;
 * - `damaged`: the stored bytes are not what their name, or what is held against them, says;
 * - `malformed`: the bytes are those that were hashed, and break a rule of the formats: no damage of this disk made them;
 * - `unexpected`: it is there, and nothing that the database could have written;
 * - `unreadable`: the store could not read it.
 */
export type FindingKind = "missing" | "damaged" | "malformed" | "unexpected" | "unreadable";

/** What it is. */
export type FindingSubject =
  | "node"
  | "object"
  | "blob"
  | "leaf"
  | "log-hashes"
  | "tail"
  | "identity"
  | "signing-key"
  | "epoch"
  | "ref"
  | "document"
  | "lease"
  | "request"
  | "cosignatures"
  | "alarm"
  | "upload"
  | "file"
  | "space";

/** Where a row is. */
export interface RowPlace {
  readonly space: Space;
  /** Absent: the whole space. */
  readonly key?: Uint8Array | undefined;
}

/** A row of the store, a large blob by its hash, or a file. */
export type FindingPlace = RowPlace | { readonly largeBlob: Uint8Array } | { readonly path: string };

/** Something that cannot be read, or not be trusted, because of a finding. */
export interface Affected {
  /** `states/main`, `heads/main`, `tags/v1`, `keys/log`, `commit <hash>`, `manifest <hash>`, `epoch 1`, … */
  readonly name: string;
  /** Which of its maps: `state`, `ledger`, `chunks`, `refs`. */
  readonly map?: string | undefined;
  /** The key of that map whose cell leads to what was found. */
  readonly key?: Uint8Array | undefined;
  /** Of a node: the keys above this one (absent: from the first) … */
  readonly above?: Uint8Array | undefined;
  /** … up to this one (absent: to the last). */
  readonly last?: Uint8Array | undefined;
}

/** How many of what is affected are listed; all of them are counted. */
export const MOST_AFFECTED_LISTED = 16;

export interface Finding {
  readonly kind: FindingKind;
  readonly subject: FindingSubject;
  readonly place: FindingPlace;
  /** One sentence. */
  readonly message: string;
  readonly affects: readonly Affected[];
  readonly affectedCount: number;
  /** What can be done about it, in one sentence. */
  readonly repair: string;
}

export type FsckPhase = "log" | "records" | "blobs" | "large-blobs" | "objects" | "maps" | "nodes";

/** How far a check is. `total` is an estimate where others write. */
export interface FsckProgress {
  readonly phase: FsckPhase;
  readonly done: number;
  /** Absent where it is not known beforehand. */
  readonly total: number | undefined;
  /** Bytes read so far, in all phases. */
  readonly bytes: number;
}

/** How much of one kind of thing was looked at. */
export interface CheckedCount {
  readonly name: Space | "large-blobs" | "uploads" | "maps" | "commits";
  readonly checked: number;
  readonly total: number;
  /** There, whole as far as it was looked at, and reached by nothing that is kept; undefined where that was not asked. */
  readonly unreachable: number | undefined;
}

export interface FsckSummary {
  readonly findings: number;
  readonly counts: readonly CheckedCount[];
  readonly bytes: number;
  /** Leaves of the log in what was checked. */
  readonly logSize: number;
  readonly refsRoot: Uint8Array | undefined;
  /** What was left out, one sentence each; none: everything was looked at. */
  readonly leftOut: readonly string[];
}

export type FsckEvent =
  | { readonly kind: "progress"; readonly progress: FsckProgress }
  | { readonly kind: "finding"; readonly finding: Finding }
  | { readonly kind: "summary"; readonly summary: FsckSummary };

/** What to look at: everything, or so many rows and blobs of each space, picked at random, or such a share of them. */
export type FsckSample = { readonly count: number } | { readonly percent: number };

export interface FsckOptions {
  readonly sample?: FsckSample | undefined;
  /** Ends it between two steps, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export const REPAIR_FROM_COPY =
  "fetch it from a copy of the database: neleus db fsck --repair-from DIR, or restore a backup";
export const REPAIR_UNNAMED =
  "if something that is kept needs it, that is found too, and says how to repair it; else leave it";
export const REPAIR_RESTORE = "restore the database from a backup, and begin a new epoch: neleus db new-epoch";
export const NOTHING_TO_REPAIR =
  "nothing that is kept needs it: leave it, or fetch it from a copy (neleus db fsck --repair-from DIR)";
