// What the tests of the map share: maps in memory, sample keys and cells, witnesses as the vectors write them.
import * as dagCbor from "@ipld/dag-cbor";
import { fromHex, utf8 } from "#src/core/bytes.js";
import { hashTagged } from "#src/core/hash/index.js";
import type { Entry, KeyRange, MapAt, Reader, Reveal } from "#src/core/map/index.js";
import { MapKind, NodeTable, Recorder, buildMap, readSync, scanSync } from "#src/core/map/index.js";

/** A map whose nodes are all in memory. */
export interface SampleMap extends MapAt {
  readonly source: NodeTable;
  readonly entries: readonly Entry[];
}

export function sampleMap(entries: readonly Entry[], kind: MapKind = MapKind.state): SampleMap {
  const source = new NodeTable();
  const { root } = buildMap(kind, entries, source.add);
  return { kind, root, source, entries };
}

/** A state cell `[blob hash, size]`. */
export function cellOf(content: string): Uint8Array {
  const bytes = utf8(content);
  return dagCbor.encode([hashTagged("blob:", bytes), bytes.length]);
}

/** Keys `<prefix><number>` with as many digits as are asked for, from 0. */
export function numberedEntries(options: { count: number; prefix?: string; digits?: number }): Entry[] {
  const { prefix = "key-", digits = 6 } = options;
  return Array.from({ length: options.count }, (_, index) => {
    const number = String(index).padStart(digits, "0");
    return { key: utf8(`${prefix}${number}`), cell: cellOf(`value ${number}`) };
  });
}

/** The witness that a read leaves, with its answer. */
export function prove<T>(map: SampleMap, reader: Reader<T>): { answer: T; reveals: Reveal[] } {
  const recorder = new Recorder();
  const answer = readSync(reader, map.source, recorder);
  return { answer, reveals: [...recorder.reveals()] };
}

/** Every entry of a range. */
export function scanAll(map: SampleMap, range: KeyRange = { from: new Uint8Array(0) }): Entry[] {
  return [...scanSync(map.source, map, range)].flat();
}

/** A reveal as map.json writes it (hex) or witness-refuse.json does (base64, zeros and empty lists left out). */
export function revealOf(raw: unknown, encoding: "hex" | "base64"): Reveal {
  const fields = raw as {
    kind?: number;
    level?: number;
    count?: number;
    total?: number;
    indices?: number[];
    entries?: string[];
    siblings?: string[] | string;
  };
  const bytesOf = (text: string): Uint8Array => (encoding === "hex" ? fromHex(text) : Buffer.from(text, "base64"));
  const siblings = fields.siblings ?? [];
  return {
    kind: fields.kind ?? 0,
    level: fields.level ?? 0,
    count: fields.count ?? 0,
    total: fields.total ?? 0,
    indices: fields.indices ?? [],
    entries: (fields.entries ?? []).map(bytesOf),
    siblings: typeof siblings === "string" ? bytesOf(siblings) : Buffer.concat(siblings.map(bytesOf)),
  };
}

/** Plain arrays, so that Buffers and Uint8Arrays compare. */
export function plain(reveals: readonly Reveal[]): unknown {
  return reveals.map((reveal) => ({
    ...reveal,
    indices: [...reveal.indices],
    entries: reveal.entries.map((entry) => Buffer.from(entry).toString("hex")),
    siblings: Buffer.from(reveal.siblings).toString("hex"),
  }));
}
