// The slow, obvious twin of the codec: a lax recursive parser of all of CBOR that matters here, then a naive re-encoder
// that works on hex text. Canonical is what re-encodes to itself and respects the stated limits: no rule is checked
// while parsing, so this shares no logic with the scan.
import type { Value } from "#src/core/codec/index.js";

class Refused extends Error {}

/** The value, or undefined where `bytes` is not canonical. */
export function slowDecode(bytes: Uint8Array): { value: Value } | undefined {
  if (bytes.length > 1_048_576) return undefined;
  const hex = Buffer.from(bytes).toString("hex");
  try {
    const [value, rest] = parse(hex, 0);
    if (rest !== "" || slowEncode(value) !== hex) return undefined;
    return { value };
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

function take(hex: string, bytes: number): [string, string] {
  if (hex.length < bytes * 2) throw new Refused("short");
  return [hex.slice(0, bytes * 2), hex.slice(bytes * 2)];
}

function parse(hex: string, depth: number): [Value, string] {
  const [first, afterFirst] = take(hex, 1);
  const major = Math.floor(parseInt(first, 16) / 32);
  const information = parseInt(first, 16) % 32;
  if (major === 7) return parseSimple(information, afterFirst);
  if (information > 27 || major === 6) throw new Refused("reserved, indefinite or tag");
  const width = information < 24 ? 0 : 2 ** (information - 24);
  const [digits, rest] = take(afterFirst, width);
  const argument = information < 24 ? BigInt(information) : BigInt(`0x${digits}`);
  if (argument > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refused("too large");
  if (major === 0) return [Number(argument), rest];
  if (major === 1) return [Number(-1n - argument), rest];
  if (major === 2 || major === 3) {
    const [content, after] = take(rest, Number(argument));
    const bytes = Buffer.from(content, "hex");
    return [major === 2 ? new Uint8Array(bytes) : bytes.toString("utf8"), after];
  }
  if (depth === 32) throw new Refused("deep");
  return parseContainer({ isMap: major === 5, count: Number(argument), rest, depth: depth + 1 });
}

function parseContainer(at: { isMap: boolean; count: number; rest: string; depth: number }): [Value, string] {
  let rest = at.rest;
  const list: Value[] = [];
  const names: string[] = [];
  for (let index = 0; index < at.count; index += 1) {
    if (at.isMap) {
      const [name, after] = parse(rest, at.depth);
      if (typeof name !== "string") throw new Refused("key");
      names.push(name);
      rest = after;
    }
    const [value, after] = parse(rest, at.depth);
    list.push(value);
    rest = after;
  }
  if (!at.isMap) return [list, rest];
  // Object.fromEntries defines members, so `__proto__` is one like any other.
  return [Object.fromEntries(names.map((name, index) => [name, list[index] ?? null])), rest];
}

function parseSimple(information: number, rest: string): [Value, string] {
  if (information === 20 || information === 21) return [information === 21, rest];
  if (information === 22) return [null, rest];
  if (information !== 27) throw new Refused("simple");
  const [digits, after] = take(rest, 8);
  return [Buffer.from(digits, "hex").readDoubleBE(0), after];
}

/** The canonical encoding as hex. */
export function slowEncode(value: Value): string {
  if (value === null) return "f6";
  if (typeof value === "boolean") return value ? "f5" : "f4";
  if (typeof value === "number") return slowNumber(value);
  if (typeof value === "string") return slowText(value);
  if (value instanceof Uint8Array) return slowHead(2, value.length) + Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return slowHead(4, value.length) + value.map(slowEncode).join("");
  const members = Object.entries(value).map(([name, member]) => ({ key: slowText(name), member: slowEncode(member) }));
  // With shortest heads, sorting the encoded keys by length and then as hex is sorting by length, then bytes.
  members.sort((a, b) => a.key.length - b.key.length || (a.key < b.key ? -1 : 1));
  return slowHead(5, members.length) + members.map(({ key, member }) => key + member).join("");
}

function slowText(text: string): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.toString("utf8") !== text) throw new Refused("surrogate");
  return slowHead(3, bytes.length) + bytes.toString("hex");
}

function slowNumber(value: number): string {
  if (Number.isInteger(value)) {
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new Refused("too large");
    return value >= 0 ? slowHead(0, value) : slowHead(1, -1 - value);
  }
  if (!Number.isFinite(value)) throw new Refused("not finite");
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return `fb${bytes.toString("hex")}`;
}

function slowHead(major: number, argument: number): string {
  if (argument < 24) return (major * 32 + argument).toString(16).padStart(2, "0");
  const width = argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8;
  const initial = (major * 32 + 24 + Math.log2(width)).toString(16).padStart(2, "0");
  return initial + argument.toString(16).padStart(width * 2, "0");
}
