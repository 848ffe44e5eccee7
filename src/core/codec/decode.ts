// Bytes → value: the scan first, then a plain recursive build that can rely on what the scan found.
//
// `@ipld/dag-cbor` is the oracle of the tests and not used here: it drops a leading U+FEFF, and cannot encode a map that
// has equal `/` and `bytes` members (it takes it for a CID). Both are values of the format.
import { assert, Malformed } from "../errors.js";
import { equalBytes, fromUtf8 } from "../bytes.js";
import { encode } from "./encode.js";
import {
  Cursor,
  MAJOR_BYTES,
  MAJOR_LIST,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_SIMPLE,
  MAJOR_TEXT,
  MAJOR_UNSIGNED,
  SIMPLE_FALSE,
  SIMPLE_NULL,
  SIMPLE_TRUE,
} from "./head.js";
import { requireCanonical } from "./scan.js";
import { isValueMap, setMember } from "./value.js";
import type { Value, ValueMap } from "./value.js";

/**
 * The value of one canonical encoding (FORMATS §2). Nothing in it shares memory with `bytes`.
 * @throws Malformed - not canonical, over 1 MiB, or deeper than 32; `facts.offset` says where
 */
export function decode(bytes: Uint8Array): Value {
  requireCanonical(bytes);
  const value = build(new Cursor(bytes));
  // The format's own definition of canonical. After the scan only a bug of ours can make it fail.
  assert(equalBytes(encode(value), bytes), "a canonical encoding did not re-encode to itself");
  return value;
}

/**
 * Like `decode`, for an encoding that must be a map.
 * @throws Malformed
 */
export function decodeMap(bytes: Uint8Array): ValueMap {
  const value = decode(bytes);
  if (!isValueMap(value)) throw new Malformed("an object is a map");
  return value;
}

function build(cursor: Cursor): Value {
  cursor.readHead();
  const { argument } = cursor;
  switch (cursor.major) {
    case MAJOR_UNSIGNED:
      return argument;
    case MAJOR_NEGATIVE:
      return -1 - argument;
    case MAJOR_BYTES:
      cursor.offset += argument;
      // Not `slice`: on node's Buffer that is a view.
      return new Uint8Array(cursor.bytes.subarray(cursor.offset - argument, cursor.offset));
    case MAJOR_TEXT:
      return buildText(cursor);
    case MAJOR_LIST: {
      const list: Value[] = [];
      for (let index = 0; index < argument; index += 1) list.push(build(cursor));
      return list;
    }
    case MAJOR_MAP: {
      const map: ValueMap = {};
      for (let index = 0; index < argument; index += 1) {
        cursor.readHead();
        const name = buildText(cursor);
        setMember(map, name, build(cursor));
      }
      return map;
    }
    case MAJOR_SIMPLE:
      if (argument === SIMPLE_NULL) return null;
      if (argument === SIMPLE_TRUE || argument === SIMPLE_FALSE) return argument === SIMPLE_TRUE;
      return cursor.readFloat64();
  }
}

/** Texts up to this many bytes are tried as ASCII first, which beats calling the platform's decoder. */
const SHORT_TEXT_BYTES = 32;

/** The text whose head was read last. */
function buildText(cursor: Cursor): string {
  const { bytes, offset } = cursor;
  const end = offset + cursor.argument;
  cursor.offset = end;
  if (end - offset > SHORT_TEXT_BYTES) return fromUtf8(bytes.subarray(offset, end));
  let text = "";
  for (let index = offset; index < end; index += 1) {
    const byte = bytes[index] ?? 0;
    if (byte >= 0x80) return fromUtf8(bytes.subarray(offset, end));
    text += String.fromCharCode(byte);
  }
  return text;
}
