// What a map is for (FORMATS §3). The kind is hashed into every node, so that a node of one kind never passes for one
// of another.

/** The four kinds of map. */
export const MapKind = { state: 1, chunks: 2, ledger: 3, refs: 4 } as const;
export type MapKind = (typeof MapKind)[keyof typeof MapKind];

/** True for the numbers that are a kind. */
export function isMapKind(value: number): value is MapKind {
  return value === 1 || value === 2 || value === 3 || value === 4;
}
