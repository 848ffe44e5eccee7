// HTTP/2 frames by hand, for what no HTTP/2 library lets one send: a reset without an end before it, half a frame.
import { frame as grpcFrame } from "./raw-client.js";

export const FrameType = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4 } as const;
export const END_STREAM = 1;
const END_HEADERS = 4;

/** What a client sends first. */
export const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  http2Frame({ type: FrameType.SETTINGS, streamId: 0, payload: Buffer.alloc(0) }),
]);

export function http2Frame(frame: { type: number; flags?: number; streamId: number; payload: Buffer }): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(frame.payload.length, 0, 3);
  header[3] = frame.type;
  header[4] = frame.flags ?? 0;
  header.writeUInt32BE(frame.streamId, 5);
  return Buffer.concat([header, frame.payload]);
}

/** The headers of a call, each a literal without indexing. */
export function headersFrame(path: string, streamId: number, extra: Record<string, string> = {}): Buffer {
  const fields = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "raw",
    "content-type": "application/grpc",
    te: "trailers",
    ...extra,
  };
  const literal = (text: string): Buffer => {
    const bytes = Buffer.from(text, "latin1");
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  };
  const parts = Object.entries(fields).map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
  );
  return http2Frame({ type: FrameType.HEADERS, flags: END_HEADERS, streamId, payload: Buffer.concat(parts) });
}

export function messageFrame(message: Uint8Array, streamId: number): Buffer {
  return http2Frame({ type: FrameType.DATA, streamId, payload: grpcFrame(message) });
}

export function resetFrame(code: number, streamId: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return http2Frame({ type: FrameType.RST_STREAM, streamId, payload });
}
