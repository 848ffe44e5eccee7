// What moved refs mean for the maps that they name.
import { equalBytes } from "../core/bytes.js";
import type { MapRoot } from "../core/hashes.js";
import { parseRefKey, stagedCell } from "../core/object/index.js";
import { fromStore } from "./boundary.js";
import type { MapMove } from "./followed-nodes.js";

/** A ref before and after. */
export interface RefChange {
  readonly key: Uint8Array;
  readonly before: Uint8Array | undefined;
  readonly after: Uint8Array | undefined;
}

/** Where staged maps went, and whether any other ref was set. @throws Corrupt - a cell that is none */
export function movesOf(refs: readonly RefChange[]): {
  readonly moves: readonly MapMove[];
  readonly movesOthers: boolean;
} {
  const moves: MapMove[] = [];
  let movesOthers = false;
  for (const { key, before, after } of refs) {
    const ref = fromStore("refs map", () => parseRefKey(key));
    if (ref.kind === "staged") moves.push(...stagedMoves(ref.name, rootsOf(before), rootsOf(after)));
    else if (after !== undefined) movesOthers = true;
  }
  return { moves, movesOthers };
}

interface StagedRoots {
  readonly stateRoot: MapRoot;
  readonly ledgerRoot: MapRoot;
}

function rootsOf(cell: Uint8Array | undefined): StagedRoots | undefined {
  return cell && fromStore("staged roots", () => stagedCell.decode(cell));
}

function stagedMoves(name: string, before: StagedRoots | undefined, after: StagedRoots | undefined): MapMove[] {
  const moves = [
    { map: `state/${name}`, from: before?.stateRoot, to: after?.stateRoot },
    { map: `ledger/${name}`, from: before?.ledgerRoot, to: after?.ledgerRoot },
  ];
  return moves.filter(({ from, to }) => from === undefined || to === undefined || !equalBytes(from, to));
}
