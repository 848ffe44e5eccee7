// Where a command reads, as an argument names it. No name of a head or tag has a colon.
import type { ProofPlace } from "../client/sections.js";
import { InvalidArgument } from "../core/errors.js";
import { parseHash } from "./encoding.js";

const TAG = "tag:";

/** `NAME`, a head, or `tag:NAME`. */
export function headOrTag(text: string): { readonly head: string } | { readonly tag: string } {
  return text.startsWith(TAG) ? { tag: text.slice(TAG.length) } : { head: text };
}

/** A state as an argument names it. @throws InvalidArgument - another mark before the colon, or no hash behind it */
export function placeArgument(text: string, field: string): ProofPlace {
  const colon = text.indexOf(":");
  if (colon < 0) return { staged: text };
  const [mark, name] = [text.slice(0, colon), text.slice(colon + 1)];
  if (mark === "staged") return { staged: name };
  if (mark === "head") return { head: name };
  if (mark === "tag") return { tag: name };
  if (mark === "commit") return { commit: parseHash(name, field) };
  if (mark === "root") return { root: parseHash(name, field) };
  throw new InvalidArgument(`the ${field} "${text}" names no state`, {
    field,
    hint: "write NAME or staged:NAME, head:NAME, tag:NAME, commit:HASH or root:HASH",
  });
}
