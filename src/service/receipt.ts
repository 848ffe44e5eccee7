// The message Receipt, and failures behind a write that it would have confirmed.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReceiptSchema } from "../../gen/neleus/v1/proof_pb.js";
import { NeleusError } from "../core/errors.js";
import type { Receipt } from "../database/index.js";

export function receiptMessage(receipt: Receipt): MessageInitShape<typeof ReceiptSchema> {
  return { logIndex: BigInt(receipt.logIndex), checkpoint: receipt.checkpoint };
}

/** The error where an answer could not be made though its write is durable: it says so, lest it be written twice. */
export function afterWrite(error: unknown): unknown {
  if (!(error instanceof NeleusError)) return error;
  const { code, message, field, facts } = error;
  const details = { ...(field === undefined ? {} : { field }), facts: { ...facts, outcome: "applied" } };
  const hint = "the write was applied and is durable: read back what it changed before you try again";
  return new NeleusError(code, message, { ...details, hint }, { cause: error });
}
