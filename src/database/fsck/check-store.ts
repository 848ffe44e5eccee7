// Checks a whole database, below its engine, while others read and write it (docs/OPERATIONS.md, "Checking a database").
//
//   records   identity, keys, tail, epochs, leases, requests
//   log       every leaf, every stored hash, every root                        ──► the refs that are checked
//   blobs     every small blob, then every large one with its outboard
//   maps      refs ──► heads, tags, staged states ──► commits ──► states, ledgers ──► manifests, documents
//   nodes     map nodes that were not reached; then commits and manifests likewise
//
// It is of one snapshot: the tail as it is in the beginning. A lease on everything keeps all that this tail reaches, in every
// process, and what is written meanwhile is not looked at, or only by itself. One row that cannot be read ends nothing.
//
// Cost: everything is read once, and once more each inner node that a commit has of its own. Memory: some 40 bytes a node and
// 30 a blob, whatever they hold; a node a level; a few MiB. A content hash is remembered by 8 keyed bytes (digest-set.ts): of
// ten million nodes two are mistaken for one with a chance of three in a million, and then one of them is not looked at.
import { randomBytes } from "node:crypto";
import { utf8 } from "../../core/bytes.js";
import { NeleusError, Unsupported } from "../../core/errors.js";
import type { Digest } from "../../core/hashes.js";
import type { FileFault, Store, StoreUsage, SyncReader } from "../../store/index.js";
import { DigestSet } from "../digest-set.js";
import { Leases } from "../leases.js";
import type { Lease } from "../view-contract.js";
import { TAIL_KEY, decodeTail } from "../log-rows.js";
import { Turns } from "../turns.js";
import { FREEING_LIMITS } from "../followed-nodes.js";
import { CheckedNodes } from "./checked-nodes.js";
import { ContentCheck } from "./content-check.js";
import type { FindingKind, FindingSubject, FsckEvent, FsckOptions } from "./finding.js";
import { REPAIR_RESTORE } from "./finding.js";
import { HistoryCheck } from "./history-check.js";
import { EpochCheck, checkStrayLogRows } from "./log-check.js";
import type { EpochLog } from "./log-check.js";
import { CheckedObjects } from "./object-check.js";
import { RecordCheck } from "./record-check.js";
import type { EndedEpochs, KnownIdentity } from "./record-check.js";
import { FindingRegister } from "./register.js";
import { rowKeys } from "./row-keys.js";
import { Sampler } from "./sampler.js";

export interface StoreToCheck {
  readonly store: Store;
  readonly clock: () => number;
  /** What is wrong with files that the store does not show. */
  readonly files?: AsyncIterable<FileFault> | undefined;
}

/** The last event is the summary. @throws Unsupported - a store that is not read without waiting */
export async function* checkStore(
  { store, clock, files }: StoreToCheck,
  options: FsckOptions = {},
): AsyncGenerator<FsckEvent, void, undefined> {
  const rows = store.sync;
  if (rows === undefined) throw new Unsupported("this version checks only stores that are read without waiting");
  const leases = new Leases({ store, clock, graceMs: FREEING_LIMITS.afterMs, id: randomBytes(16) });
  const check = new StoreCheck({ store, rows, options });
  const lease = await check.hold(leases);
  try {
    yield* check.run(files);
  } finally {
    lease?.release();
    await leases.close();
  }
}

class StoreCheck {
  readonly #store: Store;
  readonly #rows: SyncReader;
  readonly #register = new FindingRegister();
  readonly #turns: Turns;
  readonly #sampler: Sampler;
  readonly #records: RecordCheck;
  readonly #reached: DigestSet;
  readonly #nodes: CheckedNodes;
  readonly #objects: CheckedObjects;
  readonly #content: ContentCheck;
  readonly #key = randomBytes(16);
  readonly #newSet = (): DigestSet => new DigestSet(this.#key);
  #logSize = 0;
  #refsRoot: Digest | undefined;

  constructor(of: { readonly store: Store; readonly rows: SyncReader; readonly options: FsckOptions }) {
    const { store, rows, options } = of;
    const register = this.#register;
    this.#store = store;
    this.#rows = rows;
    this.#turns = new Turns(options.signal);
    this.#sampler = new Sampler(options.sample, Math.random);
    const [turns, sampler, newSet] = [this.#turns, this.#sampler, this.#newSet];
    this.#records = new RecordCheck({ store, rows, register, turns });
    this.#reached = newSet();
    this.#nodes = new CheckedNodes({ rows, register, reached: this.#reached });
    this.#objects = new CheckedObjects({ rows, register, newSet });
    this.#content = new ContentCheck({ store, rows, register, turns, sampler, newSet });
  }

  /** Where the lease cannot be written, the check goes on without one. */
  async hold(leases: Leases): Promise<Lease | undefined> {
    try {
      return await leases.takeAll();
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#register.leaveOut(`no lease could be written (${error.message}): what others free meanwhile looks missing`);
      return undefined;
    }
  }

  async *run(files: AsyncIterable<FileFault> | undefined): AsyncGenerator<FsckEvent, void, undefined> {
    const register = this.#register;
    const usage = await this.#usage();
    register.begin("records");
    const identity = this.#records.identity();
    const tail = this.#records.tail();
    const ended = await this.#records.endedEpochs();
    yield* this.#records.others();
    for await (const fault of files ?? []) this.#file(fault);
    yield* register.take();
    register.begin("log", usage?.rows.log);
    yield* this.#logs({ identity, tail, ended });
    yield* this.#content.rows(usage?.rows.blobs ?? 0);
    yield* this.#content.files(usage?.largeBlobs ?? 0);
    yield* this.#maps(identity);
    yield* this.#unreached(usage);
    register.release({ isWhole: this.#sampler.isWhole });
    yield* register.take();
    yield this.#summary();
  }

  async *#logs(of: {
    readonly identity: KnownIdentity | undefined;
    readonly tail: EpochLog | undefined;
    readonly ended: EndedEpochs;
  }): AsyncGenerator<FsckEvent, void, undefined> {
    const { tail } = of;
    const { live, epochs } = await this.#chain(of);
    const context = { store: this.#store, rows: this.#rows, register: this.#register, turns: this.#turns };
    const before = this.#register.findings;
    this.#refsRoot = live.tail?.refsRoot;
    let checked = 0;
    for (const epoch of epochs) {
      if (!this.#sampler.isWhole) break;
      const check = new EpochCheck(context, epoch);
      yield* check.run();
      // A leaf that the root covers says more than a tail that may be damaged.
      if (epoch === live) this.#refsRoot = check.refsRoot;
      checked += epoch.size;
    }
    if (!this.#sampler.isWhole) {
      this.#register.leaveOut("the log: only its tail was held against what it names");
    } else if (tail !== undefined && this.#register.findings === before) {
      yield* checkStrayLogRows(context, live.place.start + live.size, () => this.#end());
    }
    this.#register.count({ name: "log", checked, total: live.place.start + live.size, unreachable: undefined });
    this.#logSize = live.size;
  }

  /** The logs of all epochs, each of which begins where the one before ended. */
  async #chain(of: {
    readonly identity: KnownIdentity | undefined;
    readonly tail: EpochLog | undefined;
    readonly ended: EndedEpochs;
  }): Promise<{ readonly live: EpochLog; readonly epochs: readonly EpochLog[] }> {
    const { identity, tail, ended } = of;
    const epochs: EpochLog[] = [];
    for (const epoch of ended.epochs) this.#link(epochs, epoch, ended);
    const isOther = tail !== undefined && identity !== undefined && !isOf(tail, identity);
    if (isOther) this.#badTail(`it is of epoch ${tail.place.epoch}, and the identity of epoch ${identity.epoch}`);
    const before = epochs.at(-1);
    const epoch = identity?.epoch ?? tail?.place.epoch ?? 1;
    const isNext = before === undefined ? epoch === 1 : epoch === before.place.epoch + 1;
    if (tail !== undefined && isNext && ended.damaged === 0 && tail.place.start !== endOf(before)) {
      if (!isOther)
        this.#badTail(`it begins at place ${tail.place.start}, and what is before it ends at ${endOf(before)}`);
    } else if (tail !== undefined) {
      this.#link(epochs, tail, ended);
      return { live: tail, epochs };
    }
    const live = await this.#liveWithoutTail(endOf(before), epoch);
    return { live, epochs: [...epochs, live] };
  }

  /** Puts an epoch behind others. Leaves of one in between, of which there is no record, are looked at nevertheless. */
  #link(epochs: EpochLog[], epoch: EpochLog, { damaged }: EndedEpochs): void {
    const { place, tailName, tailKey } = epoch;
    const end = endOf(epochs.at(-1));
    if (place.start > end) {
      const lost = place.epoch - 1;
      const key = utf8(`epoch/${lost}`);
      const between = { epoch: lost, start: end, isAnnouncing: false };
      epochs.push({ place: between, size: place.start - end, tail: undefined, tailName: "epoch", tailKey: key });
      if (damaged === 0) {
        this.#report("missing", "epoch", key, `the record of the epoch before epoch ${place.epoch} is missing`);
      }
    } else if (place.start < end) {
      this.#report("damaged", tailName, tailKey, `epoch ${place.epoch} begins where another one still goes on`);
    }
    epochs.push(epoch);
  }

  #badTail(message: string): void {
    this.#report("damaged", "tail", TAIL_KEY, `the tail of the log: ${message}`);
  }

  #report(kind: FindingKind, subject: FindingSubject, key: Uint8Array, message: string): void {
    this.#register.report({ kind, subject, place: { space: "meta", key }, message, repair: REPAIR_RESTORE });
  }

  /** Where the log ends by what its rows are. */
  async #liveWithoutTail(start: number, epoch: number): Promise<EpochLog> {
    let end = start;
    for await (const { index } of this.#store.scanLog({ from: start })) {
      if (index !== end) break;
      end += 1;
      await this.#turns.giveWay();
    }
    const place = { epoch, start, isAnnouncing: false };
    return { place, size: end - start, tail: undefined, tailName: "tail", tailKey: TAIL_KEY };
  }

  async *#maps(identity: KnownIdentity | undefined): AsyncGenerator<FsckEvent, void, undefined> {
    const register = this.#register;
    register.begin("maps");
    if (this.#refsRoot === undefined) {
      register.leaveOut("refs and all below them: no leaf says which they are");
      return;
    }
    const history = new HistoryCheck({
      register,
      turns: this.#turns,
      nodes: this.#nodes,
      objects: this.#objects,
      content: this.#content,
      newSet: this.#newSet,
      verifierKeys: identity?.verifierKeys ?? [],
    });
    yield* history.refs(this.#refsRoot);
    if (this.#sampler.isWhole) yield* history.below();
    else {
      yield* history.tops();
      register.leaveOut("whether all that is named is there, and whether maps are those of their content");
    }
  }

  /** Rows that no ref led to; in a sample, some of all. */
  async *#unreached(usage: StoreUsage | undefined): AsyncGenerator<FsckEvent, void, undefined> {
    const { isWhole } = this.#sampler;
    const register = this.#register;
    const node = (key: Uint8Array): boolean => {
      if (this.#reached.has(key)) return false;
      this.#nodes.checkUnreached(key);
      return true;
    };
    yield* this.#rest("nodes", usage, node);
    yield* this.#rest("objects", usage, (key) => this.#objects.checkUnreached(key));
    if (isWhole) this.#content.countUnreachable();
    else register.leaveOut("rows and blobs that were not picked for the sample");
  }

  async *#rest(
    space: "nodes" | "objects",
    usage: StoreUsage | undefined,
    check: (key: Uint8Array) => boolean,
  ): AsyncGenerator<FsckEvent, void, undefined> {
    const register = this.#register;
    const estimate = usage?.rows[space] ?? 0;
    register.begin(space, estimate);
    const sample = this.#sampler.of(estimate);
    let unreachable = 0;
    let checked = 0;
    let total = 0;
    for await (const key of rowKeys({ store: this.#store, register }, space)) {
      total += 1;
      if (sample.isPicked()) {
        checked += 1;
        if (check(key)) unreachable += 1;
      }
      await this.#turns.giveWay();
      yield* register.take();
    }
    register.count({ name: space, checked, total, unreachable: this.#sampler.isWhole ? unreachable : undefined });
  }

  #file({ path, kind, message }: FileFault): void {
    if (kind === "sealed") {
      this.#register.leaveOut(message);
      return;
    }
    const repair =
      kind === "stray"
        ? "see what it is, and remove it"
        : kind === "damaged"
          ? "remove the folder of that upload, which then begins anew"
          : "see to the file system, then check again";
    const found = kind === "stray" ? "unexpected" : kind === "blocking" ? "damaged" : kind;
    const subject = kind === "damaged" ? "upload" : "file";
    this.#register.report({ kind: found, subject, place: { path }, message, repair });
  }

  /** Place behind the newest leaf by now. */
  #end(): number {
    const row = this.#rows.get("meta", TAIL_KEY);
    if (row === undefined) return Infinity;
    const { place, size } = decodeTail(row);
    return place.start + size;
  }

  async #usage(): Promise<StoreUsage | undefined> {
    try {
      return await this.#store.usage();
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      return undefined;
    }
  }

  #summary(): FsckEvent {
    const { findings, counts, bytes, leftOut } = this.#register;
    const summary = { findings, counts, bytes, logSize: this.#logSize, refsRoot: this.#refsRoot, leftOut };
    return { kind: "summary", summary };
  }
}

function isOf({ place }: EpochLog, { epoch, isAnnouncing }: KnownIdentity): boolean {
  return place.epoch === epoch && place.isAnnouncing === isAnnouncing;
}

/** Place behind an epoch's last leaf. */
function endOf(epoch: EpochLog | undefined): number {
  return epoch === undefined ? 0 : epoch.place.start + epoch.size;
}
