// Scans and diffs in pieces, as they go, with or without their witness.
//
// A piece is what became certain with the nodes read since the last one, and the reveals that make it so. A verifier that
// takes the pieces in order hands out the same entries at the same pace. Memory is a node a level and one piece.
import type { MapChange, MapPair } from "./diff.js";
import { diff } from "./diff.js";
import { Recorder } from "./recorder.js";
import type { Reveal } from "./reveal.js";
import { EntryRun, entriesOfRuns, scan } from "./scan.js";
import type { AsyncNodeSource, NodeSource } from "./source.js";
import { stepsAsync, stepsSync } from "./source.js";
import type { Entry, KeyRange, MapAt, Reader } from "./view.js";

/** A piece of a scan, with the part of the witness that makes it certain. */
export class ScanPart {
  readonly reveals: readonly Reveal[];
  readonly #runs: readonly EntryRun[];

  constructor(runs: readonly EntryRun[], reveals: readonly Reveal[]) {
    this.#runs = runs;
    this.reveals = reveals;
  }

  /** Made anew for each call. */
  entries(): Entry[] {
    return entriesOfRuns(this.#runs);
  }
}

/** A piece of a diff, with the parts of both witnesses that make it certain. */
export interface DiffPart {
  readonly changes: readonly MapChange[];
  readonly before: readonly Reveal[];
  readonly after: readonly Reveal[];
}

/** The entries of a range, in pieces. */
export function* scanSync(source: NodeSource, map: MapAt, range: KeyRange): Generator<readonly Entry[], void> {
  for (const { found } of piecesSync(source, scanProgress(map, range))) yield entriesOfRuns(found);
}

/** The same over a source that takes waiting for. */
export async function* scanAsync(
  source: AsyncNodeSource,
  map: MapAt,
  range: KeyRange,
): AsyncGenerator<readonly Entry[], void> {
  for await (const { found } of piecesAsync(source, scanProgress(map, range))) yield entriesOfRuns(found);
}

/** A scan with its witness. */
export function* proveScanSync(source: NodeSource, map: MapAt, range: KeyRange): Generator<ScanPart, void> {
  const progress = scanProgress(map, range, new Recorder());
  for (const { found, reveals } of piecesSync(source, progress)) yield new ScanPart(found, reveals);
}

/** The same over a source that takes waiting for. */
export async function* proveScanAsync(
  source: AsyncNodeSource,
  map: MapAt,
  range: KeyRange,
): AsyncGenerator<ScanPart, void> {
  const progress = scanProgress(map, range, new Recorder());
  for await (const { found, reveals } of piecesAsync(source, progress)) yield new ScanPart(found, reveals);
}

/** The changes between two maps, in pieces. */
export function* diffSync(source: NodeSource, pair: MapPair): Generator<readonly MapChange[], void> {
  for (const { found } of piecesSync(source, diffProgress(pair))) yield found;
}

/** A diff with both witnesses. */
export function* proveDiffSync(source: NodeSource, pair: MapPair): Generator<DiffPart, void> {
  for (const piece of piecesSync(source, diffProgress(pair, new Recorder()))) yield diffPart(piece);
}

/** The same over a source that takes waiting for. */
export async function* proveDiffAsync(source: AsyncNodeSource, pair: MapPair): AsyncGenerator<DiffPart, void> {
  for await (const piece of piecesAsync(source, diffProgress(pair, new Recorder()))) yield diffPart(piece);
}

function scanProgress(map: MapAt, range: KeyRange, recorder?: Recorder): Progress<EntryRun> {
  // Until a scan emits, nodes on its left edge may still be touched.
  return new Progress((onFound) => scan(map, range, (run) => onFound([run])), { recorder, isSettledFromStart: false });
}

function diffProgress(pair: MapPair, recorder?: Recorder): Progress<MapChange> {
  return new Progress((onFound) => diff(pair, onFound), { recorder, isSettledFromStart: true });
}

function diffPart({ found, reveals, revealsOfSecond }: Piece<MapChange>): DiffPart {
  return { changes: found, before: reveals, after: revealsOfSecond };
}

interface Piece<T> {
  readonly found: readonly T[];
  readonly reveals: readonly Reveal[];
  readonly revealsOfSecond: readonly Reveal[];
}

/** What an algorithm has found and touched since its last piece. */
class Progress<T> {
  readonly recorder: Recorder | undefined;
  readonly reader: Reader<void>;
  #found: T[] = [];
  #isSettled: boolean;

  constructor(
    start: (onFound: (found: readonly T[]) => void) => Reader<void>,
    options: { readonly recorder: Recorder | undefined; readonly isSettledFromStart: boolean },
  ) {
    this.recorder = options.recorder;
    this.#isSettled = options.isSettledFromStart;
    this.reader = start((found) => {
      this.#isSettled = true;
      this.#found.push(...found);
    });
  }

  /** The next piece, if there is anything in it and the nodes read so far will not be touched again. */
  *take(): Generator<Piece<T>, void> {
    if (!this.#isSettled) return;
    const found = this.#found;
    this.#found = [];
    const reveals = this.recorder?.takeReveals(0) ?? [];
    const revealsOfSecond = this.recorder?.takeReveals(1) ?? [];
    if (found.length + reveals.length + revealsOfSecond.length > 0) yield { found, reveals, revealsOfSecond };
  }
}

function* piecesSync<T>(source: NodeSource, progress: Progress<T>): Generator<Piece<T>, void> {
  const steps = stepsSync(progress.reader, source, progress.recorder);
  while (steps.next().done !== true) yield* progress.take();
  yield* progress.take();
}

async function* piecesAsync<T>(source: AsyncNodeSource, progress: Progress<T>): AsyncGenerator<Piece<T>, void> {
  const steps = stepsAsync(progress.reader, source, progress.recorder);
  while ((await steps.next()).done !== true) yield* progress.take();
  yield* progress.take();
}
