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
  writeHead,
} from "./head.js";
export type { Head, Major } from "./head.js";
