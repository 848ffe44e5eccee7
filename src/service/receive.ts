// Content that a client streams in: a header, data at consecutive offsets, an explicit finish. One way for blobs and
// documents.
//
// Nothing but the finish commits. The end of the stream without it is an error, and whichever way the call ends, the
// engine's end of it is closed before the caller hears of it, so that no upload stays in use.
import type { UploadData, UploadFinish } from "../../gen/neleus/v1/blob_pb.js";
import { MAX_UPLOAD_DATA_BYTES } from "../core/limits.js";
import type { Incoming, UploadFinish as UploadClaim } from "../database/index.js";
import { equalBytes } from "../core/bytes.js";
import { incoming } from "./incoming.js";
import { endedBy } from "./pace.js";
import { blobHashField, forField, integerField, invalid } from "./request.js";

/** A part of a stream in, as the generated messages hold it. */
export type Part<H> =
  | { readonly case: "header"; readonly value: H }
  | { readonly case: "data"; readonly value: UploadData }
  | { readonly case: "finish"; readonly value: UploadFinish }
  | { readonly case: undefined; readonly value?: undefined };

export interface ReceiveOptions<H, T> {
  readonly requests: AsyncIterable<{ readonly part: Part<H> }>;
  readonly signal: AbortSignal;
  /** Checks the header, and opens what takes the bytes. */
  readonly begin: (header: H) => Promise<Opened<T>>;
}

/** What a header leads to: bytes are taken, or nothing more is needed. */
export type Opened<T> =
  | {
      readonly sink: Incoming<T>;
      /** What the header says of the content. */
      readonly declared?: UploadClaim | undefined;
    }
  | { readonly answer: T };

/**
 * Takes a stream in and stores it. What comes after the finish is not read, and nothing where the header is enough.
 * @throws InvalidArgument - parts out of order or missing, data over 1 MiB, a size or hash that does not match what
 *   arrived or was declared
 * @throws Conflict - the first data message is not where the engine wants to go on
 */
export async function receive<H, T>(options: ReceiveOptions<H, T>): Promise<T> {
  const requests = incoming(options.requests, options.signal);
  try {
    const first = await requests.next();
    const header = first.done === true ? undefined : first.value.part;
    if (header?.case !== "header") throw invalid("part", `the stream begins with ${nameOf(header)}, not with a header`);
    const opened = await options.begin(header.value);
    if ("answer" in opened) return opened.answer;
    try {
      return await fill(opened, requests, options.signal);
    } finally {
      await opened.sink.close();
    }
  } finally {
    await requests.return();
  }
}

interface Taking<T> {
  readonly sink: Incoming<T>;
  readonly declared?: UploadClaim | undefined;
}

async function fill<H, T>(
  taking: Taking<T>,
  requests: AsyncIterable<{ readonly part: Part<H> }>,
  signal: AbortSignal,
): Promise<T> {
  const { sink, declared } = taking;
  let hasData = false;
  for await (const { part } of requests) {
    if (part.case === "finish") return finish(taking, part.value, signal);
    if (part.case !== "data") throw invalid("part", `${nameOf(part)} comes where data or the finish belongs`);
    const end = sink.sizeBytes + part.value.data.length;
    if (declared !== undefined && end > declared.sizeBytes) {
      throw invalid("data.data", `${end} bytes have arrived, where the header declared ${declared.sizeBytes}`);
    }
    await append(sink, part.value, { mustFollow: hasData });
    hasData = true;
  }
  throw invalid("part", `the stream ends after ${sink.sizeBytes} bytes without a finish; nothing was stored`);
}

async function append(sink: Incoming<unknown>, part: UploadData, order: { mustFollow: boolean }): Promise<void> {
  const offset = integerField(part.offset, "data.offset");
  if (part.data.length > MAX_UPLOAD_DATA_BYTES) {
    throw invalid("data.data", `${part.data.length} bytes, and ${MAX_UPLOAD_DATA_BYTES} is the most in one message`);
  }
  // The engine refuses the first offset, which a resuming client may have wrong through no fault of its own: a conflict.
  // Later ones are the client's own counting.
  if (order.mustFollow && offset !== sink.sizeBytes) {
    throw invalid("data.offset", `${offset}, where the bytes so far end at ${sink.sizeBytes}`);
  }
  await sink.append(offset, part.data);
}

async function finish<T>({ sink, declared }: Taking<T>, claim: UploadFinish, signal: AbortSignal): Promise<T> {
  const sizeBytes = integerField(claim.size, "finish.size");
  const hash = blobHashField(claim.hash, "finish.hash");
  if (sizeBytes !== sink.sizeBytes) {
    throw invalid("finish.size", `${sizeBytes}, where ${sink.sizeBytes} bytes have arrived`);
  }
  if (declared !== undefined && (sizeBytes !== declared.sizeBytes || !equalBytes(hash, declared.hash))) {
    const field = sizeBytes === declared.sizeBytes ? "finish.hash" : "finish.size";
    throw invalid(field, "not what the header declared", "declare the content as it is, or leave it out of the header");
  }
  // The size is right, so what the engine finds wrong is the hash.
  return forField("finish.hash", endedBy(signal, sink.finish({ sizeBytes, hash }, { signal })));
}

function nameOf(part: Part<unknown> | undefined): string {
  if (part === undefined) return "its end";
  return part.case === undefined ? "a message without a part" : `a ${part.case} message`;
}
