// The evidence of a refusal, written down (FORMATS §10): what shows it to a third person, as far as anything does.
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { evidenceOf, type Evidence } from "../client/evidence.js";
import { defaultTrustFile, fileTrustStore } from "../client/file-trust-store.js";
import type { Session } from "./session.js";

/**
 * Writes the evidence of a refusal to a file beside the trust file. A file that was checked by `verify` leaves none: it is the evidence.
 * @returns its path; undefined where there is none, or it cannot be written, which is told
 */
export async function writeEvidence(error: unknown, session: Session, nowMs: number): Promise<string | undefined> {
  if (!session.hasOpened) return undefined;
  try {
    return await write(error, session, nowMs);
  } catch (cause) {
    // The refusal counts, whatever becomes of its evidence.
    const why = cause instanceof Error ? cause.message : String(cause);
    session.output.notice(`neleus: the evidence of this refusal could not be written: ${why}`);
    return undefined;
  }
}

async function write(error: unknown, session: Session, nowMs: number): Promise<string | undefined> {
  const evidence = evidenceOf(error, { timeMs: nowMs, place: session.place, answers: session.answers });
  if (evidence === undefined) return undefined;
  const { code } = evidence.refused;
  const time = new Date(nowMs).toISOString().replaceAll(":", "");
  // Several commands may be refused at one instant.
  const name = `${time}-${code.toLowerCase().replaceAll("_", "-")}-${randomUUID().slice(0, 8)}.json`;
  const path = join(dirname(defaultTrustFile()), "evidence", name);
  const whole = await withKey(evidence, session);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(path, `${JSON.stringify(whole, undefined, 2)}\n`, { flag: "wx", mode: 0o600 });
  return path;
}

/** With the key that was trusted: given, or else the one that is remembered by the name that the checkpoints bear. */
async function withKey(evidence: Evidence, session: Session): Promise<Evidence> {
  const key = evidence.verifier_key ?? session.globals.key ?? (await rememberedKey(evidence));
  if (key === undefined) return evidence;
  const { type, refused, exhibits } = evidence;
  return { type, refused, verifier_key: key, exhibits };
}

async function rememberedKey({ exhibits }: Evidence): Promise<string | undefined> {
  const notes = exhibits.flatMap((exhibit) => (exhibit.kind === "checkpoint" ? [exhibit.note] : []));
  const records = await fileTrustStore().list();
  // The name of a verifier key is the origin, which is the first line of a note.
  const isOf = (key: string): boolean => notes.some((note) => key.startsWith(`${note.split("\n", 1)[0] ?? ""}+`));
  return records.map(({ record }) => record.verifierKey).find(isOf);
}
