// Which keys may move a head, as the refs prove it: all of them, and no others.
import { toHex } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { MapKind, ScanVerifier, type Entry } from "../core/map/index.js";
import { headKeysIn, headKeysRange, requireName } from "../core/object/index.js";
import { CommitService } from "../../gen/neleus/v1/commit_pb.js";
import type { NodeReveal } from "../../gen/neleus/v1/proof_pb.js";
import { checkArgument } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { revealBatches, verifying } from "./received.js";
import type { HashArgument, Receipt } from "./records.js";
import { publicKeys } from "./signing.js";
import type { FreshOptions, WriteOptions } from "./transport.js";

/** The keys in a witness of their range. @throws VerificationFailed, IncompleteProof - it is wrong, or does not show all */
export function provedHeadKeys(refsRoot: Digest, head: string, nodes: readonly NodeReveal[]): Uint8Array[] {
  const verifier = new ScanVerifier({ kind: MapKind.refs, root: refsRoot }, headKeysRange(head));
  const entries: Entry[] = [];
  for (const reveals of revealBatches(nodes)) entries.push(...verifier.push(reveals));
  verifier.finish();
  return verifying(`the keys of head "${head}"`, () => headKeysIn(head, entries));
}

/** What keys are asked for and set with. */
interface HeadKeysContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
}

/** See `Heads.keys`. */
export async function listHeadKeys(
  { connection, log }: HeadKeysContext,
  head: string,
  options: FreshOptions = {},
): Promise<Uint8Array[]> {
  checkArgument("head", () => requireName(head));
  const { database } = connection;
  const { answer, seen } = await log.read(
    (known) => connection.unary(CommitService.method.listHeadKeys, { database, head, ...known }, options),
    (message) => message.log,
    options,
  );
  return provedHeadKeys(seen.refsRoot, head, answer.headKeys);
}

/** See `Heads.setKeys`. */
export async function setHeadKeys(
  context: HeadKeysContext,
  head: string,
  asked: {
    readonly keys: readonly HashArgument[];
    readonly options: WriteOptions & { readonly expectedKeys?: readonly HashArgument[] | undefined };
  },
): Promise<Receipt> {
  checkArgument("head", () => requireName(head));
  const { connection, log } = context;
  const { options } = asked;
  const keys = publicKeys(asked.keys, "keys");
  const expected = options.expectedKeys && publicKeys(options.expectedKeys, "expectedKeys");
  const write = log.beginWrite(options);
  const { idempotencyKey } = write;
  const answer = await connection.unary(
    CommitService.method.setHeadKeys,
    {
      database: connection.database,
      head,
      keys,
      ...(expected === undefined ? {} : { expectedKeys: { keys: expected } }),
      idempotencyKey,
    },
    options,
  );
  const receipt = await write.receipt(answer.receipt, options);
  if (write.mayBeEarlier(receipt)) return receipt;
  const has = await listHeadKeys(context, head, callOptions(options));
  if (has.map(toHex).join() === keys.map(toHex).sort().join()) return receipt;
  throw new VerificationFailed(`head "${head}" does not have the ${keys.length} keys that it was given`, {
    facts: { head, keys: String(keys.length), actual: String(has.length) },
  });
}
