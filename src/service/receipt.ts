// The message Receipt.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReceiptSchema } from "../../gen/neleus/v1/proof_pb.js";
import type { Receipt } from "../database/index.js";

export function receiptMessage(receipt: Receipt): MessageInitShape<typeof ReceiptSchema> {
  return { logIndex: BigInt(receipt.logIndex), checkpoint: receipt.checkpoint };
}
