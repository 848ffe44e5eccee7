// Keys of the maps of kind chunks, ledger and refs (FORMATS §6, §7).
//
//   chunks  u64be(index)
//   ledger  kind ‖ 0x00 ‖ u64be(time) ‖ hash                        one entry a manifest
//           run-by-agent ‖ 0x00 ‖ agent ‖ 0x00 ‖ u64be(time) ‖ hash  and a second one a run
//   refs    heads/<name>  states/<name>  tags/<name>  keys/log  keys/head/<name>/<key in lower-case hex>
//
// Builders take what our own code has checked and refuse the rest as InvalidArgument; parsers take what a witness or a
// node shows, and refuse with Malformed.
import { concatBytes, fromHex, fromUtf8, readU64be, toHex, u64be, utf8 } from "../bytes.js";
import { InvalidArgument, Malformed } from "../errors.js";
import { manifestHash } from "../hashes.js";
import type { ManifestHash } from "../hashes.js";
import { agentProblem, agent as agentSchema, digestSchema, time as timeSchema } from "./common.js";
import { MANIFEST_KINDS } from "./manifest.js";
import type { Manifest, ManifestKind } from "./manifest.js";
import { nameProblem, requireName } from "./name.js";
import { oneOf, uint53, write } from "../codec/schema.js";

const NUL = Uint8Array.of(0);
const U64_BYTES = 8;
const HASH_BYTES = 32;
const BY_AGENT = "run-by-agent";
const kindSchema = oneOf(...MANIFEST_KINDS);

/** Key of a chunk in its document's list. @throws InvalidArgument - not an integer of 0 … 2^53 − 1 */
export function chunkKey(index: number): Uint8Array {
  write(uint53, index);
  return u64be(index);
}

/** Index of a chunk. @throws Malformed */
export function parseChunkKey(key: Uint8Array): number {
  if (key.length !== U64_BYTES) throw new Malformed(`a chunk key has 8 bytes, not ${key.length}`);
  return readU64be(key);
}

/** Where the ledger files a manifest. */
export interface LedgerPlace {
  readonly kind: ManifestKind;
  /** Milliseconds since 1970: the manifest's `time`; of a run, `started`. */
  readonly time: number;
  readonly hash: ManifestHash;
}

/** Key of a manifest in a ledger. @throws InvalidArgument */
export function ledgerKey(place: LedgerPlace): Uint8Array {
  return concatBytes(kindPrefix(place.kind), timeAndHash(place));
}

/** Second key of a run, under its agent. @throws InvalidArgument */
export function runByAgentKey(place: Omit<LedgerPlace, "kind"> & { readonly agent: string }): Uint8Array {
  return concatBytes(agentPrefix(place.agent), timeAndHash(place));
}

/** Every key under which the ledger files a manifest: two of a run, one of every other kind. @throws InvalidArgument */
export function ledgerKeysOf(manifest: Manifest, hash: ManifestHash): Uint8Array[] {
  if (manifest.kind !== "run") return [ledgerKey({ kind: manifest.kind, time: manifest.time, hash })];
  const place = { time: manifest.started, hash };
  return [ledgerKey({ kind: "run", ...place }), runByAgentKey({ agent: manifest.agent, ...place })];
}

/** A range of keys: `from` included, `to` excluded. */
export interface BoundedRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** What a range of a ledger selects. */
export interface LedgerSelection {
  /** Manifests of this kind, or with `agent` the runs of one agent. */
  readonly kind?: ManifestKind;
  readonly agent?: string;
  /** First claimed time, included; absent: from the first. */
  readonly since?: number;
  /** End of the claimed times, excluded; absent: to the last. */
  readonly before?: number;
}

/**
 * The keys of all manifests of one kind, or of all runs of one agent, between two claimed times.
 * @throws InvalidArgument - neither kind nor agent, both where the kind is not run, or times that leave nothing
 */
export function ledgerRange(selection: LedgerSelection): BoundedRange {
  const { kind, agent, since, before } = selection;
  if (agent !== undefined && kind !== undefined && kind !== "run") {
    throw new InvalidArgument(`only runs are filed by agent, not manifests of kind ${kind}`, { field: "agent" });
  }
  if (agent === undefined && kind === undefined) throw new InvalidArgument("neither a kind nor an agent is named");
  if (since !== undefined && before !== undefined && since >= before) {
    throw new InvalidArgument(`no time is at or after ${since} and before ${before}`, { field: "before" });
  }
  const prefix = agent === undefined ? kindPrefix(kind ?? "run") : agentPrefix(agent);
  const end = prefix.slice();
  end[end.length - 1] = 1;
  return {
    from: since === undefined ? prefix : concatBytes(prefix, timeBytes(since)),
    to: before === undefined ? end : concatBytes(prefix, timeBytes(before)),
  };
}

/** What a ledger key says. Kinds of later versions are shown as they are. */
export interface ParsedLedgerKey {
  readonly kind: string;
  /** Where the key is a run's second one. */
  readonly agent?: string;
  readonly time: number;
  readonly hash: ManifestHash;
}

/** @throws Malformed */
export function parseLedgerKey(key: Uint8Array): ParsedLedgerKey {
  const tail = key.length - U64_BYTES - HASH_BYTES;
  if (tail < 2 || key[tail - 1] !== 0) throw new Malformed("a ledger key ends in 0x00, a time and a hash");
  const time = readU64be(key, tail);
  const hash = manifestHash(new Uint8Array(key.subarray(tail + U64_BYTES)));
  const parts = fromUtf8(key.subarray(0, tail - 1)).split("\0");
  const [kind = "", agent] = parts;
  if (kind === BY_AGENT) {
    if (parts.length !== 2 || agent === undefined || agentProblem(agent) !== undefined) {
      throw new Malformed("a run-by-agent key names one agent of 1 to 256 bytes");
    }
    return { kind: "run", agent, time, hash };
  }
  if (parts.length !== 1 || kind === "") throw new Malformed("a ledger key begins with a kind and 0x00");
  return { kind, time, hash };
}

function kindPrefix(kind: ManifestKind): Uint8Array {
  write(kindSchema, kind);
  return concatBytes(utf8(kind), NUL);
}

function agentPrefix(agent: string): Uint8Array {
  write(agentSchema, agent);
  return concatBytes(utf8(BY_AGENT), NUL, utf8(agent), NUL);
}

function timeBytes(time: number): Uint8Array {
  write(timeSchema, time);
  return u64be(time);
}

function timeAndHash(place: { readonly time: number; readonly hash: ManifestHash }): Uint8Array {
  write(digestSchema, place.hash);
  return concatBytes(timeBytes(place.time), place.hash);
}

/** Key of the log's verifier keys. Shared: callers must not write to it. */
export const LOG_KEYS_KEY: Uint8Array = utf8("keys/log");

/** Key of a head's commit. @throws InvalidArgument - not a name */
export function headKey(name: string): Uint8Array {
  return namedKey("heads/", name);
}

/** Key of a head's staged roots. @throws InvalidArgument - not a name */
export function stagedKey(name: string): Uint8Array {
  return namedKey("states/", name);
}

/** Key of a tag's commit. @throws InvalidArgument - not a name */
export function tagKey(name: string): Uint8Array {
  return namedKey("tags/", name);
}

/** The keys of all tags whose names start with a prefix, in ASCII; empty: of all tags. */
export function tagRange(prefix = ""): BoundedRange {
  const from = utf8(`tags/${prefix}`);
  const to = from.slice();
  // No name holds a byte above 7f: the last one can always be raised.
  to[to.length - 1] = (to.at(-1) ?? 0) + 1;
  return { from, to };
}

/** Key that says what a public key may do to a head. @throws InvalidArgument - not a name, or not 32 bytes */
export function headPermissionKey(head: string, publicKey: Uint8Array): Uint8Array {
  requireName(head);
  write(digestSchema, publicKey);
  return utf8(`keys/head/${head}/${toHex(publicKey)}`);
}

/** What a key of the refs map names. */
export type RefKey =
  | { readonly kind: "head" | "staged" | "tag"; readonly name: string }
  | { readonly kind: "log-keys" }
  | { readonly kind: "head-permission"; readonly name: string; readonly publicKey: Uint8Array };

const NAMED_REFS = [
  ["head", "heads/"],
  ["staged", "states/"],
  ["tag", "tags/"],
] as const;

/** @throws Malformed - no key that this version knows */
export function parseRefKey(key: Uint8Array): RefKey {
  const text = fromUtf8(key);
  if (text === "keys/log") return { kind: "log-keys" };
  for (const [kind, prefix] of NAMED_REFS) {
    if (text.startsWith(prefix)) return { kind, name: parsedName(text.slice(prefix.length)) };
  }
  // A head's name may itself end like a key: the last part is the one that counts.
  const permission = /^keys\/head\/(.+)\/([0-9a-f]{64})$/s.exec(text);
  if (permission === null) throw new Malformed(`no refs key: ${JSON.stringify(text.slice(0, 64))}`);
  const [, name = "", hex = ""] = permission;
  return { kind: "head-permission", name: parsedName(name), publicKey: fromHex(hex) };
}

function namedKey(prefix: string, name: string): Uint8Array {
  requireName(name);
  return utf8(prefix + name);
}

function parsedName(name: string): string {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new Malformed(`the name ${JSON.stringify(name.slice(0, 64))} ${problem}`);
  return name;
}
