// Opens a database after a crash and holds it against what was acknowledged before.
import assert from "node:assert/strict";
import { hashBlob } from "#src/core/blob/index.js";
import { fromHex, toHex, utf8 } from "#src/core/bytes.js";
import { parseCheckpointUnverified, verifyConsistency } from "#src/core/log/index.js";
import type { Checkpoint } from "#src/core/log/index.js";
import { get, readSync } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import { openDirectory } from "#src/store/index.js";
import { collect, patternBytes } from "../../database/support/bytes.js";
import { readText } from "../../database/support/database.js";
import { checkNodes } from "../../database/support/node-rows.js";
import { COUNTER, UPLOAD, type Acknowledged } from "./report.js";

/** What a key may hold. */
interface Expected {
  /** Acknowledged last; undefined: the key was never acknowledged. */
  readonly hash: string | undefined;
}

/** All that one database has acknowledged, over any number of crashes. */
export class Ledger {
  readonly #keys = new Map<string, Expected>();
  readonly #did: Acknowledged[] = [];
  #checkpoint: string | undefined;

  /** Takes what one process acknowledged, in its order. Processes write different keys. */
  add(did: readonly Acknowledged[]): void {
    for (const step of did) {
      this.#did.push(step);
      if (step.kind === "set") for (const [key, hash] of step.keys) this.#keys.set(key, { hash });
      if ("checkpoint" in step && isAhead(step.checkpoint, this.#checkpoint)) this.#checkpoint = step.checkpoint;
    }
  }

  /** Writes acknowledged. */
  get size(): number {
    return this.#did.length;
  }

  /** How often the shared counter was counted up, as far as that was acknowledged. */
  get counted(): number {
    return this.#did.filter(({ kind }) => kind === "counted").length;
  }

  /**
   * Opens the database and looks for all of it. `attempted`: values that a process may have written without its being
   * acknowledged, by key; any other value than these and the acknowledged one is wrong.
   */
  async examine(directory: string, attempted: ReadonlyMap<string, readonly string[]> = new Map()): Promise<void> {
    const db = await Database.open(directory);
    try {
      await this.#checkKeys(db, attempted);
      for (const step of this.#did) await checkStep(db, step);
      if (this.#checkpoint !== undefined) await checkExtends(db, this.#checkpoint);
      await checkWhole(db, directory);
    } finally {
      await db.close();
    }
  }

  async #checkKeys(db: Database, attempted: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const { state } = await (await db.view()).resolve({ staged: "main" });
    for (const [key, { hash }] of this.#keys) {
      const cell = readSync(get(state, utf8(key)), db.nodes);
      assert.ok(cell !== undefined, `${key} was acknowledged and is gone`);
      const found = stateCell.decode(cell);
      const name = toHex(found.hash);
      assert.ok(
        name === hash || attempted.get(key)?.includes(name) === true,
        `${key} holds ${name}, and ${hash ?? "nothing"} was acknowledged`,
      );
      await checkBlob(db, { hash: found.hash, sizeBytes: found.size });
    }
  }
}

/** Of two checkpoints, whether the first is later: a later epoch, or a larger log. */
function isAhead(note: string, than: string | undefined): boolean {
  if (than === undefined) return true;
  const [a, b] = [parseCheckpointUnverified(note), parseCheckpointUnverified(than)];
  return epochOf(a) > epochOf(b) || (epochOf(a) === epochOf(b) && a.size > b.size);
}

function epochOf({ origin }: Checkpoint): number {
  return Number(origin.split("/").at(-1));
}

async function checkStep(db: Database, step: Acknowledged): Promise<void> {
  switch (step.kind) {
    case "commit":
      assert.equal(toHex((await db.commits.get(fromHex(step.hash))).hash), step.hash);
      return;
    case "tag":
      assert.equal(toHex((await (await db.view()).tag(step.name)).commit), step.hash);
      return;
    case "blob":
      await checkBlob(db, { hash: fromHex(step.hash), sizeBytes: step.sizeBytes });
      return;
    case "made":
      assert.equal(db.id, step.id);
      return;
    case "epoch":
      assert.ok(Number(db.log.origin.split("/").at(-1)) >= step.epoch, "an epoch that was acknowledged is gone");
      return;
    case "staged":
      // Gone only where it became a blob.
      if ((await db.uploads.query(step.id)) === 0) await checkBlob(db, uploadedBlob());
      else assert.ok((await db.uploads.query(step.id)) >= step.sizeBytes, "what was durable of an upload is gone");
      return;
    case "counted":
      assert.ok((await readCounter(db)) >= step.to, `the counter was counted up to ${step.to}`);
      return;
    case "announced":
      assert.ok(
        db.log.nextVerifierKey === step.key || Number(db.log.origin.split("/").at(-1)) > 1,
        "an announced key is gone",
      );
      return;
    default:
  }
}

/** What the shared counter stands at; 0 where nobody has counted. */
export async function readCounter(db: Database): Promise<number> {
  return Number((await readText(db, COUNTER)) ?? 0);
}

function uploadedBlob(): { hash: Uint8Array; sizeBytes: number } {
  return { hash: hashBlob(patternBytes(UPLOAD.sizeBytes, UPLOAD.seed)), sizeBytes: UPLOAD.sizeBytes };
}

async function checkBlob(db: Database, blob: { hash: Uint8Array; sizeBytes: number }): Promise<void> {
  const reader = await db.blobs.open(blob.hash);
  try {
    assert.equal(reader.sizeBytes, blob.sizeBytes);
    assert.deepEqual(hashBlob(await collect(reader.bytes())), new Uint8Array(blob.hash));
  } finally {
    await reader.close();
  }
}

/** The log goes on from the last acknowledged checkpoint: of its epoch's end, where that has ended. */
async function checkExtends(db: Database, note: string): Promise<void> {
  const known = parseCheckpointUnverified(note);
  const view = await db.epochs.view(epochOf(known));
  const { checkpoint, consistency } = await view.logProof({ knownSize: known.size });
  const newest = parseCheckpointUnverified(checkpoint);
  assert.equal(newest.origin, known.origin);
  assert.ok(newest.size >= known.size, `the log has ${newest.size} leaves, and ${known.size} were acknowledged`);
  verifyConsistency({
    from: known.size,
    to: newest.size,
    fromRoot: known.root,
    toRoot: newest.root,
    proof: consistency,
  });
}

/** Every node has what is below it, and every leaf of the log is there. */
async function checkWhole(db: Database, directory: string): Promise<void> {
  const { store } = await openDirectory(directory);
  try {
    await checkNodes(db, store);
  } finally {
    await store.close();
  }
}
