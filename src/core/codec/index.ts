// Strict DAG-CBOR (FORMATS §2).
export {
  Cursor,
  MAJOR_BYTES,
  MAJOR_LIST,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_SIMPLE,
  MAJOR_TEXT,
  MAJOR_UNSIGNED,
  SIMPLE_FALSE,
  SIMPLE_FLOAT64,
  SIMPLE_NULL,
  SIMPLE_TRUE,
  headSizeBytes,
  malformedAt,
  simpleByte,
  writeHead,
} from "./head.js";
export type { Head, Major } from "./head.js";
export { decode, decodeMap } from "./decode.js";
export { encode } from "./encode.js";
export { formatPath } from "./path.js";
export type { Path } from "./path.js";
export { requireCanonical } from "./scan.js";
export { isValueMap, setMember } from "./value.js";
export type { Value, ValueMap } from "./value.js";
