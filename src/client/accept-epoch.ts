// Trusts another epoch of a log because a person says so: a restored or cloned database cannot show that it may be.
import { NotFound, VerificationFailed } from "../core/errors.js";
import { getCapabilities } from "./capabilities.js";
import { Connection } from "./connection.js";
import { openPresented } from "./epochs.js";
import type { AcceptedEpoch } from "./records.js";
import type { Transport } from "./transport.js";
import { LogKey, presentedKey, type TrustPlace, type TrustStore } from "./trust/index.js";

export interface AcceptEpochOptions {
  /** The key to trust from now on: what a `NewEpoch` has in its evidence, once whoever runs the database has confirmed it. */
  readonly verifierKey: string;
  readonly trustStore: TrustStore;
  /** Name of the database; default `default`. */
  readonly database?: string | undefined;
  /** Milliseconds since 1970; default: the system's clock. */
  readonly clock?: (() => number) | undefined;
}

/**
 * Has the record of a place name the key of the epoch that is there now. What was seen of the log before no longer counts.
 * Closes the transport.
 * @throws NotFound - kind `trust`: nothing is remembered of the place
 * @throws VerificationFailed - the server presents another key, one of another database, or does not show how its log began
 */
export async function acceptEpochOver(transport: Transport, options: AcceptEpochOptions): Promise<AcceptedEpoch> {
  try {
    return await accept(transport, options);
  } finally {
    await transport.close();
  }
}

async function accept(transport: Transport, options: AcceptEpochOptions): Promise<AcceptedEpoch> {
  const { verifierKey, trustStore, database = "default", clock = Date.now } = options;
  const connection = new Connection(transport, database);
  const key = LogKey.parse(verifierKey);
  const presented = presentedKey((await getCapabilities(connection)).verifierKey, undefined);
  if (presented.text !== key.text) {
    throw new VerificationFailed("the server presents another key than the one that is to be accepted", {
      facts: { expected: key.text, actual: presented.text },
    });
  }
  const place: TrustPlace =
    transport.isInProcess === true ? { databaseId: key.databaseId } : { address: transport.address, database };
  const record = await trustStore.load(place);
  if (record === undefined) {
    throw new NotFound("nothing is remembered of that place: its key is trusted when it is first met, or pinned", {
      hint: "neleus trust pin KEY",
      facts: { kind: "trust" },
    });
  }
  const trusted = LogKey.parse(record.verifierKey);
  if (!trusted.isOfSameDatabase(key)) throw trusted.mismatch(key);
  const opened = await openPresented(connection, key, {});
  if (opened === undefined) throw new VerificationFailed("the server does not show how its log began");
  const { checkpoint, first } = opened;
  const nowMs = clock();
  await trustStore.update(place, (present) => {
    // Somebody was first: with this key, or with one that is not this caller's to replace.
    if (present?.verifierKey !== record.verifierKey || present.verifierKey === key.text) return present;
    return { verifierKey: key.text, isPinned: true, checkpoints: [checkpoint.note], sinceMs: nowMs, seenMs: nowMs };
  });
  return { verifierKey: key.text, reason: first.reason, previous: first.previous, checkpoint };
}
