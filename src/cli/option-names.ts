// Errors in the words of the command line. What a library call or a request field is called, the user has not typed: an error
// about one names the option or argument that it came from.
import { InvalidArgument } from "../core/errors.js";

/** Fields of requests and calls, and what they are called here. A place in a list is left out: `manifests[0]`. */
const OPTION_OF: Readonly<Record<string, string>> = {
  "header.source": "source",
  "header.title": "title",
  "header.media": "media",
  "header.time": "time",
  "header.meta": "meta",
  "chunking.method": "method",
  "chunking.size": "chunk-size",
  "chunking.overlap": "overlap",
  "header.chunking.method": "method",
  "header.chunking.size": "chunk-size",
  "header.chunking.overlap": "overlap",
  upload_id: "upload-id",
  "header.upload_id": "upload-id",
  verifierKey: "key",
  idempotencyKey: "idempotency-key",
  idempotency_key: "idempotency-key",
  "header.idempotency_key": "idempotency-key",
  maxBytes: "max-bytes",
  max_bytes: "max-bytes",
  manifests: "manifest",
  signatures: "signature",
  originHost: "origin-host",
  withCosignatures: "with-cosignatures",
  with_cosignatures: "with-cosignatures",
  witnesses: "witness",
};

/** The error with its field as the user knows it, in the text too. Other errors come back unchanged. */
export function inOptions(error: unknown): unknown {
  if (!(error instanceof InvalidArgument) || error.field === undefined) return error;
  const { field, hint, facts, message } = error;
  const option = OPTION_OF[field.replace(/\[[0-9]+\]$/, "")];
  if (option === undefined) return error;
  const text = message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  const details = { field: option, ...(hint === undefined ? {} : { hint }), facts };
  return new InvalidArgument(`--${option}: ${text}`, details, { cause: error });
}
