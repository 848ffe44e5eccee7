// The witness of a range of a map, cut into messages as the scan goes: state, chunk lists and range proofs alike.
//
// The scan runs no further than the reader has taken, so memory is one leaf and one message whatever the range.
import { compareBytes } from "../core/bytes.js";
import {
  proveScanSync,
  scanSync,
  selectKey,
  readSync,
  type Entry,
  type KeyRange,
  type MapAt,
  type NodeSource,
} from "../core/map/index.js";
import type { StreamMemory } from "../database/index.js";
import type { Pace } from "./pace.js";
import { boundField, invalid } from "./request.js";
import { RevealMessage, type InlineValueInit, type NodeRevealInit } from "./reveal-message.js";

/** The fields `from` and `to` of a request. @throws InvalidArgument - too long, or from is not below to */
export function rangeField(request: { readonly from: Uint8Array; readonly to?: Uint8Array | undefined }): KeyRange {
  const from = boundField(request.from, "from");
  if (request.to === undefined) return { from };
  const to = boundField(request.to, "to");
  if (compareBytes(from, to) >= 0) throw invalid("to", "is not above from, so the range is empty");
  return { from, to };
}

/** A range cut to a number of entries, or of bytes: what the answer proves, and where the next page starts. */
export interface Page {
  readonly range: KeyRange;
  /** Absent where the answer proves the whole range. */
  readonly next: Uint8Array | undefined;
}

/** Fixes the end of a page before anything of it is read. Costs one path. */
export function pageOf(options: {
  readonly nodes: NodeSource;
  readonly map: MapAt;
  readonly range: KeyRange;
  readonly limit: number | undefined;
}): Page {
  const { nodes, map, range, limit } = options;
  if (limit === undefined) return { range, next: undefined };
  const found = readSync(selectKey(map, { from: range.from, skip: limit }), nodes);
  if (found === undefined || (range.to !== undefined && compareBytes(found, range.to) >= 0)) {
    return { range, next: undefined };
  }
  const next = new Uint8Array(found);
  return { range: { from: range.from, to: next }, next };
}

/**
 * Cuts a page behind the entry with which what it counts reaches `maxBytes`. Costs a pass over what the page holds, since
 * its end is told before its first node.
 */
export async function cutByBytes(
  page: Page,
  options: {
    /** For reads that pass each leaf once. */
    readonly nodes: NodeSource;
    readonly map: MapAt;
    readonly maxBytes: number;
    readonly bytesOf: (entry: Entry) => number;
    readonly pace: Pace;
  },
): Promise<Page> {
  const { nodes, map, maxBytes, bytesOf, pace } = options;
  let sum = 0;
  for (const entries of scanSync(nodes, map, page.range)) {
    if (pace.isDue) await pace.rest();
    for (const entry of entries) {
      if (sum >= maxBytes) {
        const next = new Uint8Array(entry.key);
        return { range: { from: page.range.from, to: next }, next };
      }
      sum += bytesOf(entry);
    }
  }
  return page;
}

export interface RangeStreamOptions {
  /** For reads that pass each leaf once. */
  readonly nodes: NodeSource;
  readonly map: MapAt;
  readonly range: KeyRange;
  readonly pace: Pace;
  readonly memory: StreamMemory | undefined;
  /** The value to send along with an entry; undefined: none. */
  readonly loadValue?: ((entry: Entry) => Promise<Uint8Array | undefined>) | undefined;
}

/** At least one message, because the empty map has a node too. */
export async function* rangeStream(
  options: RangeStreamOptions,
): AsyncGenerator<{ nodes: NodeRevealInit[]; values: InlineValueInit[] }, void, undefined> {
  const { nodes, map, range, pace, memory, loadValue } = options;
  const message = new RevealMessage(memory);
  let ordinal = 0;
  for (const part of proveScanSync(nodes, map, range)) {
    if (pace.isDue) await pace.rest();
    for (const reveal of part.reveals) message.addReveal(reveal);
    for (const entry of loadValue === undefined ? [] : part.entries()) {
      if (pace.isDue) await pace.rest();
      const value = await loadValue?.(entry);
      if (value !== undefined) {
        if (message.isTooFullFor(value.length)) yield message.take();
        message.addValue(ordinal, value);
      }
      ordinal += 1;
    }
    if (message.isFull) yield message.take();
  }
  if (!message.isEmpty) yield message.take();
}
