// What we need of grpc-js 1.14.7 that it has no public way for. Everything that reaches into its private fields is here,
// each piece falls back to doing nothing where a field is not what it was, and test/server/grpc-internals.test.ts fails
// when that happens, so that a new version of grpc-js is not taken unawares.
import type { Server } from "@grpc/grpc-js";
import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { WireStatus } from "./status.js";

interface ServerInternals {
  readonly commonServerOptions?: { settings?: { initialWindowSize?: number } };
  readonly http2Servers?: Map<Http2Server, unknown>;
}

interface CallInternals {
  readonly call?: CallInternals;
  readonly nextCall?: CallInternals;
  readonly stream?: ServerHttp2Stream;
  readonly cancelled?: boolean;
  serializeMessage?(message: unknown): unknown;
}

/**
 * Sets the receive window of each stream. The option that sets it on clients does nothing on servers, and without it an
 * upload is held to 64 KiB a round trip: 2.5 to 4 times slower. Call before the server makes its HTTP/2 server.
 * @returns false where it was not possible
 */
export function setStreamWindow(server: Server, windowBytes: number): boolean {
  const options = (server as unknown as ServerInternals).commonServerOptions;
  if (options === undefined) return false;
  options.settings = { ...options.settings, initialWindowSize: windowBytes };
  return true;
}

/**
 * Sets the receive window of each connection, mends request headers, and tells of each stream that is opened. Call once the
 * HTTP/2 server is made.
 * @returns false where it was not possible
 */
export function prepareConnections(
  server: Server,
  options: { readonly windowBytes: number; readonly onStream: (stream: ServerHttp2Stream) => void },
): boolean {
  const servers = (server as unknown as ServerInternals).http2Servers;
  if (servers === undefined || servers.size === 0) return false;
  for (const http2Server of servers.keys()) {
    http2Server.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(options.windowBytes));
    http2Server.prependListener("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      dropOverlongTimeout(headers);
      options.onStream(stream);
    });
  }
  return true;
}

/** Longest wait that a timer of Node takes, in milliseconds: about 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MS_OF_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000 };

/** A deadline that lies beyond what a timer takes overflows to "now" in grpc-js; nobody waits that long, so drop it. */
function dropOverlongTimeout(headers: IncomingHttpHeaders): void {
  const match = /^(\d{1,8})([HMS])$/.exec(String(headers["grpc-timeout"] ?? ""));
  const timeoutMs = Number(match?.[1]) * (MS_OF_UNIT[match?.[2] ?? ""] ?? 0);
  if (timeoutMs > MAX_TIMER_MS) delete headers["grpc-timeout"];
}

interface StreamHolder extends CallInternals {
  readonly stream: ServerHttp2Stream;
}

/** The part of a call that holds its HTTP/2 stream; undefined where it cannot be reached. */
function innermost(call: object): StreamHolder | undefined {
  let inner: CallInternals | undefined = (call as CallInternals).call;
  // Interceptors wrap the call that holds the stream.
  for (let depth = 0; inner !== undefined && inner.stream === undefined && depth < 8; depth += 1)
    inner = inner.nextCall;
  return typeof inner?.stream?.close === "function" ? (inner as StreamHolder) : undefined;
}

/** The HTTP/2 stream of a call; undefined where it cannot be reached. */
export function streamOf(call: object): ServerHttp2Stream | undefined {
  return innermost(call)?.stream;
}

/**
 * True where a call is over before its handler was reached: grpc-js tells of an end only whom it has given the call, and
 * gives it to a handler all the same when the end of the requests comes later.
 * @returns false also where it was not possible to tell
 */
export function hasEnded(call: object): boolean {
  const inner = innermost(call);
  return inner !== undefined && (inner.cancelled === true || inner.stream.destroyed || inner.stream.closed);
}

/**
 * Ends the HTTP/2 stream of a call at once, dropping what the peer has not taken. A status could not reach a peer that
 * does not read, and without this its stream would stay until the connection ends.
 * @returns false where it was not possible
 */
export function resetStream(call: object): boolean {
  const stream = streamOf(call);
  if (stream === undefined) return false;
  if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
  return true;
}

/**
 * Answers a stream of which no handler knows yet, with a status alone, and ends it: the code is that of RFC 9113 §8.1, by
 * which the peer keeps the answer. grpc-js takes it for a call that was cancelled, and reaches no handler any more.
 */
export function refuseStream(stream: ServerHttp2Stream, status: WireStatus): void {
  if (stream.closed || stream.destroyed) return;
  if (!stream.headersSent) {
    const headers = {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": String(status.code),
      "grpc-message": encodeURI(status.details),
      ...status.metadata.toHttp2Headers(),
    };
    stream.respond(headers, { endStream: true });
  }
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/**
 * Ends the requests of a call that has been given its status, unless the peer ends them itself within a while. grpc-js
 * would read and drop for ever what such a peer goes on sending, in a stream that counts as no call. The code is that of
 * RFC 9113 §8.1, by which the peer keeps the answer.
 * @returns false where it was not possible
 */
export function endRequests(call: object, withinMs: number): boolean {
  const stream = streamOf(call);
  if (stream === undefined) return false;
  if (stream.closed || stream.destroyed) return true;
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), withinMs);
  stream.once("close", () => clearTimeout(timer));
  return true;
}

/** Bytes before a message: one that says that it is not compressed, four of its length. */
export const FRAME_HEAD_BYTES = 5;

/**
 * Makes a call take messages with their frame around them, as they are sent. grpc-js would copy each into a new array; in a
 * stream of large ones, collecting those takes as long as hashing the content.
 * @returns false where it was not possible: then messages have to be given without
 */
export function takeFrames(call: object): boolean {
  const inner = innermost(call);
  if (typeof inner?.serializeMessage !== "function") return false;
  inner.serializeMessage = (frame) => frame;
  return true;
}
