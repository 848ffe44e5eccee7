// A client process that a test kills: uploads or downloads without end. Arguments: address, `upload` or `download`.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { BlobService, type BlobServiceUploadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { grpcTransport } from "#src/client/grpc-transport.js";

const [address = "", what] = process.argv.slice(2);
const transport = grpcTransport({ address });
const data = new Uint8Array(64 * 1024);

async function* parts(): AsyncGenerator<MessageInitShape<typeof BlobServiceUploadRequestSchema>> {
  yield { part: { case: "header", value: {} } };
  for (let offset = 0n; ; offset += BigInt(data.length)) {
    yield { part: { case: "data", value: { offset, data } } };
  }
}

if (what === "upload") {
  await transport.clientStream(BlobService.method.upload, parts());
} else {
  for await (const { part } of transport.serverStream(BlobService.method.download, {})) {
    if (part.case === undefined) throw new Error("a part without a case");
  }
}
