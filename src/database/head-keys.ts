// Which keys may move a head (FORMATS §7): kept in the refs, so that every change of them is in the log and the whole set can
// be proved.
//
// While a head has a key it is moved by commits that one of its keys has signed, and by nothing else: not reset, not
// removed. What is staged on it is free, since it is a proposal until a commit takes it.
import { equalBytes, toHex, utf8 } from "../core/bytes.js";
import { Conflict, InvalidArgument, LimitExceeded, PermissionDenied } from "../core/errors.js";
import { MAX_HEAD_KEYS, MAX_KEYS_OF_HEAD } from "../core/limits.js";
import {
  MOVE_PERMISSION,
  headKeysIn,
  headKeysRange,
  headPermissionKey,
  permissionsCell,
} from "../core/object/index.js";
import { publicKeyFault } from "../core/signature/index.js";
import { fromStore } from "./boundary.js";
import type { Draft } from "./draft.js";
import type { RefLookup } from "./refs.js";

/** Every key of every head. */
const ALL_HEAD_KEYS = { from: utf8("keys/head/"), to: utf8("keys/head0") };
const MOVE_CELL = permissionsCell.encode([MOVE_PERMISSION]);

/** The keys that may move a head, ascending; none: everybody who may write. @throws Corrupt */
export function headKeysOf(refs: RefLookup, head: string): Uint8Array[] {
  const entries = refs.refsBetween(headKeysRange(head));
  return fromStore(`the keys of head "${head}"`, () => headKeysIn(head, entries));
}

/**
 * What a commit needs that is to move a head. `signers`: the keys whose valid signatures it bears.
 * @throws PermissionDenied - the head has keys, and none of them has signed it
 */
export function requireMayCommit(refs: RefLookup, head: string, signers: readonly Uint8Array[]): void {
  const keys = headKeysOf(refs, head);
  if (keys.length === 0) return;
  if (signers.some((signer) => keys.some((key) => equalBytes(key, signer)))) return;
  const by = signers.map(toHex).join(", ");
  const why = signers.length === 0 ? "and this one is not signed" : `and this one is signed by ${by}`;
  throw new PermissionDenied(`${guarded(head, keys.length)}, ${why}`, {
    field: "head",
    hint: `sign with one of them: neleus commit new --sign-key FILE; see: neleus key list ${head}`,
    facts: { kind: "head-keys", head, keys: String(keys.length) },
  });
}

/** @throws PermissionDenied - the head has keys; `act` is what cannot be done to it meanwhile */
export function requireNoKeys(refs: RefLookup, head: string, act: string): void {
  const { length } = headKeysOf(refs, head);
  if (length === 0) return;
  throw new PermissionDenied(`${guarded(head, length)}, and cannot be ${act}`, {
    field: "head",
    hint: `take its keys away first, which the log will show: neleus key set ${head} --none`,
    facts: { kind: "head-keys", head, keys: String(length) },
  });
}

function guarded(head: string, keys: number): string {
  return `head "${head}" is moved only by commits that ${keys === 1 ? "its key has" : `one of its ${keys} keys has`} signed`;
}

/**
 * Keys as a request brings them, copied.
 * @throws InvalidArgument - no canonical point, one of small order (under which anything is signed), or there twice
 * @throws LimitExceeded - more than MAX_KEYS_OF_HEAD
 */
export function checkHeadKeys(field: string, keys: readonly Uint8Array[]): Uint8Array[] {
  if (keys.length > MAX_KEYS_OF_HEAD) {
    throw new LimitExceeded(`at most ${MAX_KEYS_OF_HEAD} keys may move one head, not ${keys.length}`, {
      field,
      facts: { limit: "keys_of_head", value: String(MAX_KEYS_OF_HEAD) },
    });
  }
  const seen = new Set<string>();
  return keys.map((key, index) => {
    const place = `${field}[${index}]`;
    const fault = publicKeyFault(key);
    if (fault !== undefined) throw new InvalidArgument(`${place}: ${fault}`, { field: place });
    if (seen.has(toHex(key))) throw new InvalidArgument(`${place}: ${toHex(key)} is there twice`, { field: place });
    seen.add(toHex(key));
    return new Uint8Array(key);
  });
}

/** Runs in a round. @throws Conflict - the keys are not the expected ones @throws LimitExceeded - MAX_HEAD_KEYS */
export function setHeadKeys(
  draft: Draft,
  head: string,
  change: { readonly keys: readonly Uint8Array[]; readonly expected: readonly Uint8Array[] | undefined },
): void {
  const { keys, expected } = change;
  const before = headKeysOf(draft, head);
  if (expected !== undefined && !isSameSet(before, expected)) {
    throw new Conflict(`head "${head}" has other keys than the expected ones: ${before.length} of them`, {
      field: "expected_keys",
      hint: `somebody was first: look at them again, and decide anew: neleus key list ${head}`,
      facts: { kind: "head-keys", head, keys: String(before.length) },
    });
  }
  if (draft.countBetween(ALL_HEAD_KEYS) - before.length + keys.length > MAX_HEAD_KEYS) {
    throw new LimitExceeded(`at most ${MAX_HEAD_KEYS} keys may move the heads of a database`, {
      field: "keys",
      facts: { limit: "head_keys", value: String(MAX_HEAD_KEYS) },
    });
  }
  const kept = new Set(keys.map(toHex));
  for (const key of before) if (!kept.has(toHex(key))) draft.move(headPermissionKey(head, key), undefined);
  for (const key of keys) draft.move(headPermissionKey(head, key), MOVE_CELL);
}

function isSameSet(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  const [names, others] = [new Set(a.map(toHex)), new Set(b.map(toHex))];
  return names.size === others.size && [...others].every((name) => names.has(name));
}
