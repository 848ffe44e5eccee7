// One good object of each kind, from the shared vectors, in TypeScript's form.
import type { Value, ValueMap } from "#src/core/codec/index.js";
import { decodeMap } from "#src/core/codec/index.js";
import { fromHex } from "#src/core/bytes.js";
import type { Commit, Manifest, ManifestByKind, ManifestKind, Received } from "#src/core/object/index.js";
import { decodeCommit, decodeManifest, decodeManifestOf } from "#src/core/object/index.js";
import { readVectors } from "../../support/vectors.js";

export interface ObjectVectors {
  objects: { name: string; tag: "commit:" | "manifest:"; value: unknown; cbor: string; hash: string }[];
  maps: { name: string; kind: number; entries: [string, unknown][]; root: string }[];
}

export const vectors = readVectors("object") as ObjectVectors;

/** The encoded example of a kind of manifest, or of a commit. */
export function exampleBytes(kind: ManifestKind | "commit"): Uint8Array {
  const found = vectors.objects.find(({ name }) => name === kind || (kind === "commit" && name.endsWith("parent")));
  if (found === undefined) throw new Error(`no example of ${kind}`);
  return fromHex(found.cbor);
}

export function example<K extends ManifestKind>(kind: K): ManifestByKind[K] {
  return decodeManifestOf(kind, exampleBytes(kind)).object;
}

/** The same in wire form, fresh, to be changed at will. */
export function exampleWire(kind: ManifestKind | "commit"): ValueMap {
  return decodeMap(exampleBytes(kind));
}

export function decodeAny(kind: ManifestKind | "commit", bytes: Uint8Array): Received<Commit> | Received<Manifest> {
  return kind === "commit" ? decodeCommit(bytes) : decodeManifest(bytes);
}

/** `path` as errors spell it, e.g. `inputs[0].blob[1]`; sets what is there, or removes it where `value` is undefined. */
export function change(wire: ValueMap, path: string, value: Value | undefined): ValueMap {
  const steps = path.split(/\.|\[|\]\.?/).filter((step) => step !== "");
  let at = wire as Record<string, Value>;
  for (const step of steps.slice(0, -1)) at = at[step] as Record<string, Value>;
  const last = steps.at(-1) ?? "";
  if (value !== undefined) at[last] = value;
  // The last step is a member's name; reflect, since its name is data.
  else Reflect.deleteProperty(at, last);
  return wire;
}
