// neleus trust: the keys that this user trusts, and how far each log was seen.
import type { Command } from "commander";
import { fileTrustStore } from "../client/file-trust-store.js";
import type { NewEpochEvidence } from "../client/records.js";
import { LogKey, type TrustPlace, type TrustRecord } from "../client/trust/index.js";
import { InvalidArgument, NewEpoch, NotFound, VerificationFailed } from "../core/errors.js";
import { parseCheckpointUnverified } from "../core/log/index.js";
import { counted } from "./output.js";
import { group, leaf } from "./command.js";
import { formatTime } from "./commit.js";
import type { Printable } from "./output.js";
import type { Session } from "./session.js";

export function registerTrust(program: Command): void {
  const trust = group(program, "trust", "keys that are trusted, and how far their logs were seen");
  leaf(trust, "list", "everything that is remembered", listTrust);
  leaf(trust, "pin <verifier-key>", "trust this key, and no other, of a --server, or of a directory", pinKey);
  leaf(
    trust,
    "accept-epoch",
    "what another epoch of a --server's or directory's log says of itself; with its --key, or --yes, trust it",
    acceptEpoch,
  ).option("--yes", "trust the key that is shown, having asked whoever runs the database");
  leaf(trust, "forget [database-id]", "forget a --server, or a directory's database by its id", forget);
}

async function listTrust(session: Session): Promise<void> {
  for (const { place, record } of await fileTrustStore().list()) {
    await session.output.result(recordMembers(place, record), () => recordText(place, record));
  }
}

function recordMembers(place: TrustPlace, record: TrustRecord): Record<string, Printable> {
  return {
    ...("databaseId" in place ? { id: place.databaseId } : { address: place.address, database: place.database }),
    key: record.verifierKey,
    pinned: record.isPinned,
    ...(record.followed === undefined ? {} : { followed: record.followed }),
    size: seenSize(record),
    since: record.sinceMs,
    seen: record.seenMs,
  };
}

function recordText(place: TrustPlace, record: TrustRecord): string {
  const where = "databaseId" in place ? `directory  ${place.databaseId}` : `${place.address}  ${place.database}`;
  const how = record.isPinned ? "pinned" : "trusted on first use";
  return [
    where,
    `  key   ${record.verifierKey}`,
    `  ${how}, ${formatTime(record.sinceMs)}`,
    `  seen  ${counted(seenSize(record), "leaf", "leaves")}, ${formatTime(record.seenMs)}`,
  ].join("\n");
}

/** Leaves of the largest checkpoint seen. */
function seenSize({ checkpoints }: TrustRecord): number {
  return Math.max(0, ...checkpoints.map((note) => parseCheckpointUnverified(note).size));
}

/** Where the server is asked for is its address; a directory is known by the id in its key. */
async function pinKey(session: Session, args: readonly string[]): Promise<void> {
  const key = LogKey.parse(args[0] ?? "");
  const place = (await session.serverPlace()) ?? { databaseId: key.databaseId };
  const nowMs = Date.now();
  await fileTrustStore().update(place, (present) => {
    // Of another key nothing was seen.
    const same = present?.verifierKey === key.text ? present : undefined;
    const checkpoints = same?.checkpoints ?? [];
    return { verifierKey: key.text, isPinned: true, checkpoints, sinceMs: same?.sinceMs ?? nowMs, seenMs: nowMs };
  });
  await session.output.result({ ...placeMembers(place), key: key.text, pinned: true }, () => `pinned ${key.text}`);
}

async function acceptEpoch(
  session: Session,
  _args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const met = await metEpoch(session);
  if (met === undefined) {
    const { verifierKey } = (await session.clientByMemory()).trust.state;
    return session.output.result(
      { accepted: false, key: verifierKey },
      () => `the log goes on with its key ${verifierKey}`,
    );
  }
  const { evidence } = met;
  const { key } = session.globals;
  if (key !== undefined && key !== evidence.verifierKey) {
    throw new VerificationFailed("the server presents another key than the one given", {
      facts: { expected: key, actual: evidence.verifierKey },
      evidence,
    });
  }
  const isAccepted = key !== undefined || options["yes"] === true;
  if (isAccepted) await session.acceptEpoch(evidence.verifierKey);
  await session.output.result(
    {
      accepted: isAccepted,
      key: evidence.verifierKey,
      trusted_key: evidence.trustedKey,
      reason: evidence.reason,
      previous: evidence.previous,
      checkpoint: evidence.checkpoint,
      seen: evidence.seen,
    },
    () => epochText(evidence, isAccepted),
  );
  if (!isAccepted) {
    throw new NewEpoch(met.message, {
      hint: "ask whoever runs it, by another way than this server; then again, with --key KEY, or --yes",
      facts: met.facts,
    });
  }
}

/** The epoch that what is remembered does not lead to; undefined where it leads to the one that is there. */
async function metEpoch(session: Session): Promise<(NewEpoch & { readonly evidence: NewEpochEvidence }) | undefined> {
  try {
    await session.clientByMemory();
    return undefined;
  } catch (error) {
    if (error instanceof NewEpoch && error.evidence !== undefined) {
      return error as NewEpoch & { readonly evidence: NewEpochEvidence };
    }
    throw error;
  }
}

function epochText(evidence: NewEpochEvidence, isAccepted: boolean): string {
  const { verifierKey, trustedKey, reason, previous, checkpoint, seen } = evidence;
  const size = (note: string | undefined): string =>
    note === undefined
      ? "not shown"
      : `${counted(parseCheckpointUnverified(note).size, "leaf", "leaves")}\n${note.replace(/^(?=.)/gm, "    ")}`;
  return [
    `key         ${verifierKey}`,
    `${isAccepted ? "before" : "trusted"}${" ".repeat(isAccepted ? 6 : 5)}${trustedKey}`,
    `reason      ${reason ?? "not shown"}`,
    `previous    ${size(previous)}`,
    `checkpoint  ${size(checkpoint)}`,
    `seen        ${seen === undefined ? "nothing" : size(seen)}`,
    isAccepted ? "trusted from now on" : "not trusted",
  ].join("\n");
}

async function forget(session: Session, args: readonly string[]): Promise<void> {
  const [id] = args;
  const server = await session.serverPlace();
  if ((id === undefined) === (server === undefined)) {
    throw new InvalidArgument("say what to forget: --server, or the id of a directory's database", { field: "server" });
  }
  const place = server ?? { databaseId: id ?? "" };
  const store = fileTrustStore();
  const record = await store.load(place);
  await store.update(place, () => undefined);
  if (record === undefined) {
    throw new NotFound("nothing is remembered of that", {
      hint: "see: neleus trust list",
      facts: { kind: "trust" },
    });
  }
  await session.output.result({ ...placeMembers(place), forgotten: true }, () => "forgotten");
}

function placeMembers(place: TrustPlace): Record<string, Printable> {
  return "databaseId" in place ? { id: place.databaseId } : { address: place.address, database: place.database };
}
