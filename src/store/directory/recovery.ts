// What opening a database finds of processes that ended without closing it, and what it does about it.
//
// Rows need no replaying: LMDB shows the last transaction that was whole. What there is to do:
// - look at every page of the data file: LMDB does not survive some damage, and damage may be what the process died of;
// - drop what was staged by processes that are gone and cannot be gone on with (bulk loads, blobs in one piece). Uploads
//   with an id of their client's stay, and go on from their durable end;
// - remove temporary files and unfinished stores (directory.ts), and what was discarded (file-blobs.ts).
//
// It is reported once: by the process that removed the presence of the one that is gone.
import { listPresences, stateOf } from "./presence.js";
import type { Presence } from "./presence.js";

/** What an opening did for processes that had not closed the database. */
export interface Recovery {
  /** Processes that ended without closing it: crashed, killed, or gone with their machine. */
  readonly unclosed: number;
  /** Staged files of theirs that were dropped: bulk loads and blobs that nobody can go on with. */
  readonly stagedDropped: number;
  /** Uploads that can be gone on with, those of living processes included. */
  readonly uploadsKept: number;
  /** Pages of the data file that were looked at, and are whole. */
  readonly pagesChecked: number;
}

/** Presences as they were before the store was opened: whoever lives among them holds a reader slot by now. */
export class Presences {
  readonly #found: readonly Presence[];

  static async look(uploads: string): Promise<Presences> {
    return new Presences(await listPresences(uploads));
  }

  private constructor(found: readonly Presence[]) {
    this.#found = found;
  }

  /** True where somebody may have ended without closing it. */
  get mayBeUnclosed(): boolean {
    return this.#found.some((presence) => stateOf(presence) === "dead" || stateOf(presence) === "unknown");
  }

  /** Names of those that are gone. `isAlone`: no other process has the store open. */
  gone(isAlone: boolean): string[] {
    const isGone = (presence: Presence): boolean => {
      const state = stateOf(presence);
      return state === "dead" || (state === "unknown" && isAlone);
    };
    return this.#found.filter(isGone).map(({ name }) => name);
  }
}
