// Goal: counts and differences through the client say what a model says, for every kind of state that can be named, over
// every transport; large differences come in many messages. Method: a Map beside a database, each state kept as a copy.
import assert from "node:assert/strict";
import { compareBytes, fromUtf8, toHex, utf8 } from "#src/core/bytes.js";
import { InvalidArgument, NotFound, Pruned } from "#src/core/errors.js";
import { emptyMap, MapKind } from "#src/core/map/index.js";
import type { Database, DiffOptions, Operation, StateChange, StateValue } from "#src/client/contract.js";
import type { ProofPlace } from "#src/client/sections.js";
import { patternBytes } from "../database/support/bytes.js";
import { all, onEachTransport } from "./support/fixture.js";

type Model = ReadonlyMap<string, string>;
/** Key, value before, value after. */
type Difference = readonly (readonly [string, string | undefined, string | undefined])[];

function difference(before: Model, after: Model): Difference {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort((a, b) => compareBytes(utf8(a), utf8(b)))
    .map((key) => [key, before.get(key), after.get(key)] as const)
    .filter(([, old, now]) => old !== now);
}

/** What a change says, with values looked up by the hash of what was put. */
function plain(changes: readonly StateChange[], valueOf: ReadonlyMap<string, string>): Difference {
  return changes.map(({ key, before, after }) => [
    fromUtf8(key),
    before && valueOf.get(toHex(before.hash)),
    after && valueOf.get(toHex(after.hash)),
  ]);
}

onEachTransport("counts of every range are those of a model", async ({ client }) => {
  const db = await client();
  assert.equal(await db.state("main").count(), 0);
  const keys = Array.from({ length: 700 }, (_, index) => `${"abc"[index % 3]}/${String(index).padStart(4, "0")}`);
  await db.state("main").apply(keys.map((key) => ({ key, value: "v" })));
  const { staged } = await db.snapshot("main");
  assert.equal(await staged.count(), 700);
  assert.equal(await db.state("main").count({ prefix: "b/" }), keys.filter((key) => key.startsWith("b/")).length);
  const bounds = ["", "a", "a/0000", "a/0300", "a/0301", "b/", "b/0400x", "c/0698", "c/0699", "d"];
  for (const from of bounds) {
    assert.equal(await staged.count({ from }), keys.filter((key) => key >= from).length, from);
    for (const to of bounds.filter((bound) => bound !== "")) {
      const expected = keys.filter((key) => key >= from && key < to).length;
      assert.equal(await staged.count({ from, to }), expected, `${from} to ${to}`);
    }
  }
  const { hash } = await db.commit("main", { author: "a", message: "m" });
  assert.equal(await db.at({ commit: hash }).count({ prefix: "a/" }), 234);
  await assert.rejects(staged.count({ prefix: "a", to: "b" }), InvalidArgument);
  await assert.rejects(db.at({ root: new Uint8Array(32) }).count(), Pruned);
  await db.close();
});

onEachTransport("differences are those of a model, whatever names the states", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const states: { model: Model; places: ProofPlace[] }[] = [
    { model: new Map(), places: [{ head: "main" }, { root: emptyMap(MapKind.state).digest }] },
  ];
  const valueOf = new Map<string, string>();
  const model = new Map<string, string>();
  let seed = 99;
  const random = (below: number): number => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  for (const size of [300, 1, 5, 60]) {
    const operations = new Map<string, Operation>();
    for (let count = 0; count < size; count += 1) {
      const key = `key/${random(400)}`;
      operations.set(key, random(5) === 0 ? { key, delete: true } : { key, value: `value ${random(1_000)}` });
    }
    const { root } = await main.apply([...operations.values()]);
    for (const [key, operation] of operations) {
      if ("value" in operation) model.set(key, operation.value as string);
      else model.delete(key);
    }
    const { hash } = await db.commit("main", { author: "a", message: String(size) });
    states.push({ model: new Map(model), places: [{ root }, { commit: hash }] });
  }
  for (const key of model.keys()) valueOf.set(toHex((await main.entry(key))!.hash), model.get(key)!);
  for (const state of states) {
    for await (const value of db.at({ root: await rootOf(db, state.places[1]!) }).scan({ values: true })) {
      valueOf.set(toHex(value.hash), value.text());
    }
  }
  const last = states.at(-1)!;
  last.places.push({ staged: "main" }, { head: "main" });
  for (const before of states) {
    for (const after of states) {
      const places = { before: before.places.at(-1)!, after: after.places.at(-1)! };
      // The committed state of the head is by now that of the last commit.
      if (before === states[0]) places.before = before.places[1]!;
      if (after === states[0]) places.after = after.places[1]!;
      const expected = difference(before.model, after.model);
      assert.deepEqual(plain(await all(db.diff(places.before, places.after)), valueOf), expected);
      const withValues = await all(db.diff(places.before, places.after, { values: true }));
      assert.deepEqual(plain(withValues, valueOf), expected);
      for (const change of withValues) {
        if (change.after === undefined) continue;
        assert.equal((change.after as StateValue).text(), after.model.get(fromUtf8(change.key)));
      }
    }
  }
  const failing: [ProofPlace, ProofPlace][] = [
    [{ staged: "none" }, { staged: "main" }],
    [{ commit: new Uint8Array(32) }, { staged: "main" }],
  ];
  for (const [before, after] of failing) await assert.rejects(all(db.diff(before, after)), NotFound);
  await assert.rejects(all(db.diff({ staged: "main" }, { root: new Uint8Array(32) })), Pruned);
  await db.close();
});

async function rootOf(db: Database, place: ProofPlace): Promise<Uint8Array> {
  if ("root" in place) return place.root as Uint8Array;
  return "commit" in place ? (await db.commits.get(place.commit)).stateRoot : emptyMap(MapKind.state).digest;
}

onEachTransport("values that travel and values that do not, in many messages", async ({ client }) => {
  const db = await client();
  const main = db.state("main");
  const sizes = [0, 70_000, 1, 256 * 1024, 256 * 1024 + 1, 40, 300_000, 65_536, 2];
  await main.put("gone", "x");
  const { root } = await main.put("kept", "y");
  for (const [index, size] of sizes.entries()) await main.put(`size/${index}`, patternBytes(size, index));
  await main.delete("gone");
  const read = (options: DiffOptions): Promise<StateChange[]> => all(db.diff({ root }, { staged: "main" }, options));
  const changes = await read({ values: true });
  assert.deepEqual(
    changes.map(({ key }) => fromUtf8(key)),
    ["gone", ...sizes.map((_, index) => `size/${index}`)],
  );
  assert.equal(changes[0]!.after, undefined);
  for (const [index, size] of sizes.entries()) {
    const { after } = changes[index + 1]!;
    assert.equal(after?.sizeBytes, size);
    assert.equal("bytes" in after, size <= 256 * 1024);
    if ("bytes" in after) assert.deepEqual(after.bytes, patternBytes(size, index));
  }
  assert.ok((await read({})).every(({ after }) => after === undefined || !("bytes" in after)));
  // Both ways, and left early.
  assert.equal((await all(db.diff({ staged: "main" }, { root }))).length, changes.length);
  const many = Array.from({ length: 6_000 }, (_, index) => ({ key: `many/${index}`, value: `v${index}` }));
  await main.apply(many.slice(0, 3_000));
  await main.apply(many.slice(3_000));
  assert.equal((await all(db.diff({ root }, { staged: "main" }))).length, changes.length + many.length);
  for await (const change of db.diff({ root }, { staged: "main" })) {
    assert.equal(fromUtf8(change.key), "gone");
    break;
  }
  await db.close();
});
