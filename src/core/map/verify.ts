// Reading over a witness instead of a store (FORMATS §4): the same algorithms, fed with reveals as they arrive.
//
// Reveals are taken strictly in order, each as the node that the algorithm asks for next: one left over is a failure, one
// missing means that the proof is incomplete. Memory is one node a level and the batch being hashed. A batch is small, so
// that a message is refused at its first wrong node, whatever its size.
import { IncompleteProof, VerificationFailed } from "../errors.js";
import type { MapChange, MapPair } from "./diff.js";
import { diff } from "./diff.js";
import type { KeyAnswer } from "./get-many.js";
import { getMany } from "./get-many.js";
import type { PartialNode } from "./partial-node.js";
import { openReveals, refusal } from "./partial-node.js";
import type { Reveal } from "./reveal.js";
import { entriesOfRuns, scan, type EntryRun } from "./scan.js";
import type { Entry, KeyRange, MapAt, Reader, Want } from "./view.js";
import { faultAgainst } from "./want.js";

/** Reveals and shown entries whose hashes are computed together, at most (one reveal may have more entries by itself). */
const BATCH_REVEALS = 32;
const BATCH_ENTRIES = 256;

/**
 * Runs one algorithm over a witness that arrives in pieces. After a failure it stays failed: every call throws it again.
 */
export class WitnessReader<T> {
  readonly #reader: Reader<T>;
  #step: IteratorResult<Want, T>;
  /** Nodes that have arrived and are not yet wanted, of either side; only a read of two maps leaves any. */
  readonly #waiting: [PartialNode[], PartialNode[]] = [[], []];
  #failure: { readonly error: unknown } | undefined;

  constructor(reader: Reader<T>) {
    this.#reader = reader;
    this.#step = reader.next();
  }

  /** True once the algorithm has all it needs. */
  get isComplete(): boolean {
    return this.#step.done === true;
  }

  /** The side of the node that is read next; 0 once the algorithm has all it needs. */
  get wantedSide(): 0 | 1 {
    return this.#step.done === true ? 0 : this.#step.value.side;
  }

  /** A node that has arrived and is not yet wanted, because one of the other side comes first. */
  get waiting(): Reveal | undefined {
    return (this.#waiting[0][0] ?? this.#waiting[1][0])?.reveal;
  }

  /**
   * Takes the next reveals, of the first map or (`side` 1) of the second of two read side by side.
   * @throws VerificationFailed - a reveal breaks a rule, is not the node that comes next, or is not needed
   * @throws IncompleteProof - a node does not show an entry that the algorithm needs
   */
  push(reveals: readonly Reveal[], side: 0 | 1 = 0): void {
    this.#guarded(() => {
      for (let first = 0; first < reveals.length;) {
        const end = endOfBatch(reveals, first);
        const isAll = first === 0 && end === reveals.length;
        this.#waiting[side].push(...openReveals(isAll ? reveals : reveals.slice(first, end)));
        this.#advance();
        first = end;
      }
    });
  }

  /**
   * The answer, once the witness has ended.
   * @throws IncompleteProof - it ended before the algorithm had all it needs
   */
  finish(): T {
    return this.#guarded(() => {
      if (this.#step.done !== true) {
        const { level } = this.#step.value;
        throw new IncompleteProof(
          `the proof ends before ${level === undefined ? "the root" : `a node of level ${level}`} that it must show`,
        );
      }
      this.#refuseUnused();
      return this.#step.value;
    });
  }

  #advance(): void {
    while (this.#step.done !== true) {
      const want = this.#step.value;
      const node = this.#waiting[want.side].shift();
      if (node === undefined) return;
      const fault = faultAgainst(node, want);
      if (fault !== undefined) throw refusal(fault, node.reveal);
      this.#step = this.#reader.next(node);
    }
    this.#refuseUnused();
  }

  #refuseUnused(): void {
    const unused = this.#waiting[0][0] ?? this.#waiting[1][0];
    if (unused !== undefined) {
      throw new VerificationFailed("the proof holds a node that the read does not need", { evidence: unused.reveal });
    }
  }

  #guarded<R>(action: () => R): R {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      return action();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}

function endOfBatch(reveals: readonly Reveal[], first: number): number {
  let entries = 0;
  let end = first;
  while (end < reveals.length && end - first < BATCH_REVEALS && entries < BATCH_ENTRIES) {
    entries += reveals[end]?.entries.length ?? 0;
    end += 1;
  }
  return end;
}

function* batchesOf(reveals: Iterable<Reveal>): Generator<Reveal[], void> {
  let batch: Reveal[] = [];
  for (const reveal of reveals) {
    batch.push(reveal);
    if (batch.length < BATCH_REVEALS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/**
 * The answer of an algorithm over a whole witness: `verifyWitness(get({ kind, root }, key), reveals)`.
 * @throws VerificationFailed - as `WitnessReader.push`
 * @throws IncompleteProof - as `WitnessReader`
 */
export function verifyWitness<T>(reader: Reader<T>, reveals: readonly Reveal[]): T {
  const witness = new WitnessReader(reader);
  witness.push(reveals);
  return witness.finish();
}

/** Checks a scan as it arrives. What it hands out is certain, in order and without gaps, from `from` on. */
export class ScanVerifier {
  readonly #witness: WitnessReader<void>;
  #runs: EntryRun[] = [];

  /** @throws Malformed - a bad range */
  constructor(map: MapAt, range: KeyRange) {
    this.#witness = new WitnessReader(scan(map, range, (run) => this.#runs.push(run)));
  }

  /** True once the end of the range has been shown. */
  get isComplete(): boolean {
    return this.#witness.isComplete;
  }

  /**
   * Takes the next reveals and returns the entries that they make certain; the caller's to keep.
   * @throws VerificationFailed, IncompleteProof - as `WitnessReader.push`
   */
  push(reveals: readonly Reveal[]): Entry[] {
    return entriesOfRuns(this.pushRuns(reveals));
  }

  /** The same, with the entries still in their leaves: for who wants them only once all is proved. */
  pushRuns(reveals: readonly Reveal[]): EntryRun[] {
    this.#witness.push(reveals);
    const runs = this.#runs;
    this.#runs = [];
    return runs;
  }

  /** @throws IncompleteProof - the stream ended before the end of the range was shown */
  finish(): void {
    this.#witness.finish();
  }
}

/** Checks the answers for several keys as they arrive. */
export class GetManyVerifier {
  readonly #witness: WitnessReader<void>;
  #answers: KeyAnswer[] = [];

  /** @throws Malformed - keys not strictly ascending, or not of 1 … 1,024 bytes */
  constructor(map: MapAt, keys: readonly Uint8Array[]) {
    this.#witness = new WitnessReader(getMany(map, keys, (answer) => this.#answers.push(answer)));
  }

  /** True once every key has been answered. */
  get isComplete(): boolean {
    return this.#witness.isComplete;
  }

  /**
   * Takes the next reveals and returns the answers that they make certain, in the order of the keys.
   * @throws VerificationFailed, IncompleteProof - as `WitnessReader.push`
   */
  push(reveals: readonly Reveal[]): KeyAnswer[] {
    this.#witness.push(reveals);
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  /** @throws IncompleteProof - the stream ended before every key was answered */
  finish(): void {
    this.#witness.finish();
  }
}

/** Reveals of both maps of a diff, as they arrive together. */
export interface DiffPiece {
  readonly before: Iterable<Reveal>;
  readonly after: Iterable<Reveal>;
}

/** Checks a diff as it arrives. What it hands out is certain, in order and without gaps. */
export class DiffVerifier {
  readonly #witness: WitnessReader<void>;
  #changes: MapChange[] = [];

  constructor(pair: MapPair) {
    this.#witness = new WitnessReader(diff(pair, (changes) => this.#changes.push(...changes)));
  }

  /** True once both maps have been compared to the end. */
  get isComplete(): boolean {
    return this.#witness.isComplete;
  }

  /**
   * Takes the next reveals of both maps and returns the changes that they make certain; the caller's to keep. A piece is
   * whole: reveals that would have to wait for the next one are refused, so that none pile up.
   * @throws VerificationFailed, IncompleteProof - as `WitnessReader.push`
   */
  push(piece: DiffPiece): MapChange[] {
    return [...this.steps(piece)].flat();
  }

  /**
   * The same in steps, each a few nodes and the changes that they make certain: nothing is looked at behind what is
   * refused. To be iterated to its end.
   * @throws VerificationFailed, IncompleteProof - as `push`
   */
  *steps(piece: DiffPiece): Generator<MapChange[], void> {
    const sides = [batchesOf(piece.before), batchesOf(piece.after)] as const;
    for (;;) {
      const { wantedSide } = this.#witness;
      const wanted = sides[wantedSide].next();
      if (wanted.done !== true) this.#witness.push(wanted.value, wantedSide);
      else {
        const otherSide = wantedSide === 0 ? 1 : 0;
        const other = sides[otherSide].next();
        if (other.done === true) break;
        // Where the comparison goes on it needs the side that has none left, so this one would have to wait.
        this.#witness.push(other.value, otherSide);
        this.#refuseWaiting();
      }
      const changes = this.#changes;
      this.#changes = [];
      yield changes;
    }
    this.#refuseWaiting();
  }

  #refuseWaiting(): void {
    const { waiting } = this.#witness;
    if (waiting === undefined) return;
    throw new VerificationFailed("the proof of a difference holds a node before it is needed", { evidence: waiting });
  }

  /** @throws IncompleteProof - the stream ended before both maps were compared to the end */
  finish(): void {
    this.#witness.finish();
  }
}
