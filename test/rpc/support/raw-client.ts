// A gRPC client that does as a test says: HTTP/2 by Node, the rest by hand.
import { connect as connectSocket } from "node:net";
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { TestContext } from "node:test";

/** How a call ended. */
export interface RawEnd {
  readonly httpStatus: number | undefined;
  /** grpc-status, if one came. */
  readonly status: number | undefined;
  readonly message: string;
  readonly details: Buffer | undefined;
  readonly resetCode: number;
  readonly received: Buffer;
}

export class RawCall {
  readonly stream: ClientHttp2Stream;
  /** Resolves when the stream has closed, however. */
  readonly ended: Promise<RawEnd>;

  constructor(stream: ClientHttp2Stream, options: { readonly reads: boolean }) {
    this.stream = stream;
    const headers: Record<string, unknown> = {};
    const received: Buffer[] = [];
    stream.on("response", (fields) => void Object.assign(headers, fields));
    stream.on("trailers", (fields) => void Object.assign(headers, fields));
    stream.on("error", () => undefined);
    if (options.reads) stream.on("data", (bytes: Buffer) => received.push(bytes));
    this.ended = new Promise((resolve) => {
      stream.on("close", () => {
        const text = (name: string): string | undefined => headers[name] as string | undefined;
        const status = text("grpc-status");
        const details = text("grpc-status-details-bin");
        resolve({
          httpStatus: headers[":status"] as number | undefined,
          status: status === undefined ? undefined : Number(status),
          message: decodeURIComponent(text("grpc-message") ?? ""),
          details: details === undefined ? undefined : Buffer.from(details, "base64"),
          resetCode: stream.rstCode,
          received: Buffer.concat(received),
        });
      });
    });
  }

  /** Sends one message. */
  send(message: Uint8Array): this {
    this.stream.write(frame(message));
    return this;
  }

  /** Half-closes. */
  end(): this {
    this.stream.end();
    return this;
  }
}

export class RawClient {
  readonly session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on("error", () => undefined);
  }

  /** Opens a call. Without `reads` nothing of the answer is taken. */
  call(path: string, options: { readonly headers?: OutgoingHttpHeaders; readonly reads?: boolean } = {}): RawCall {
    const stream = this.session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      "content-type": "application/grpc",
      te: "trailers",
      ...options.headers,
    });
    return new RawCall(stream, { reads: options.reads ?? true });
  }
}

/** A connection to a server's address, closed when the test ends. */
export function connectRaw(t: TestContext, address: string, settings: { initialWindowSize?: number } = {}): RawClient {
  const socket = openSocket(address);
  const session = connect("http://raw", { createConnection: () => socket, settings });
  t.after(() => session.destroy());
  return new RawClient(session);
}

export function openSocket(address: string): ReturnType<typeof connectSocket> {
  if (address.startsWith("unix:")) return connectSocket({ path: address.slice("unix:".length) });
  const [host = "", port = ""] = address.split(/:(?=\d+$)/);
  return connectSocket({ host, port: Number(port) });
}

/** A message as gRPC frames it. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const framed = Buffer.alloc(5 + message.length);
  framed[0] = flag;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}
