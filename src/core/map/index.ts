// The authenticated ordered map (FORMATS §3) and its witnesses (§4).
//
// Reading is written once: `get`, `getMany`, `scan`, `count`, `diff`, `merge` and `edit` return readers, which `readSync` and
// `readAsync` run over stored nodes (with a `Recorder`, they leave a witness) and `verifyWitness` over a witness.
//
//   const recorder = new Recorder();
//   const cell = readSync(get({ kind, root }, key), source, recorder);          // the server
//   const same = verifyWitness(get({ kind, root }, key), [...recorder.reveals()]); // the client
export { MapBuilder, buildMap } from "./builder.js";
export type { BuiltMap } from "./builder.js";
export { count, selectKey } from "./count.js";
export type { Selection } from "./count.js";
export { diff } from "./diff.js";
export type { MapChange, MapPair } from "./diff.js";
export { edit } from "./edit/edit.js";
export type { Edit, EditResult } from "./edit/edit.js";
export { getMany } from "./get-many.js";
export type { KeyAnswer } from "./get-many.js";
export { get } from "./get.js";
export { MapKind, isMapKind } from "./kind.js";
export { merge } from "./merge.js";
export type { MapConflict, MapMerge, MapTriple } from "./merge.js";
export { MapNode, decodeNode, emptyMap, verifyNode } from "./node.js";
export { Recorder } from "./recorder.js";
export type { Reveal } from "./reveal.js";
export { entriesOfRuns, scan, type EntryRun } from "./scan.js";
export { NodeTable } from "./node-table.js";
export { readAsync, readSync } from "./source.js";
export type { AsyncNodeSource, NodeSource } from "./source.js";
export {
  diffSync,
  proveDiffAsync,
  proveDiffSync,
  proveScanAsync,
  proveScanSync,
  scanAsync,
  scanSync,
} from "./stream.js";
export type { DiffPart, ScanPart } from "./stream.js";
export { verifyTransition } from "./transition.js";
export type { Transition } from "./transition.js";
export { DiffVerifier, GetManyVerifier, ScanVerifier, WitnessReader, verifyWitness } from "./verify.js";
export type { DiffPiece } from "./verify.js";
export type { Entry, KeyRange, MapAt, NodeView, Reader, Want } from "./view.js";
