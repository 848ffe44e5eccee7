// Values as the shared vectors write them in JSON: `{"bytes": hex}` is a byte string.
import { fromHex } from "#src/core/bytes.js";
import type { Value } from "#src/core/codec/index.js";

/** The value that a vector means. */
export function fromNotation(value: unknown): Value {
  if (Array.isArray(value)) return value.map(fromNotation);
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value);
    if (members.length === 1 && members[0]?.[0] === "bytes") return fromHex(String(members[0][1]));
    return Object.fromEntries(members.map(([name, member]) => [name, fromNotation(member)]));
  }
  return value as Value;
}
