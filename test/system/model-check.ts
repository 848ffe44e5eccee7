// Many clients change one head over gRPC at random, and a naive model says what every acknowledged root must be.
//
// Each acknowledged change names the root that it changed, the root it led to and the leaf of the log that contains it.
// Ordered by leaf, and within a leaf by these roots, the changes are one chain; a plain map that follows the chain is
// built anew, and must have the same root. Meanwhile readers hold snapshots and read them twice.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { connect } from "#src/client/remote.js";
import type { Applied, Database, Operation, Snapshot } from "#src/client/contract.js";
import { hashBlob } from "#src/core/blob/index.js";
import { compareBytes, toHex, utf8 } from "#src/core/bytes.js";
import { Conflict } from "#src/core/errors.js";
import { buildMap, MapKind } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { startServerProcess } from "./server-process.js";

export interface ModelCheckOptions {
  readonly clients: number;
  /** Calls of Apply, all clients together. */
  readonly changes: number;
  /** Keys that they change. */
  readonly keys: number;
  readonly seed: number;
}

/** What a run has shown. */
export interface ModelCheckResult {
  readonly roots: number;
  /** Of the changes that were acknowledged. */
  readonly operations: number;
  readonly conflicts: number;
  readonly sharedLeaves: number;
  readonly snapshotsRead: number;
}

interface Change {
  readonly operations: readonly Operation[];
  readonly applied: Applied;
}

/** A small generator of numbers, so that a run can be repeated (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export async function modelCheck(context: TestContext, options: ModelCheckOptions): Promise<ModelCheckResult> {
  const server = await startServerProcess(context);
  const clients = await Promise.all(
    Array.from({ length: options.clients }, () => connect(server.address, { onTrustOnFirstUse: () => undefined })),
  );
  const changes: Change[] = [];
  const counts = { conflicts: 0, snapshotsRead: 0, left: options.changes };
  const work = async (db: Database, number: number): Promise<void> => {
    const random = randomNumbers(options.seed * 1000 + number);
    while (counts.left > 0) {
      counts.left -= 1;
      const operations = randomOperations(random, options.keys);
      try {
        changes.push({ operations, applied: await db.state("main").apply(operations) });
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        counts.conflicts += 1;
      }
      if (random(20) === 0) {
        await readTwice(await db.snapshot("main"));
        counts.snapshotsRead += 1;
      }
    }
  };
  await Promise.all(clients.map(work));
  const chain = inOrder(changes);
  const model = followModel(chain);
  await requireContent(clients[0]!, model);
  for (const db of clients) await db.close();
  await server.stop();
  const leaves = new Set(chain.map(({ applied }) => applied.receipt.logIndex));
  const { conflicts, snapshotsRead } = counts;
  const operations = changes.reduce((sum, change) => sum + change.operations.length, 0);
  return { roots: chain.length, operations, conflicts, sharedLeaves: chain.length - leaves.size, snapshotsRead };
}

/** One to six puts, conditional puts and deletes, of different keys. */
function randomOperations(random: (below: number) => number, keys: number): Operation[] {
  const operations = new Map<number, Operation>();
  for (let count = 1 + random(6); count > 0; count -= 1) {
    const number = random(keys);
    const key = `key/${number}`;
    const value = `${random(1_000_000)}`;
    const kind = random(40);
    if (kind < 25) operations.set(number, { key, value });
    else if (kind < 38) operations.set(number, { key, delete: true });
    else operations.set(number, { key, value, condition: { absent: true } });
  }
  return [...operations.values()];
}

async function readTwice(snapshot: Snapshot): Promise<void> {
  const read = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const entry of snapshot.staged.scan()) found.push(`${entry.keyText()} ${toHex(entry.hash)}`);
    return found;
  };
  const first = await read();
  assert.deepEqual(await read(), first, "a snapshot never moves");
}

/** Every change that had an effect, in an order in which each begins at the root where the one before it ended. */
function inOrder(changes: readonly Change[]): Change[] {
  const effective = changes.filter(({ applied }) => toHex(applied.beforeRoot) !== toHex(applied.root));
  const byLeaf = groupByLeaf(effective);
  const chain: Change[] = [];
  for (const [, group] of [...byLeaf].sort(([a], [b]) => a - b)) {
    const start = chain.at(-1)?.applied.root;
    const ordered = path(group, start === undefined ? undefined : toHex(start));
    assert.ok(ordered !== undefined, "the changes of a leaf follow on one another");
    chain.push(...ordered);
  }
  return chain;
}

function indexOf({ applied }: Change): number {
  return applied.receipt.logIndex;
}

function groupByLeaf(changes: readonly Change[]): Map<number, Change[]> {
  const groups = new Map<number, Change[]>();
  for (const change of changes) {
    const group = groups.get(indexOf(change));
    if (group === undefined) groups.set(indexOf(change), [change]);
    else group.push(change);
  }
  return groups;
}

/** All the changes, one following on the other, or undefined. A map can come back to an earlier root, so it may try. */
function path(changes: readonly Change[], start: string | undefined): Change[] | undefined {
  if (changes.length === 0) return [];
  for (const [index, change] of changes.entries()) {
    if (start !== undefined && toHex(change.applied.beforeRoot) !== start) continue;
    const rest = path(changes.toSpliced(index, 1), toHex(change.applied.root));
    if (rest !== undefined) return [change, ...rest];
  }
  return undefined;
}

/** Applies the chain to a plain map, which must have the acknowledged root after each change. */
function followModel(chain: readonly Change[]): Map<string, string> {
  const model = new Map<string, string>();
  for (const { operations, applied } of chain) {
    for (const operation of operations) {
      const key = String(operation.key);
      if (operation.condition !== undefined) assert.ok(!model.has(key), "a condition that was met did hold");
      if ("value" in operation) model.set(key, String(operation.value));
      else model.delete(key);
    }
    assert.equal(toHex(rootOf(model)), toHex(applied.root), "the acknowledged root is that of the model");
  }
  return model;
}

function rootOf(model: ReadonlyMap<string, string>): Uint8Array {
  const entries = Array.from(model, ([key, value]) => {
    const bytes = utf8(value);
    return { key: utf8(key), cell: stateCell.encode({ hash: hashBlob(bytes), size: bytes.length }) };
  });
  entries.sort((a, b) => compareBytes(a.key, b.key));
  return buildMap(MapKind.state, entries, () => undefined).root;
}

async function requireContent(db: Database, model: ReadonlyMap<string, string>): Promise<void> {
  const found = new Map<string, string>();
  for await (const entry of (await db.snapshot("main")).staged.scan({ values: true })) {
    found.set(entry.keyText(), entry.text());
  }
  assert.deepEqual(found, new Map([...model].sort(([a], [b]) => compareBytes(utf8(a), utf8(b)))));
}
