// The small rows that are no content: who the database is, how its epochs ended, what witnesses signed, leases, requests.
import { toHex, utf8 } from "../../core/bytes.js";
import { NeleusError } from "../../core/errors.js";
import { get, readSync } from "../../core/map/index.js";
import { LOG_KEYS_KEY } from "../../core/object/index.js";
import type { Store, SyncReader } from "../../store/contract.js";
import { CheckpointSigner } from "../checkpoint-signer.js";
import { Cosignatures } from "../cosignatures.js";
import { findEndedEpoch } from "../epoch-record.js";
import { readIdentity } from "../identity.js";
import { decodeLease } from "../leases.js";
import { TAIL_KEY, decodeTail } from "../log-rows.js";
import { fromStore } from "../boundary.js";
import { checkRequestRow } from "../requests.js";
import { RollbackAlarm } from "../rollback-alarm.js";
import type { Turns } from "../turns.js";
import type { FindingKind, FindingSubject, FsckEvent } from "./finding.js";
import { REPAIR_RESTORE } from "./finding.js";
import type { EpochLog } from "./log-check.js";
import type { FindingRegister } from "./register.js";
import { rowKeys } from "./row-keys.js";

export interface RecordCheckOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly register: FindingRegister;
  readonly turns: Turns;
}

/** What the identity says, where it can be read. */
export interface KnownIdentity {
  readonly epoch: number;
  readonly isAnnouncing: boolean;
  /** Keys that the refs must list. */
  readonly verifierKeys: readonly string[];
}

/** Epochs that have ended, in order of place, and how many of whom the record cannot be read. */
export interface EndedEpochs {
  readonly epochs: readonly EpochLog[];
  readonly damaged: number;
}

const EPOCH_PREFIX = "epoch/";

export class RecordCheck {
  readonly #options: RecordCheckOptions;

  constructor(options: RecordCheckOptions) {
    this.#options = options;
  }

  /** Undefined where the rows are not there or not right, which is told. */
  identity(): KnownIdentity | undefined {
    return this.#row({ subject: "identity", name: "identity" }, (rows) => {
      const identity = readIdentity(rows);
      const signer = new CheckpointSigner(identity);
      const next = signer.nextVerifierKey;
      return {
        epoch: identity.epoch,
        isAnnouncing: next !== undefined,
        verifierKeys: next === undefined ? [signer.verifierKey] : [signer.verifierKey, next],
      };
    });
  }

  /** The log that goes on, or undefined where its tail is not there or not right, which is told. */
  tail(): EpochLog | undefined {
    return this.#row({ subject: "tail", name: "tail" }, (rows) => {
      const row = rows.get("meta", TAIL_KEY);
      if (row === undefined) {
        this.#report({ kind: "missing", subject: "tail", name: "tail" }, "the tail of the log is missing");
        return undefined;
      }
      const { place, ...tail } = fromStore("the tail of the log", () => decodeTail(row));
      return { place, size: tail.size, tail, tailName: "tail", tailKey: TAIL_KEY };
    });
  }

  async endedEpochs(): Promise<EndedEpochs> {
    const epochs: EpochLog[] = [];
    let damaged = 0;
    for await (const key of rowKeys(this.#options, "meta")) {
      const name = Buffer.from(key).toString();
      const number = Number(name.slice(EPOCH_PREFIX.length));
      if (!name.startsWith(EPOCH_PREFIX) || !Number.isSafeInteger(number)) continue;
      const ended = this.#row({ subject: "epoch", name }, (rows) => findEndedEpoch(rows, number));
      if (ended === undefined) {
        damaged += 1;
        continue;
      }
      const { tail, refs, nodes } = ended;
      const isRight = this.#row({ subject: "epoch", name }, () => {
        readSync(get(refs, LOG_KEYS_KEY), nodes);
        return true;
      });
      // One that is told to be damaged is held against nothing.
      const known = isRight === undefined ? undefined : tail;
      epochs.push({ place: tail.epoch.place, size: tail.size, tail: known, tailName: "epoch", tailKey: key });
    }
    return { epochs: epochs.sort((a, b) => a.place.start - b.place.start), damaged };
  }

  /** Rows that expire, and those that are looked at now and then. */
  async *others(): AsyncGenerator<FsckEvent, void, undefined> {
    const { store, register, turns } = this.#options;
    this.#row({ subject: "cosignatures", name: "cosignatures" }, (rows) => new Cosignatures({ store, rows }).list());
    this.#row({ subject: "alarm", name: "rolled-back" }, (rows) => new RollbackAlarm(rows).find());
    for (const space of ["leases", "requests"] as const) {
      let checked = 0;
      for await (const key of rowKeys(this.#options, space)) {
        checked += 1;
        this.#expiring(space, key);
        await turns.giveWay();
        yield* register.take();
      }
      register.count({ name: space, checked, total: checked, unreachable: undefined });
    }
  }

  #expiring(space: "leases" | "requests", key: Uint8Array): void {
    const { rows, register } = this.#options;
    const subject = space === "leases" ? "lease" : "request";
    const place = { space, key };
    const repair = "it counts for nothing and goes by itself within a day";
    try {
      const row = rows.get(space, key);
      if (row === undefined) return;
      register.looked(row.length);
      if (space === "requests") checkRequestRow(key, row);
      else if (decodeLease(row) === undefined) {
        register.report({ kind: "damaged", subject, place, message: `the lease ${toHex(key)} is none`, repair });
      }
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      register.report({ kind: "damaged", subject, place, message: error.message, repair });
    }
  }

  /** Reads a row; what is wrong with it is told. */
  #row<T>(
    row: { readonly subject: FindingSubject; readonly name: string },
    read: (rows: SyncReader) => T,
  ): T | undefined {
    try {
      return read(this.#options.rows);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      const name = error.facts["row"] ?? row.name;
      const subject = name === "signing-key" || name === "next-signing-key" ? "signing-key" : row.subject;
      const isMissing = error.facts["kind"] === "meta" && !this.#has(name);
      this.#report({ kind: isMissing ? "missing" : "damaged", subject, name }, error.message);
      return undefined;
    }
  }

  #has(name: string): boolean {
    return this.#options.rows.has("meta", utf8(name));
  }

  #report(
    row: { readonly kind: FindingKind; readonly subject: FindingSubject; readonly name: string },
    message: string,
  ): void {
    const { kind, subject, name } = row;
    const place = { space: "meta", key: utf8(name) } as const;
    this.#options.register.report({ kind, subject, place, message, repair: REPAIR_RESTORE });
  }
}
