// How a failed call is told to its caller: a gRPC status, and a serialized google.rpc.Status in its metadata.
import { Metadata } from "@grpc/grpc-js";
import type { CallStatus } from "../service/errors.js";

/** A status as grpc-js sends it. */
export interface WireStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** The name under which every gRPC implementation looks for details. */
const DETAILS_KEY = "grpc-status-details-bin";

/** The status as grpc-js sends it. */
export function wireStatus({ code, message, details }: CallStatus): WireStatus {
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(details.buffer, details.byteOffset, details.byteLength));
  return { code, details: message, metadata };
}
