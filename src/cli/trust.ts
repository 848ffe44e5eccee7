// neleus trust: the keys that this user trusts, and how far each log was seen.
import type { Command } from "commander";
import { fileTrustStore } from "../client/file-trust-store.js";
import { LogKey, type TrustPlace, type TrustRecord } from "../client/trust/index.js";
import { InvalidArgument, NotFound } from "../core/errors.js";
import { parseCheckpointUnverified } from "../core/log/index.js";
import { group, leaf } from "./command.js";
import { formatTime } from "./commit.js";
import type { Printable } from "./output.js";
import type { Session } from "./session.js";

export function registerTrust(program: Command): void {
  const trust = group(program, "trust", "keys that are trusted, and how far their logs were seen");
  leaf(trust, "list", "everything that is remembered", listTrust);
  leaf(trust, "pin <verifier-key>", "trust this key, and no other, of a --server, or of a directory", pinKey);
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
    `  seen  ${seenSize(record)} leaves, ${formatTime(record.seenMs)}`,
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
