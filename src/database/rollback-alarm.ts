// What a database does when it learns that its log lost leaves (FORMATS §7): a client shows it a checkpoint that it signed
// itself, of a log that it does not have. A directory was restored from a copy, or two copies of it are served.
//
//   meta  rolled-back   dag_cbor([1, the note that was shown, our newest note at that time, time])
//
// From then on nothing is signed, in any process and after any restart: no write that moves a ref is taken, no snapshot
// given. Going on would fork the log, which every client would have to take for a lie. The way out is the operator's: a new
// epoch, which says what happened and clears the row.
import { utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { Malformed, RolledBack } from "../core/errors.js";
import type { Row, RowName, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";

/** The row, to be deleted with a new epoch. */
export const ALARM: RowName = { space: "meta", key: utf8("rolled-back") };
const VERSION = 1;

/** Two notes of one key that cannot both be of the log that there is. */
export interface LostLeaves {
  /** What was shown. */
  readonly shown: string;
  /** Our newest at that time. */
  readonly own: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

export function alarmRow({ shown, own, atMs }: LostLeaves): Row {
  return { ...ALARM, value: encode([VERSION, shown, own, atMs]) };
}

export class RollbackAlarm {
  readonly #rows: SyncReader;

  constructor(rows: SyncReader) {
    this.#rows = rows;
  }

  /** What is known of leaves that were lost; undefined: nothing. @throws Corrupt */
  find(): LostLeaves | undefined {
    const row = this.#rows.get(ALARM.space, ALARM.key);
    if (row === undefined) return undefined;
    return fromStore('the row "rolled-back"', () => {
      const parts = decode(row);
      if (!Array.isArray(parts) || parts.length !== 4) throw new Malformed("not a list of four");
      const [version, shown, own, atMs] = parts as unknown[];
      if (version !== VERSION) throw new Malformed("unknown version");
      if (typeof shown !== "string" || typeof own !== "string" || typeof atMs !== "number") {
        throw new Malformed("not [1, note, note, time]");
      }
      return { shown, own, atMs };
    });
  }

  /** @throws RolledBack - leaves were lost; `facts.shown` and `facts.own` are the notes, in base 64 */
  requireSilent(): void {
    if (!this.#rows.has(ALARM.space, ALARM.key)) return;
    const lost = this.find();
    if (lost !== undefined) throw rolledBack(lost);
  }
}

/** A note has line ends, which an error's facts may lose on their way. */
function inLine(note: string): string {
  return Buffer.from(note).toString("base64");
}

/** The error for whoever asks for what is no longer signed. */
export function rolledBack({ shown, own, atMs }: LostLeaves): RolledBack {
  const hint = "its operator decides: neleus db new-epoch --reason restored (docs/OPERATIONS.md)";
  return new RolledBack(
    "this database was rolled back: a client has shown a checkpoint of its key that its log does not lead to; nothing is signed",
    {
      hint,
      facts: { kind: "rolled-back", shown: inLine(shown), own: inLine(own), at: String(atMs) },
      evidence: { shown, own },
    },
  );
}
