// The client of a server, over gRPC. Imports no engine and no store.
import type { Database } from "./contract.js";
import { acceptEpochOver, type AcceptEpochOptions } from "./accept-epoch.js";
import { openOver } from "./database.js";
import { grpcTransport, type GrpcTransportOptions } from "./grpc-transport.js";
import { nativeSignatureCheck } from "./native-signature.js";
import type { DatabaseOptions, FirstUseNotice } from "./options.js";
import type { AcceptedEpoch } from "./records.js";

/** Settings of the client and of its connection. */
export type ConnectOptions = DatabaseOptions & Omit<GrpcTransportOptions, "address">;

/**
 * A client of a database on a server: `host:port`, `https://host:port` or `unix:/path`. Where no key is pinned, the one that
 * the server presents is trusted, and `onTrustOnFirstUse` is told; by default that is a process warning.
 * @throws InvalidArgument - no address, a malformed key or token
 * @throws NotFound - no such database
 * @throws NewEpoch, VerificationFailed - the server has another key than the pinned one
 * @throws Unavailable, … - the server cannot be reached
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Database> {
  const onTrustOnFirstUse = options.onTrustOnFirstUse ?? warnOfFirstUse;
  const platform = { makeSignatureCheck: nativeSignatureCheck };
  return openOver(grpcTransport({ ...options, address }), { ...options, onTrustOnFirstUse }, platform);
}

/**
 * Trusts another epoch of the log of a database on a server, because a person says so. Errors as of `connect`, and
 * @throws NotFound - kind `trust`: nothing is remembered of the place
 * @throws VerificationFailed - the server presents another key, one of another database, or does not show how its log began
 */
export async function acceptEpoch(
  address: string,
  options: AcceptEpochOptions & Omit<GrpcTransportOptions, "address">,
): Promise<AcceptedEpoch> {
  return acceptEpochOver(grpcTransport({ ...options, address }), options);
}

function warnOfFirstUse(notice: FirstUseNotice): void {
  process.emitWarning(
    `trusting the key that ${notice.address} presents for database "${notice.database}", ` +
      `because none was pinned: pass verifierKey: ${JSON.stringify(notice.verifierKey)}`,
    { type: "TrustOnFirstUse", code: "NELEUS_TRUST_ON_FIRST_USE" },
  );
}
