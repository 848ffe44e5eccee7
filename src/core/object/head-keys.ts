// Which keys may move a head (FORMATS §7): the refs below `keys/head/<name>/`, read as one range, so that the whole set is
// proved and not only its members.
//
//   keys/head/main/<key>          ["move"]     a key of main
//   keys/head/main/next/<key>     ["move"]     in the same range, and a key of main/next
import { compareBytes, utf8 } from "../bytes.js";
import { permissionsCell } from "./cell.js";
import { parseRefKey } from "./key.js";
import type { BoundedRange } from "./key.js";
import { requireName } from "./name.js";

/** What lets a key move its head. Other permissions, of later versions, are not known here and change nothing. */
export const MOVE_PERMISSION = "move";

/**
 * The range of the refs that holds every key of a head. It also holds those of heads whose names go on from this one's with
 * a slash. @throws InvalidArgument - not a name
 */
export function headKeysRange(head: string): BoundedRange {
  requireName(head);
  // "0" is the character behind "/".
  return { from: utf8(`keys/head/${head}/`), to: utf8(`keys/head/${head}0`) };
}

/**
 * The public keys that may move a head, ascending, out of all entries of its range. None: whoever may write may move it.
 * @throws Malformed - an entry that no key or cell of that range can be
 */
export function headKeysIn(
  head: string,
  entries: Iterable<{ readonly key: Uint8Array; readonly cell: Uint8Array }>,
): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (const { key, cell } of entries) {
    const ref = parseRefKey(key);
    const permissions = permissionsCell.decode(cell);
    if (ref.kind !== "head-permission" || ref.name !== head || !permissions.includes(MOVE_PERMISSION)) continue;
    keys.push(ref.publicKey);
  }
  return keys.sort(compareBytes);
}
