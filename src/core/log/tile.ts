// Tiles of the log, as C2SP `tlog-tiles` lays them out: what mirrors, monitors and witnesses fetch.
//
//   tile/<L>/<N>          the hashes at tree level 8·L from index 256·N on, 256 of them, 32 bytes each
//   tile/<L>/<N>.p/<W>    the first W of them, 1 … 255, where the tree has no more yet
//   tile/entries/<N>      leaves 256·N …, each behind its length in two bytes, big-endian; likewise `.p/<W>`
//
// N is written in groups of three digits, all but the last behind an x: 1234067 is x001/x234/067.
import { InvalidArgument, assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import { MAX_LOG_LEAF_BYTES } from "../limits.js";
import { Frontier, isLogSize } from "./tree.js";

/** Hashes, or leaves, of a full tile. */
export const TILE_WIDTH = 256;
/** Levels of the tree that a tile stands for. */
export const TILE_HEIGHT = 8;
/** The highest tile level that a log of 2^53 − 1 leaves has. */
export const MAX_TILE_LEVEL = 6;

/** A tile: of hashes at a level, or with level `entries` of leaves. */
export interface TilePosition {
  /** 0 … 6. */
  readonly level: number;
  readonly index: number;
  /** 1 … 256. */
  readonly width: number;
}

/** How wide a tile is in a log of this size: 0 … 256. */
export function tileWidth(tile: Pick<TilePosition, "level" | "index">, size: number): number {
  const complete = Math.floor(size / 2 ** (TILE_HEIGHT * tile.level));
  return Math.max(0, Math.min(TILE_WIDTH, complete - tile.index * TILE_WIDTH));
}

/** The path of a tile, below the root of the log. `entries`: of the bundle of leaves. */
export function tilePath(tile: Omit<TilePosition, "level"> & { readonly level: number | "entries" }): string {
  const { level, index, width } = tile;
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `tile/${level}/${groups.join("/")}${width === TILE_WIDTH ? "" : `.p/${width}`}`;
}

/** A tile with its hashes. */
export interface BuiltTile extends TilePosition {
  /** 32 bytes each. */
  readonly hashes: readonly Digest[];
}

/** Makes the tiles of a log from the hashes of its leaves, in memory for one tile a level. */
export class TileBuilder {
  readonly #open: { index: number; hashes: Digest[] }[] = [];

  /** Takes the next leaf's hash. Answers with the tiles that it fills, lowest level first. */
  push(leafHash: Digest): BuiltTile[] {
    const filled: BuiltTile[] = [];
    let hash = leafHash;
    for (let level = 0; ; level += 1) {
      const tile = (this.#open[level] ??= { index: 0, hashes: [] });
      tile.hashes.push(hash);
      if (tile.hashes.length < TILE_WIDTH) return filled;
      filled.push({ level, index: tile.index, width: TILE_WIDTH, hashes: tile.hashes });
      this.#open[level] = { index: tile.index + 1, hashes: [] };
      hash = tileRoot(tile.hashes);
    }
  }

  /** The tiles that are not full, as they are. */
  partial(): BuiltTile[] {
    return this.#open.flatMap(({ index, hashes }, level) =>
      hashes.length === 0 ? [] : [{ level, index, width: hashes.length, hashes: [...hashes] }],
    );
  }
}

/** The hash of the subtree that the hashes of a full tile make up. */
export function tileRoot(hashes: readonly Digest[]): Digest {
  const frontier = Frontier.empty();
  for (const hash of hashes) frontier.append(hash);
  return frontier.root();
}

/** Leaves as a bundle. */
export function encodeEntryBundle(leaves: readonly Uint8Array[]): Uint8Array {
  const bundle = new Uint8Array(leaves.reduce((sum, leaf) => sum + 2 + leaf.length, 0));
  let offset = 0;
  for (const leaf of leaves) {
    assert(leaf.length <= MAX_LOG_LEAF_BYTES, "a leaf of the log whose length two bytes do not hold");
    bundle[offset] = leaf.length >>> 8;
    bundle[offset + 1] = leaf.length & 0xff;
    bundle.set(leaf, offset + 2);
    offset += 2 + leaf.length;
  }
  return bundle;
}

/** @throws InvalidArgument - no tile of a log of this size; `field` says what is wrong with it */
export function requireTile(tile: TilePosition, size: number): void {
  const { level, index, width } = tile;
  if (!Number.isInteger(level) || level < 0 || level > MAX_TILE_LEVEL) {
    throw new InvalidArgument(`level: tiles have levels 0 to ${MAX_TILE_LEVEL}, not ${level}`, { field: "level" });
  }
  if (!isLogSize(index)) throw new InvalidArgument(`index: no index of a tile: ${index}`, { field: "index" });
  const widest = tileWidth(tile, size);
  if (widest === 0) {
    throw new InvalidArgument(`index: a log of ${size} leaves has no tile ${level}/${index}`, { field: "index" });
  }
  if (!Number.isInteger(width) || width < 1 || width > widest) {
    throw new InvalidArgument(`width: tile ${level}/${index} of a log of ${size} leaves has ${widest} hashes`, {
      field: "width",
    });
  }
}
