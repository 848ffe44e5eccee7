// Compiles against the packed package's types; never run.
import { connect, create, NeleusError, open, type Database, type StateEntry } from "neleus";
import { hashBlob } from "neleus/core";
import { startServer, createServices } from "neleus/server";
import type { Store } from "neleus/store";
import { parseProof, verifyProof } from "neleus/verify";
import { verifyProofFile, type ProofReport } from "neleus/verify/browser";

async function use(db: Database): Promise<readonly StateEntry[]> {
  await db.state("main").put("key", "value");
  const snapshot = await db.snapshot("main");
  const entries: StateEntry[] = [];
  for await (const entry of snapshot.scan({ prefix: "k" })) entries.push(entry);
  return entries;
}

export const uses = [
  connect,
  create,
  open,
  hashBlob,
  startServer,
  createServices,
  parseProof,
  verifyProof,
  verifyProofFile,
  use,
];
export type Kept = Store | NeleusError | ProofReport;
