// What is kept of an epoch that has ended, for clients who were away (FORMATS §7): its last note, and what leads from there
// down to the keys that it announced. Its leaves stay in the log's rows.
//
//   meta  epoch/<n>   dag_cbor([1, tail row, last note, origin, verifier key, [stored node, …]])
//
// The nodes are those of the refs map from its root to `keys/log`: the map itself has gone on, and its nodes are freed.
import { equalBytes, toHex, utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { Malformed, Unsupported, VerificationFailed, assert } from "../core/errors.js";
import { parseVerifierKey, verifyCheckpoint } from "../core/log/index.js";
import { MapKind, decodeNode, get, readSync } from "../core/map/index.js";
import type { MapAt, MapNode, NodeSource } from "../core/map/index.js";
import { LOG_KEYS_KEY } from "../core/object/index.js";
import type { Row, SyncReader } from "../store/contract.js";
import { fromStore } from "./boundary.js";
import { LogRows, decodeTail, type TailFields } from "./log-rows.js";
import type { Tail } from "./log-store.js";
import { missingNode } from "./nodes.js";

const VERSION = 1;

/** An epoch that has ended. */
export interface EndedEpoch {
  /** Its last tail. It signs nothing but its last note. */
  readonly tail: Tail;
  readonly refs: MapAt;
  /** The nodes from the root of the refs to `keys/log`, and no others. */
  readonly nodes: NodeSource;
}

/** The row that keeps an epoch, which ends with this tail. */
export function endedEpochRow(tail: Tail, note: string, nodes: NodeSource): Row {
  const { origin, verifierKey, place } = tail.epoch;
  const path: Uint8Array[] = [];
  const noted: NodeSource = {
    load: (digest, kind) => {
      const node = nodes.load(digest, kind);
      path.push(node.stored);
      return node;
    },
  };
  readSync(get({ kind: MapKind.refs, root: tail.refsRoot }, LOG_KEYS_KEY), noted);
  const value = encode([VERSION, tail.row, note, origin, verifierKey, path]);
  return { ...rowName(place.epoch), value };
}

/** Costs a signature, by portable code: keep it. @returns undefined - no such epoch has ended here @throws Corrupt */
export function findEndedEpoch(rows: SyncReader, epoch: number): EndedEpoch | undefined {
  const { space, key } = rowName(epoch);
  const value = rows.get(space, key);
  if (value === undefined) return undefined;
  return fromStore(`the record of epoch ${epoch}`, () => decodeRecord(rows, value));
}

function rowName(epoch: number): { readonly space: "meta"; readonly key: Uint8Array } {
  return { space: "meta", key: utf8(`epoch/${epoch}`) };
}

/** @throws Malformed */
function decodeRecord(rows: SyncReader, value: Uint8Array): EndedEpoch {
  const parts = decode(value);
  if (!Array.isArray(parts) || parts.length !== 6 || parts[0] !== VERSION) throw new Malformed("not a list of six");
  const [, row, note, origin, verifierKey, path] = parts as unknown[];
  if (!(row instanceof Uint8Array) || !Array.isArray(path)) throw new Malformed("no tail, or no nodes");
  if (typeof note !== "string" || typeof origin !== "string" || typeof verifierKey !== "string") {
    throw new Malformed("a text that is none");
  }
  const { place, ...fields } = decodeTail(row);
  requireLastNote(note, { origin, verifierKey, fields });
  const checkpoint = ({ size }: { readonly size: number }): string => {
    assert(size === fields.size, "an epoch that has ended signs nothing");
    return note;
  };
  const signer = { prepare: () => undefined, checkpoint };
  const epoch = {
    place,
    origin,
    verifierKey,
    nextVerifierKey: undefined,
    rows: new LogRows(rows, place.start),
    signer,
  };
  const tail = { ...fields, epoch, end: place.start + fields.size, row };
  return { tail, refs: { kind: MapKind.refs, root: fields.refsRoot }, nodes: pathNodes(path) };
}

/** The note is the tail's, by the key: damage shows here, and not at the client. @throws Malformed */
function requireLastNote(
  note: string,
  of: { readonly origin: string; readonly verifierKey: string; readonly fields: TailFields },
): void {
  const { origin, verifierKey, fields } = of;
  try {
    const checkpoint = verifyCheckpoint(note, parseVerifierKey(verifierKey));
    const isOfTail = checkpoint.size === fields.size && equalBytes(checkpoint.root, fields.logRoot);
    if (isOfTail && checkpoint.origin === origin) return;
  } catch (cause) {
    if (!(cause instanceof VerificationFailed || cause instanceof Unsupported)) throw cause;
    throw new Malformed(cause.message, {}, { cause });
  }
  throw new Malformed("the last note is not of the last tail");
}

/** Nodes by their digests, which are worked out anew. @throws Malformed */
function pathNodes(path: readonly unknown[]): NodeSource {
  const nodes = new Map<string, MapNode>();
  for (const stored of path) {
    if (!(stored instanceof Uint8Array)) throw new Malformed("a node that is no bytes");
    const node = decodeNode(stored);
    nodes.set(toHex(node.digest), node);
  }
  return {
    load: (digest) => {
      const node = nodes.get(toHex(digest));
      if (node === undefined) throw missingNode(digest);
      return node;
    },
  };
}
