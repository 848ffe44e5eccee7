// Damages copies of a database, one after the other, opens each and reads everything.
//
//   node damage.js ORIGINAL SCRATCH       a line of JSON on stdin for each damage, and one on stdout for what came of it
//
// In a process of its own: damage that ends it is what the test looks for.
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { toHex } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import { collect } from "../../database/support/bytes.js";
import { entriesOf } from "../../database/support/database.js";

/** What to do to a file, by its path in the database. */
export type Damage = { readonly file: string } & (
  | { readonly flip: { readonly offset: number; readonly bit: number } }
  | { readonly keepBytes: number }
  | { readonly zero: { readonly from: number; readonly to: number } }
  | { readonly remove: true }
);

/** `same`: read as before; `wrong`: something else was read; otherwise the code of the error. */
export interface Finding {
  readonly outcome: string;
  readonly message?: string | undefined;
  /** Where it was opened: whether another key, elsewhere in the state, could still be read. */
  readonly opened: boolean;
}

/** Everything that can be read, as text. */
export async function readEverything(db: Database): Promise<string> {
  const found: unknown[] = [db.id, db.log.verifierKey];
  const view = await db.view();
  for (const head of await view.heads()) {
    found.push(head.name);
    for (const at of [{ staged: head.name }, { head: head.name }]) {
      const { state, ledger } = await view.resolve(at);
      for (const { key, cell } of entriesOf(db, state)) {
        const { hash, size } = stateCell.decode(cell);
        found.push(key, await readBlob(db, { hash, size }));
      }
      if (ledger !== undefined)
        for (const { key } of entriesOf(db, ledger)) found.push((await db.manifests.get(key.slice(-32))).bytes);
    }
    for await (const { bytes } of db.commits.log({ head: head.name })) found.push(bytes);
  }
  found.push(toHex((await view.tag("first")).commit), await view.logProof({ knownSize: 1 }));
  return JSON.stringify(found, (_, value: unknown) => (value instanceof Uint8Array ? toHex(value) : value));
}

async function readBlob(db: Database, { hash, size }: { hash: Uint8Array; size: number }): Promise<Uint8Array> {
  const reader = await db.blobs.open(hash);
  try {
    const bytes = await collect(reader.bytes());
    if (bytes.length !== size) throw new Error("a blob is of another size than its cell says");
    return bytes;
  } finally {
    await reader.close();
  }
}

interface Intact {
  readonly intact: string;
  readonly checkpoint: string;
}

function apply(root: string, damage: Damage): void {
  const path = join(root, damage.file);
  if ("remove" in damage) {
    rmSync(path);
    return;
  }
  if ("keepBytes" in damage) {
    truncateSync(path, damage.keepBytes);
    return;
  }
  const bytes = readFileSync(path);
  if ("zero" in damage) bytes.fill(0, damage.zero.from, damage.zero.to);
  else bytes[damage.flip.offset] = (bytes[damage.flip.offset] ?? 0) ^ (1 << damage.flip.bit);
  writeFileSync(path, bytes);
}

async function examine(path: string, { intact, checkpoint }: Intact): Promise<Finding> {
  let db: Database | undefined;
  try {
    db = await Database.open(path);
    // As a client shows it who has seen the log before.
    await db.log.shown(checkpoint);
    return { outcome: (await readEverything(db)) === intact ? "same" : "wrong", opened: true };
  } catch (error) {
    const code = error instanceof NeleusError ? error.code : "UNTYPED";
    return { outcome: code, message: String(error instanceof Error ? error.stack : error), opened: db !== undefined };
  } finally {
    await db?.close();
  }
}

if (process.argv[1]?.includes("damage") === true) {
  const [original = "", scratch = ""] = process.argv.slice(2);
  const whole = await Database.open(original);
  const intact = { intact: await readEverything(whole), checkpoint: await whole.log.checkpoint() };
  await whole.close();
  let count = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    // A name of its own: LMDB keeps what it knows of a path for as long as the process lives.
    const path = `${scratch}-${(count += 1)}`;
    cpSync(original, path, { recursive: true });
    apply(path, JSON.parse(line) as Damage);
    writeSync(1, `${JSON.stringify(await examine(path, intact))}\n`);
    rmSync(path, { recursive: true, force: true });
  }
}
