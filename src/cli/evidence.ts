// What a server that rolled back or forked has signed, written down: the only thing that shows it to a third person.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { defaultTrustFile } from "../client/file-trust-store.js";
import { Forked, NewEpoch, RolledBack } from "../core/errors.js";

/**
 * Writes the evidence that an error carries to a file beside the trust file.
 * @returns its path; undefined where there is none, or it cannot be written
 */
export async function writeEvidence(error: unknown, nowMs: number): Promise<string | undefined> {
  const isOfHistory = error instanceof Forked || error instanceof RolledBack || error instanceof NewEpoch;
  if (!isOfHistory || error.evidence === undefined) return undefined;
  const { code, message, facts, evidence } = error;
  const name = `${new Date(nowMs).toISOString().replaceAll(":", "")}-${code.toLowerCase()}.json`;
  try {
    const path = join(dirname(defaultTrustFile()), "evidence", name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, `${JSON.stringify({ code, message, facts, evidence }, undefined, 2)}\n`, { flag: "wx" });
    return path;
  } catch {
    return undefined;
  }
}
