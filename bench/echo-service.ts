// A bare grpc-js server, with bytes as messages: the baseline of what goes over gRPC.
import { once, type EventEmitter } from "node:events";
import type { Writable } from "node:stream";
import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";

export const passBytes = (bytes: Buffer): Buffer => bytes;
const codec = {
  requestSerialize: passBytes,
  requestDeserialize: passBytes,
  responseSerialize: passBytes,
  responseDeserialize: passBytes,
};

/** Messages that a Download is asked for: how many, of how many bytes. */
export function downloadRequest(messages: { readonly count: number; readonly sizeBytes: number }): Buffer {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(messages.count, 0);
  request.writeUInt32BE(messages.sizeBytes, 4);
  return request;
}

/** Serves Echo, Download and Upload of `/bench.Echo/` on a free port of the loopback, and says where. */
export function listenEcho(): Promise<string> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  server.addService(
    {
      echo: { path: "/bench.Echo/Echo", requestStream: false, responseStream: false, ...codec },
      download: { path: "/bench.Echo/Download", requestStream: false, responseStream: true, ...codec },
      upload: { path: "/bench.Echo/Upload", requestStream: true, responseStream: false, ...codec },
    },
    {
      echo: (call: ServerUnaryCall<Buffer, Buffer>, respond: (error: null, answer: Buffer) => void) =>
        respond(null, call.request),
      download: (call: ServerWritableStream<Buffer, Buffer>) => {
        // The request says how many messages of how many bytes.
        void writeAll(call, { count: call.request.readUInt32BE(0), sizeBytes: call.request.readUInt32BE(4) });
      },
      upload: (call: ServerReadableStream<Buffer, Buffer>, respond: (error: null, answer: Buffer) => void) => {
        call.on("data", () => undefined);
        call.on("end", () => respond(null, Buffer.alloc(0)));
      },
    },
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

/** Writes so many messages as fast as the stream takes them, and ends it. */
export async function writeAll(
  stream: EventEmitter & Pick<Writable, "write" | "end">,
  messages: { readonly count: number; readonly sizeBytes: number },
): Promise<void> {
  const data = Buffer.alloc(messages.sizeBytes);
  for (let count = 0; count < messages.count; count += 1) {
    if (!stream.write(data)) await once(stream, "drain");
  }
  stream.end();
}
