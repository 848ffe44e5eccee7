// The log of every epoch, rebuilt from its leaves: they are there in order, their times do not decrease, the stored hashes of
// subtrees are those that the leaves give, and so is the root in the tail (docs/FORMATS.md §7, §8).
//
// One damaged leaf makes every hash above it differ, and so would be told many times. What is wrong is told where it is:
// - the root of the leaves is the tail's: the leaves are right, and each stored hash that differs is damaged;
// - else the lowest stored hash that differs is above the leaf that is damaged;
// - else, where no stored hash differs, it is the tail, or a leaf that no stored hash is above.
//
// Where a leaf is missing the tree goes on with the stored hash above it.
import { equalBytes, readU64be, u64be } from "../../core/bytes.js";
import { NeleusError } from "../../core/errors.js";
import type { Digest, MapRoot } from "../../core/hashes.js";
import { Frontier, decodeLogLeaf, encodeLogLeaf, logLeafHash } from "../../core/log/index.js";
import type { LogBeginning } from "../../core/log/index.js";
import type { LogRow, Store, SyncReader } from "../../store/contract.js";
import { LogRows } from "../log-rows.js";
import type { TailFields, TailPlace } from "../log-rows.js";
import type { Turns } from "../turns.js";
import type { FsckEvent } from "./finding.js";
import { REPAIR_RESTORE } from "./finding.js";
import type { FindingRegister } from "./register.js";

const HASH_BYTES = 32;
const REPAIR_HASHES =
  "the leaves are right, so readers can be served again once the row is as in a copy: restore a backup";

export interface LogCheckOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly register: FindingRegister;
  readonly turns: Turns;
}

/** One epoch's log. */
export interface EpochLog {
  readonly place: TailPlace;
  /** Leaves. */
  readonly size: number;
  /** What is held against them; undefined where that row is not to be had. */
  readonly tail: TailFields | undefined;
  /** What the tail is called where it is wrong. */
  readonly tailName: "tail" | "epoch";
  readonly tailKey: Uint8Array;
}

/** What a leaf says. */
interface LeafFields {
  readonly timeMs: number;
  readonly refsRoot: MapRoot;
  readonly first?: LogBeginning | undefined;
}

/** A stored hash that is not what the leaves give. */
interface Difference {
  readonly place: number;
  readonly level: number;
}

/** Checks one epoch. */
export class EpochCheck {
  readonly #options: LogCheckOptions;
  readonly #epoch: EpochLog;
  readonly #name: string;
  #frontier: Frontier | undefined = Frontier.empty();
  #index = 0;
  #timeMs = 0;
  #last: LeafFields | undefined;
  readonly #differences: Difference[] = [];
  /** Leaves that are earlier than one before them, as sentences by index. */
  readonly #backwards = new Map<number, string>();
  /** True once a leaf was told, whose consequences need not be. */
  #isTold = false;
  #isTailWrong = false;

  constructor(options: LogCheckOptions, epoch: EpochLog) {
    this.#options = options;
    this.#epoch = epoch;
    this.#name = `epoch ${epoch.place.epoch}`;
  }

  /** The refs of the newest leaf, as far as can be known. */
  get refsRoot(): MapRoot | undefined {
    const { tail } = this.#epoch;
    return this.#isTailWrong ? (this.#last?.refsRoot ?? tail?.refsRoot) : (tail?.refsRoot ?? this.#last?.refsRoot);
  }

  async *run(): AsyncGenerator<FsckEvent, void, undefined> {
    const { register, turns } = this.#options;
    const { place, size } = this.#epoch;
    try {
      for await (const row of this.#options.store.scanLog({ from: place.start, to: place.start + size })) {
        if (this.#index < row.index - place.start) this.#missing(row.index - place.start);
        this.#leaf(row);
        await turns.giveWay();
        yield* register.take();
      }
      if (this.#index < size && !this.#endsHere()) this.#missing(size);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#report({ kind: "unreadable", subject: "leaf", index: this.#index, message: error.message });
      return;
    }
    this.#judge();
    yield* register.take();
  }

  #leaf({ value }: LogRow): void {
    const index = this.#index;
    this.#options.register.looked(value.length);
    this.#last = undefined;
    try {
      const { time, refsRoot, first } = decodeLogLeaf(value, index);
      if (time < this.#timeMs) {
        this.#backwards.set(
          index,
          `leaf ${index} is of ${time}, and one before it of ${this.#timeMs}: times never decrease`,
        );
      }
      this.#timeMs = Math.max(this.#timeMs, time);
      this.#last = { timeMs: time, refsRoot, first };
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#report({ kind: "damaged", subject: "leaf", index, message: `leaf ${index}: ${error.message}` });
    }
    this.#append(logLeafHash(value));
  }

  #append(leafHash: Digest): void {
    const index = this.#index;
    this.#index += 1;
    if (this.#frontier === undefined) {
      this.#frontier = this.#resume();
      return;
    }
    const computed = this.#frontier.append(leafHash).slice(1);
    const stored = this.#stored(index, computed.length);
    for (const { level, hash } of stored === undefined ? [] : computed) {
      const at = (level - 1) * HASH_BYTES;
      if (!equalBytes(stored?.subarray(at, at + HASH_BYTES) ?? hash, hash)) {
        this.#differences.push({ place: index, level });
      }
    }
  }

  /** The hashes stored with a leaf, those above level 0; undefined where they are not there, which is told. */
  #stored(index: number, levels: number): Uint8Array | undefined {
    const { rows } = this.#options;
    const key = u64be(this.#epoch.place.start + index);
    const row = rows.get("tiles", key);
    if (row?.length === levels * HASH_BYTES) return row;
    // An earlier version kept the hash of each leaf first.
    if (row?.length === (levels + 1) * HASH_BYTES) return row.subarray(HASH_BYTES);
    if (levels === 0 && row === undefined) return undefined;
    this.#hashes(index, row === undefined ? "missing" : "damaged");
    return undefined;
  }

  /** Leaves up to an index are not there. */
  #missing(end: number): void {
    const index = this.#index;
    const which = end === index + 1 ? `leaf ${index} of the log is` : `leaves ${index} to ${end - 1} of the log are`;
    this.#report({ kind: "missing", subject: "leaf", index, message: `${which} missing` });
    this.#index = end;
    this.#last = undefined;
    this.#frontier = this.#resume();
  }

  /** True where the root in the tail is that of fewer leaves than it says. */
  #endsHere(): boolean {
    const { tail } = this.#epoch;
    return tail !== undefined && this.#frontier !== undefined && equalBytes(this.#frontier.root(), tail.logRoot);
  }

  /** The frontier as the stored hashes have it, where the leaf beside a missing one is behind; else later. */
  #resume(): Frontier | undefined {
    if (this.#index % 2 === 1) return undefined;
    try {
      return new LogRows(this.#options.rows, this.#epoch.place.start).frontierAt(this.#index);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      return undefined;
    }
  }

  /** Says which rows are wrong. */
  #judge(): void {
    const { tail } = this.#epoch;
    const root = this.#frontier?.root();
    const isRight = tail !== undefined && root !== undefined && equalBytes(root, tail.logRoot);
    if (isRight && !this.#isTold) {
      for (const [index, message] of this.#backwards) {
        this.#report({ kind: "malformed", subject: "leaf", index, message });
      }
      for (const index of new Set(this.#differences.map(({ place }) => place))) this.#hashes(index, "damaged");
      const isShort = this.#index < this.#epoch.size;
      this.#judgeTail(
        tail,
        isShort ? `it says ${this.#epoch.size} leaves, and has the root of ${this.#index}` : undefined,
      );
      return;
    }
    if (this.#isTold) return;
    const [lowest] = [...this.#differences].sort((a, b) => a.level - b.level || a.place - b.place);
    if (lowest !== undefined) {
      const first = lowest.place + 1 - 2 ** lowest.level;
      const message = `leaf ${first} or ${lowest.place} of the log is not what the hashes above it say`;
      this.#report({ kind: "damaged", subject: "leaf", index: first, message });
    } else if (tail !== undefined && this.#isLastWrong(tail)) {
      const index = this.#index - 1;
      const message = `leaf ${index}, the newest, is not what the tail of the log says`;
      this.#report({ kind: "damaged", subject: "leaf", index, message });
    } else if (tail !== undefined) {
      this.#judgeTail(tail, "the root of the log is not that of its leaves");
    }
  }

  /** True where the root in the tail is right with a last leaf as the tail says it. */
  #isLastWrong({ timeMs, refsRoot, logRoot }: TailFields): boolean {
    const index = this.#index - 1;
    const first = this.#last?.first;
    if (index < 0 || (index === 0 && first === undefined)) return false;
    try {
      const frontier = new LogRows(this.#options.rows, this.#epoch.place.start).frontierAt(index);
      frontier.append(
        logLeafHash(encodeLogLeaf({ version: 1, time: timeMs, refsRoot, ...(first && { first }) }, index)),
      );
      return equalBytes(frontier.root(), logRoot);
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      return false;
    }
  }

  /** Holds the tail against the last leaf. */
  #judgeTail({ timeMs, refsRoot }: TailFields, otherwise?: string): void {
    const last = this.#last;
    const isSame = last?.timeMs === timeMs && equalBytes(last.refsRoot, refsRoot);
    const message = isSame || last === undefined ? otherwise : "it does not say what the newest leaf says";
    if (message === undefined) return;
    const { tailName, tailKey } = this.#epoch;
    this.#isTailWrong = true;
    this.#options.register.report(
      {
        kind: "damaged",
        subject: tailName,
        place: { space: "meta", key: tailKey },
        message: `the tail of ${this.#name}: ${message}`,
        repair: REPAIR_RESTORE,
      },
      [{ name: this.#name }],
    );
  }

  #hashes(index: number, kind: "missing" | "damaged"): void {
    this.#options.register.report(
      {
        kind,
        subject: "log-hashes",
        place: { space: "tiles", key: u64be(this.#epoch.place.start + index) },
        message: `the hashes stored with leaf ${index} of the log are ${kind}`,
        repair: REPAIR_HASHES,
      },
      [{ name: this.#name }],
    );
  }

  #report(of: {
    readonly kind: "missing" | "damaged" | "malformed" | "unreadable";
    readonly subject: "leaf";
    readonly index: number;
    readonly message: string;
  }): void {
    const { kind, subject, index, message } = of;
    this.#isTold = true;
    const place = { space: "log", key: u64be(this.#epoch.place.start + index) } as const;
    this.#options.register.report({ kind, subject, place, message, repair: REPAIR_RESTORE }, [{ name: this.#name }]);
  }
}

/** Rows of the log and of its hashes that belong to no leaf. `end()` says where the newest log ends by now. */
export async function* checkStrayLogRows(
  { store, register, turns }: LogCheckOptions,
  from: number,
  end: () => number,
): AsyncGenerator<FsckEvent, void, undefined> {
  for await (const { index } of store.scanLog({ from })) {
    // What others append meanwhile is not of this check.
    if (index >= end()) stray(register, "log", u64be(index));
    await turns.giveWay();
  }
  for await (const key of store.iterate("tiles")) {
    const index = key.length === 8 && (key[0] ?? 0) === 0 ? readU64be(key) : Infinity;
    if (index >= from && index >= end()) stray(register, "tiles", key);
    await turns.giveWay();
  }
  yield* register.take();
}

function stray(register: FindingRegister, space: "log" | "tiles", key: Uint8Array): void {
  register.report({
    kind: "unexpected",
    subject: space === "log" ? "leaf" : "log-hashes",
    place: { space, key },
    message: "a row behind the end of the log",
    repair: "somebody wrote to the store beside the engine, or its tail was put back: " + REPAIR_RESTORE,
  });
}
