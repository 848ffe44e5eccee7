// Findings on their way out, and how far the check is.
//
// What was found in content waits here until it is known what it affects: a node or blob may be met from many roots. What
// waits is bounded: beyond MOST_HELD findings all go out with what is known of them by then, and are not told again.
import type { CheckedCount, FindingPlace, FsckEvent, FsckPhase } from "./finding.js";
import { MOST_AFFECTED_LISTED } from "./finding.js";
import type { Affected, Finding } from "./finding.js";
import { toHex } from "../../core/bytes.js";
import { NOTHING_TO_REPAIR } from "./finding.js";

const MOST_HELD = 10_000;
/** How often progress is told, in milliseconds. */
const PROGRESS_EVERY_MS = 200;

type FindingSoFar = Omit<Finding, "affects" | "affectedCount">;

interface HeldFinding {
  readonly finding: FindingSoFar;
  readonly affects: Affected[];
  affectedCount: number;
}

export class FindingRegister {
  readonly #held = new Map<string, HeldFinding>();
  /** Told already, before it was known that there would be so many. */
  readonly #told = new Set<string>();
  #out: FsckEvent[] = [];
  readonly #counts = new Map<CheckedCount["name"], CheckedCount>();
  readonly #leftOut = new Set<string>();
  #phase: FsckPhase = "log";
  #done = 0;
  #total: number | undefined;
  #toldMs = -Infinity;
  findings = 0;
  bytes = 0;

  begin(phase: FsckPhase, total?: number): void {
    this.#phase = phase;
    this.#done = 0;
    this.#total = total;
    this.#toldMs = -Infinity;
  }

  /** One more thing was looked at. */
  looked(bytes: number): void {
    this.#done += 1;
    this.bytes += bytes;
  }

  /** Something was found of which nothing more will be learned. */
  report(finding: FindingSoFar, affects: readonly Affected[] = []): void {
    const listed = affects.slice(0, MOST_AFFECTED_LISTED);
    this.findings += 1;
    this.#out.push({ kind: "finding", finding: { ...finding, affects: listed, affectedCount: affects.length } });
  }

  /** Something was found, and what it affects will be told by further calls. */
  hold(finding: FindingSoFar, affected?: Affected): void {
    const name = nameOf(finding.place);
    if (this.#told.has(name)) return;
    let held = this.#held.get(name);
    if (held === undefined) {
      if (this.#held.size >= MOST_HELD) this.release({ isWhole: false });
      held = { finding, affects: [], affectedCount: 0 };
      this.#held.set(name, held);
    }
    if (affected === undefined) return;
    held.affectedCount += 1;
    if (held.affects.length < MOST_AFFECTED_LISTED) held.affects.push(affected);
  }

  /** Notes that what was found before, if it was, affects something. @returns whether it was */
  affect(place: FindingPlace, affected: Affected): boolean {
    const name = nameOf(place);
    const held = this.#held.get(name);
    if (held !== undefined) this.hold(held.finding, affected);
    return held !== undefined || this.#told.has(name);
  }

  /** What seemed missing was taken away on record. */
  forgive(place: FindingPlace): void {
    const name = nameOf(place);
    if (this.#held.get(name)?.finding.kind === "missing") this.#held.delete(name);
  }

  /** Sends out what waits. `isWhole`: everything that could be affected was looked at. */
  release({ isWhole }: { readonly isWhole: boolean }): void {
    for (const [name, { finding, affects, affectedCount }] of this.#held) {
      const repair = affectedCount === 0 && isWhole ? NOTHING_TO_REPAIR : finding.repair;
      this.findings += 1;
      this.#out.push({ kind: "finding", finding: { ...finding, repair, affects, affectedCount } });
      this.#told.add(name);
    }
    this.#held.clear();
  }

  count(count: CheckedCount): void {
    this.#counts.set(count.name, count);
  }

  leaveOut(what: string): void {
    this.#leftOut.add(what);
  }

  get counts(): readonly CheckedCount[] {
    return [...this.#counts.values()];
  }

  get leftOut(): readonly string[] {
    return [...this.#leftOut];
  }

  /** What there is to tell by now. */
  *take(): Generator<FsckEvent, void, undefined> {
    const out = this.#out;
    this.#out = [];
    yield* out;
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < PROGRESS_EVERY_MS) return;
    this.#toldMs = nowMs;
    yield {
      kind: "progress",
      progress: { phase: this.#phase, done: this.#done, total: this.#total, bytes: this.bytes },
    };
  }
}

function nameOf(place: FindingPlace): string {
  if ("path" in place) return place.path;
  if ("largeBlob" in place) return `large/${toHex(place.largeBlob)}`;
  return `${place.space}/${toHex(place.key ?? new Uint8Array(0))}`;
}
