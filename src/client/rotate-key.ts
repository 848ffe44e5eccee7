// Changes the key of a log: announced first, taken into force later (FORMATS §7).
import { VerificationFailed } from "../core/errors.js";
import { parseVerifierKey, verifyNote } from "../core/log/index.js";
import { AdminService } from "../../gen/neleus/v1/admin_pb.js";
import { callOptions, type Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { verifying } from "./received.js";
import type { RotatedKey, RotateKeyOptions } from "./records.js";
import { presentedKey } from "./trust/index.js";
import type { CallOptions } from "./transport.js";

/** See `Database.rotateKey`. */
export async function rotateKey(
  { connection, log }: { readonly connection: Connection; readonly log: FollowedLog },
  options: RotateKeyOptions & CallOptions,
): Promise<RotatedKey> {
  const finish = options.step !== "announce";
  const unannounced = options.step === "finish-unannounced";
  const { database } = connection;
  // What is done to it is done to the log that this client follows.
  await log.checkpoint(options);
  const request = { database, finish, unannounced };
  const answer = await connection.unary(AdminService.method.rotateKey, request, callOptions(options));
  const { verifierKey, nextVerifierKey, checkpoint: note } = answer;
  if (unannounced) {
    const checkpoint = presentedKey(verifierKey, undefined).open(note);
    return { verifierKey, nextVerifierKey: undefined, checkpoint };
  }
  // That a key is announced shows in that it signs: whoever trusts it without that trusts nobody.
  if (!finish) verifying("the announced key", () => verifyNote(note, [parseVerifierKey(nextVerifierKey)]));
  await log.checkpoint(options);
  if (log.trust.key.text !== verifierKey) {
    throw new VerificationFailed("the log goes on with another key than the answer says", {
      facts: { expected: verifierKey, actual: log.trust.key.text },
      evidence: answer,
    });
  }
  const checkpoint = log.trust.remember(note);
  return { verifierKey, nextVerifierKey: finish ? undefined : nextVerifierKey, checkpoint };
}
