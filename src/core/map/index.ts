// The authenticated ordered map (FORMATS §3) and its witnesses (§4).
//
// The functions and classes of this module, with their signatures:
//
//   emptyMap(kind): MapNode                                           the one node of a map without keys
//   decodeNode(stored): MapNode                                       @throws Malformed
//   verifyNode(stored, digest): MapNode                               @throws Corrupt
//   class MapNode implements NodeView                                 { kind, level, count, total, digest, stored, … }
//
//   get(map: MapAt, key): Reader<Uint8Array | undefined>              the cell
//   getMany(map, keys, onAnswer): Reader<void>                        onAnswer({ index, key, cell | undefined })
//   scan(map, range: KeyRange, onEntries): Reader<void>               onEntries(entries: readonly Entry[]), a leaf at a time
//   count(map, range): Reader<number>
//   selectKey(map, { from, skip }): Reader<Uint8Array | undefined>    to fix a page's end before its first reveal
//   edit(map, edits: readonly Edit[]): Reader<EditResult>             Edit = { key, cell | undefined }, keys ascending
//   buildMap(kind, entries, onNode): { root, total }                  class MapBuilder { add, finish } for async input
//
//   interface NodeSource { load(digest, kind): MapNode }              throws where the node is missing or corrupt
//   interface AsyncNodeSource { loadMany(digests, kind): Promise<MapNode[]> }
//   readSync(reader, source, recorder?): T                            readAsync(reader, asyncSource, recorder?): Promise<T>
//   class Recorder { reveals(): Generator<Reveal> }                   the witness of what was read
//   scanSync(source, map, range): Generator<ScanPart>                 ScanPart = { entries, reveals }, streaming, bounded memory
//
//   verifyWitness(reader, reveals): T                                 @throws VerificationFailed, IncompleteProof
//   class WitnessReader<T> { push(reveals), finish(): T }             the same, for reveals that arrive in pieces
//   class ScanVerifier { push(reveals): Entry[], finish() }           constructor(map, range)
//   class GetManyVerifier { push(reveals): KeyAnswer[], finish() }    constructor(map, keys)
export { MapKind, isMapKind } from "./kind.js";
export type { Reveal } from "./reveal.js";
export type { Entry, KeyRange, MapAt, NodeView, Reader, Want } from "./view.js";
