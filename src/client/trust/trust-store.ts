// Where a client keeps, from one run to the next, whom it trusts and how far it has seen the log.

/** Where a database is met: on a server by address and name, in a directory by its own id. */
export type TrustPlace = { readonly address: string; readonly database: string } | { readonly databaseId: string };

export interface TrustRecord {
  /** C2SP signed-note verifier key. */
  readonly verifierKey: string;
  /** True where somebody pinned the key; false where it was trusted because it was shown first. */
  readonly isPinned: boolean;
  /** Signed checkpoints, ascending by size. More than one: those of several runs, not yet shown to be of one history. */
  readonly checkpoints: readonly string[];
  /** Keys of earlier epochs of the log, each of which led to the next, and the last to this one. Absent: none. */
  readonly followed?: readonly string[] | undefined;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  readonly seenMs: number;
}

/** Keeps records. `fileTrustStore` keeps them in a file. */
export interface TrustStore {
  load(place: TrustPlace): Promise<TrustRecord | undefined>;
  /**
   * Replaces a record by what `change` makes of it (undefined: there is none, or it is to go), with nobody else at it in
   * between, whole or not at all. A power cut may take the last change with it.
   */
  update(place: TrustPlace, change: (present: TrustRecord | undefined) => TrustRecord | undefined): Promise<void>;
  list(): Promise<readonly { readonly place: TrustPlace; readonly record: TrustRecord }[]>;
}
