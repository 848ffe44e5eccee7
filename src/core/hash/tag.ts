// The hash domains (FORMATS §1): `H_tag(bytes) = BLAKE3(tag ‖ bytes)`. The tag keeps a commit from ever hashing like a
// blob that holds the same bytes.

/** A hash domain, colon included, exactly as it is hashed. */
export type Tag = "blob:" | "manifest:" | "commit:" | "state_node:" | "state_leaf:" | "merkle_node:" | "state_key:";

function ascii(text: Tag): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const PREFIXES: Readonly<Record<Tag, Uint8Array>> = {
  "blob:": ascii("blob:"),
  "manifest:": ascii("manifest:"),
  "commit:": ascii("commit:"),
  "state_node:": ascii("state_node:"),
  "state_leaf:": ascii("state_leaf:"),
  "merkle_node:": ascii("merkle_node:"),
  "state_key:": ascii("state_key:"),
};

/** The bytes that go before the content of a domain. Shared: callers must not write to them. */
export function tagPrefix(tag: Tag): Uint8Array {
  return PREFIXES[tag];
}

/** Longest prefix, in bytes: the kernel keeps this much room before a message. */
export const MAX_PREFIX_BYTES = 12;
