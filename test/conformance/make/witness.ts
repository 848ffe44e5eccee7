// Topic witnesses: reads of a map verified against its root (FORMATS §4). Answers come from the content, as a sorted list has them;
// witnesses from the shared vectors and from the prover. What is refused is so by construction: one rule broken at a time, most
// of it in nodes whose hashes all hold (test/core/map/forge.ts).
import * as dagCbor from "@ipld/dag-cbor";
import { compareBytes, fromHex, toHex, utf8 } from "#src/core/bytes.js";
import {
  buildMap,
  count,
  edit,
  get,
  getMany,
  MapKind,
  NodeTable,
  proveDiffSync,
  scan,
  type Edit,
  type Entry,
  type KeyRange,
  type Reveal,
} from "#src/core/map/index.js";
import { branch, forge, leaf, type Forged, type ForgedNode } from "../../core/map/forge.js";
import { cellOf, numberedEntries, prove, revealOf, sampleMap, type SampleMap } from "../../core/map/support.js";
import { readVectors } from "../../support/vectors.js";
import { CaseList, revealToJson, type Json, type Topic } from "../case.js";
import { slowMap } from "./slow-map.js";

const FAILED = "VERIFICATION_FAILED";
const INCOMPLETE = "INCOMPLETE_PROOF";

type Input = Record<string, Json>;

function question(
  operation: string,
  map: { kind: number; root: Uint8Array },
  rest: Input,
): { operation: string; input: Input } {
  return { operation, input: { kind: map.kind, root: toHex(map.root), ...rest } };
}

function witness(reveals: readonly Reveal[]): Json {
  return reveals.map(revealToJson);
}

function entriesToJson(entries: readonly Entry[]): Json {
  return entries.map(({ key, cell }) => [toHex(key), toHex(cell)]);
}

function inRange({ from, to }: KeyRange): (entry: Entry) => boolean {
  return ({ key }) => compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0);
}

function rangeToJson({ from, to }: KeyRange): Input {
  return { from: toHex(from), to: to === undefined ? null : toHex(to) };
}

export function witnessCases(): Topic {
  const cases = new CaseList("witnesses");
  vectorCases(cases);
  const map = sampleMap(numberedEntries({ count: 300 }));
  const empty = sampleMap([]);
  getCases(cases, map);
  getCases(cases, empty, "empty ");
  manyCases(cases, map);
  rangeCases(cases, map);
  rangeCases(cases, empty, "empty ");
  diffCases(cases, map);
  editCases(cases, map);
  brokenCases(cases, map);
  forgedCases(cases);
  hiddenCases(cases);
  return cases.topic(
    "Reads verified by a witness against a root: get, get-many, scan, count, diff, edit (FORMATS §4).",
  );
}

function vectorCases(cases: CaseList): void {
  interface Vector {
    readonly name: string;
    readonly entries: readonly (readonly [key: string, hash: string, size: number])[];
    readonly root: string;
    readonly proofs?: readonly { readonly key: string; readonly witness: unknown[] }[];
  }
  for (const vector of readVectors("map") as Vector[]) {
    for (const [index, { key, witness: raw }] of (vector.proofs ?? []).entries()) {
      const found = vector.entries.find(([name]) => name === key);
      const cell = found === undefined ? null : toHex(dagCbor.encode([fromHex(found[1]), found[2]]));
      const at = { kind: MapKind.state, root: fromHex(vector.root) };
      const asked = question("map.get", at, { key, witness: witness(raw.map((one) => revealOf(one, "hex"))) });
      if (JSON.stringify(asked).length < 12_000) cases.accept(`vector ${vector.name}, key ${index}`, asked, { cell });
    }
  }
  interface Refused {
    readonly why: string;
    readonly root: string;
    readonly kind: number;
    readonly key: string;
    readonly witness: unknown[];
  }
  for (const { why, root, kind, key, witness: raw } of readVectors("witness-refuse") as Refused[]) {
    const reveals = witness(raw.map((one) => revealOf(one, "base64")));
    cases.refuse(
      `vector ${why}`,
      question("map.get", { kind, root: fromHex(root) }, { key, witness: reveals }),
      FAILED,
    );
  }
}

function getCases(cases: CaseList, map: SampleMap, name = ""): void {
  for (const key of ["key-000000", "key-000150", "key-000299", "key-0001505", "a", "z"]) {
    const { reveals } = prove(map, get(map, utf8(key)));
    const found = map.entries.find((entry) => Buffer.from(entry.key).toString() === key);
    const asked = question("map.get", map, { key: toHex(utf8(key)), witness: witness(reveals) });
    cases.accept(`${name}get ${key}`, asked, { cell: found === undefined ? null : toHex(found.cell) });
  }
}

function manyCases(cases: CaseList, map: SampleMap): void {
  const lists = [
    ["key-000007"],
    ["key-000001", "key-000002", "key-000003"],
    ["a", "key-000100", "key-0001005", "key-000299", "z"],
  ];
  for (const [index, keys] of lists.entries()) {
    const wanted = keys.map(utf8);
    const { reveals } = prove(
      map,
      getMany(map, wanted, () => undefined),
    );
    const cells = wanted.map((key) => map.entries.find((entry) => compareBytes(entry.key, key) === 0)?.cell);
    const asked = question("map.get-many", map, { keys: wanted.map(toHex), witness: witness(reveals) });
    cases.accept(`get-many ${index}`, asked, { cells: cells.map((cell) => (cell === undefined ? null : toHex(cell))) });
    if (keys.length > 1) {
      const fewer = question("map.get-many", map, {
        keys: [...wanted.map(toHex), "ff"],
        witness: witness(reveals.slice(0, -1)),
      });
      cases.refuse(`get-many ${index}, a node short`, fewer, INCOMPLETE);
    }
  }
}

const RANGES: readonly (readonly [from: string, to: string | undefined])[] = [
  ["key-000010", "key-000013"],
  ["key-0000105", "key-000013"],
  ["key-000010", "key-00001"],
  ["key-0000105", "key-0000106"],
  ["", "key-000002"],
  ["key-000297", undefined],
  ["key-000299", "zzz"],
  ["z", undefined],
];

function rangeCases(cases: CaseList, map: SampleMap, name = ""): void {
  for (const [from, to] of RANGES) {
    const range = { from: utf8(from), to: to === undefined ? undefined : utf8(to) };
    if (range.to !== undefined && compareBytes(range.from, range.to) >= 0) continue;
    const entries = map.entries.filter(inRange(range));
    const title = `${from} to ${to ?? "the end"}`;
    const scanned = prove(
      map,
      scan(map, range, () => undefined),
    ).reveals;
    const asked = question("map.scan", map, { ...rangeToJson(range), witness: witness(scanned) });
    cases.accept(`${name}scan ${title}`, asked, { entries: entriesToJson(entries) });
    const counted = prove(map, count(map, range)).reveals;
    const asking = question("map.count", map, { ...rangeToJson(range), witness: witness(counted) });
    cases.accept(`${name}count ${title}`, asking, { count: entries.length });
    if (scanned.length > 1) {
      const short = { ...rangeToJson(range), witness: witness(scanned.slice(0, -1)) };
      cases.refuse(`${name}scan ${title}, ends early`, question("map.scan", map, short), INCOMPLETE);
    }
  }
}

function diffCases(cases: CaseList, map: SampleMap): void {
  const changed = map.entries.map((entry, index) => (index === 120 ? { ...entry, cell: cellOf("new") } : entry));
  const others: readonly (readonly [name: string, entries: readonly Entry[]])[] = [
    ["nothing", map.entries],
    ["one cell", changed],
    ["one key gone", map.entries.filter((_, index) => index !== 40)],
    ["one key more", [...map.entries, { key: utf8("key-000300"), cell: cellOf("more") }]],
    ["everything", []],
  ];
  for (const [name, entries] of others) {
    const other = sampleMap(entries);
    const source = new NodeTable();
    for (const one of [map.entries, entries]) buildMap(MapKind.state, one, source.add);
    const parts = [...proveDiffSync(source, { before: map, after: other })];
    const before = parts.flatMap((part) => part.before);
    const after = parts.flatMap((part) => part.after);
    const input = {
      before: { root: toHex(map.root), witness: witness(before) },
      after: { root: toHex(other.root), witness: witness(after) },
      kind: 1,
    };
    const asked = { operation: "map.diff", input };
    if (JSON.stringify(asked).length > 60_000) continue;
    cases.accept(`diff ${name}`, asked, { changes: changesOf(map.entries, entries) });
    if (before.length === 0) continue;
    // Both sides at once: where one alone ends early, the other holds what nobody reads.
    const none = { ...input, before: { ...input.before, witness: [] }, after: { ...input.after, witness: [] } };
    cases.refuse(`diff ${name}, without witnesses`, { operation: "map.diff", input: none }, INCOMPLETE);
    const twice = { ...input, before: { ...input.before, witness: witness([...before, before.at(-1)!]) } };
    cases.refuse(`diff ${name}, a node twice`, { operation: "map.diff", input: twice }, FAILED);
  }
}

function changesOf(before: readonly Entry[], after: readonly Entry[]): Json {
  const cells = (entries: readonly Entry[]): Map<string, string> =>
    new Map(entries.map(({ key, cell }) => [toHex(key), toHex(cell)]));
  const [old, fresh] = [cells(before), cells(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .sort()
    .filter((key) => old.get(key) !== fresh.get(key))
    .map((key) => [key, old.get(key) ?? null, fresh.get(key) ?? null]);
}

function editCases(cases: CaseList, map: SampleMap): void {
  const lists: Readonly<Record<string, readonly Edit[]>> = {
    "a new cell": [{ key: utf8("key-000150"), cell: cellOf("new") }],
    "a new key": [{ key: utf8("key-0001505"), cell: cellOf("new") }],
    "a key gone": [{ key: utf8("key-000150"), cell: undefined }],
    "an absent key gone": [{ key: utf8("nothing"), cell: undefined }],
    several: [
      { key: utf8("aaa"), cell: cellOf("first") },
      { key: utf8("key-000017"), cell: undefined },
      { key: utf8("key-000299"), cell: cellOf("last") },
    ],
  };
  for (const [name, edits] of Object.entries(lists)) {
    const { reveals } = prove(map, edit(map, edits));
    const whole = reveals.map((reveal) => reveal);
    const content = new Map(map.entries.map((entry) => [toHex(entry.key), entry]));
    for (const { key, cell } of edits) {
      if (cell === undefined) content.delete(toHex(key));
      else content.set(toHex(key), { key, cell });
    }
    const after = [...content.values()].sort((a, b) => compareBytes(a.key, b.key));
    const changes = edits.map(({ key, cell }) => [toHex(key), cell === undefined ? null : toHex(cell)]);
    const asked = question("map.edit", map, { changes, witness: witness(whole) });
    cases.accept(`edit ${name}`, asked, { root: toHex(slowMap(1, after).root) });
    const short = question("map.edit", map, { changes, witness: witness(whole.slice(0, -1)) });
    cases.refuse(`edit ${name}, a node short`, short, INCOMPLETE);
  }
}

/** An honest witness with one thing done to it. */
function brokenCases(cases: CaseList, map: SampleMap): void {
  const key = utf8("key-000150");
  const { reveals } = prove(map, get(map, key));
  const [root, ...rest] = reveals as [Reveal, ...Reveal[]];
  const last = rest.at(-1)!;
  const flipped = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte));
  const refuse = (name: string, list: readonly Reveal[], error: string, at: Input = {}): void =>
    cases.refuse(`get ${name}`, question("map.get", map, { key: toHex(key), witness: witness(list), ...at }), error);
  refuse("without a witness", [], INCOMPLETE);
  refuse("a node short", reveals.slice(0, -1), INCOMPLETE);
  refuse("without the root", rest, FAILED);
  refuse("a node twice", [root, root, ...rest], FAILED);
  refuse("a node more", [...reveals, last], FAILED);
  refuse("in another order", [...reveals].reverse(), FAILED);
  refuse("under another root", reveals, FAILED, { root: "00".repeat(32) });
  refuse("under another kind", reveals, FAILED, { kind: 2 });
  refuse("with a flipped sibling", [{ ...root, siblings: flipped(root.siblings) }, ...rest], FAILED);
  refuse("with a flipped cell", [...reveals.slice(0, -1), { ...last, entries: last.entries.map(flipped) }], FAILED);
  refuse("with another level", [...reveals.slice(0, -1), { ...last, level: 1 }], FAILED);
  refuse("with another total", [{ ...root, total: root.total + 1 }, ...rest], FAILED);
  const other = toHex(utf8("key-000200"));
  refuse("of a key that is not shown", reveals, INCOMPLETE, { key: other });
}

/** Nodes whose hashes all hold and that break one rule of FORMATS §4, beside honest ones. */
function forgedCases(cases: CaseList): void {
  const ask = (
    nodes: readonly ForgedNode[],
    key: string,
    changed: Partial<Reveal> = {},
  ): { operation: string; input: Input } => {
    const list = nodes.map(({ reveal }, index) => (index === 0 ? { ...reveal, ...changed } : reveal));
    return question("map.get", { kind: 1, root: nodes[0]!.digest }, { key: toHex(utf8(key)), witness: witness(list) });
  };
  const cellHex = (cell: unknown): string => toHex(dagCbor.encode(cell));
  const single = forge({ entries: [leaf("a"), leaf("c"), leaf("e")], shows: [1] });
  cases.accept("honest single node", ask([single], "c"), { cell: cellHex([1]) });
  for (const [name, changed] of Object.entries(brokenForms(single.reveal))) {
    cases.refuse(`form ${name}`, ask([single], "c", changed), FAILED);
  }
  for (const [name, node] of Object.entries(brokenNodes()))
    cases.refuse(`node ${name}`, ask([forge(node)], "k"), FAILED);
  const left = forge({ entries: [leaf("a"), leaf("c")] });
  const right = forge({ entries: [leaf("e"), leaf("g")] });
  const over = (node: Partial<Forged>): ForgedNode =>
    forge({ level: 1, total: 4, entries: [branch("c", left), branch("g", right)], ...node });
  cases.accept("honest two leaves, present", ask([over({}), right], "e"), { cell: cellHex([1]) });
  cases.accept("honest two leaves, absent", ask([over({}), right], "d"), { cell: null });
  cases.accept("honest two leaves, past the end", ask([over({})], "h"), { cell: null });
  const refused: Readonly<Record<string, readonly ForgedNode[]>> = {
    "a total over the shown": [over({ total: 5 }), right],
    "an entry's total over its node's": [
      over({ total: 5, entries: [branch("c", left), branch("g", right, 3)] }),
      right,
    ],
    "a last key that the node does not have": [over({ entries: [branch("c", left), branch("h", right)] }), right],
    "last keys that do not ascend": [over({ entries: [branch("g", right), branch("c", left)] }), left],
    "a node two levels below": [over({ level: 2 }), right],
    "a node in place of another": [over({}), left],
    "a node of another kind": [
      over({ entries: [branch("c", left), branch("g", forge({ ...ofRight(), kind: 2 }))] }),
      forge({ ...ofRight(), kind: 2 }),
    ],
    "keys at or below the node to the left": [over({ entries: [branch("f", left), branch("g", right)] }), right],
    "a root of one entry": [forge({ level: 1, total: 2, entries: [branch("g", right)] }), right],
  };
  for (const [name, nodes] of Object.entries(refused)) cases.refuse(`tree ${name}`, ask(nodes, "e"), FAILED);
  // The entry beside the one that is followed: nothing but its form can be refused.
  for (const [name, entry] of Object.entries(brokenBranches(left))) {
    const root = over({ entries: [entry, branch("g", right)] });
    cases.refuse(`branch ${name}`, ask([root, right], "e"), FAILED);
  }
  const few = over({ total: 2, shows: [1] });
  cases.refuse("tree a total that leaves nothing for what is hidden", ask([few, right], "e"), FAILED);
  const empty = forge({ entries: [] });
  cases.accept("honest empty node", ask([empty], "k"), { cell: null });
  cases.refuse("form an empty node with siblings", ask([empty], "k", { siblings: new Uint8Array(32) }), FAILED);
  mislabelledCases(cases, ask);
}

/**
 * Honest nodes of which too little is shown: what is hidden could be the key that is asked for, or one more of a range. A verifier
 * that takes the first entry it sees for the first there is falls for these.
 */
function hiddenCases(cases: CaseList): void {
  const cell = toHex(dagCbor.encode([1]));
  const tree = (shows: {
    readonly root?: number[];
    readonly left?: number[];
    readonly right?: number[];
  }): Record<"root" | "left" | "right", ForgedNode> => {
    const left = forge({ entries: [leaf("a"), leaf("c")], shows: shows.left ?? [0, 1] });
    const right = forge({ entries: [leaf("e"), leaf("g")], shows: shows.right ?? [0, 1] });
    const entries = [branch("c", left), branch("g", right)];
    return { root: forge({ level: 1, total: 4, entries, shows: shows.root ?? [0, 1] }), left, right };
  };
  const ask = (operation: string, nodes: readonly ForgedNode[], rest: Input): { operation: string; input: Input } =>
    question(
      operation,
      { kind: 1, root: nodes[0]!.digest },
      { ...rest, witness: witness(nodes.map(({ reveal }) => reveal)) },
    );
  const key = (name: string): Input => ({ key: toHex(utf8(name)) });
  const single = (shows: number[]): ForgedNode[] => [forge({ entries: [leaf("a"), leaf("c"), leaf("e")], shows })];
  const gets: readonly (readonly [name: string, nodes: readonly ForgedNode[], key: string, isShown: boolean])[] = [
    ["before the first, which is shown", single([0]), "A", true],
    ["before the first, which is hidden", single([1]), "A", false],
    ["between two that are shown", single([0, 1]), "b", true],
    ["between two, the first hidden", single([1]), "b", false],
    ["between two, the second hidden", single([0, 2]), "b", false],
    ["past the last, which is shown", single([2]), "f", true],
    ["past the last, which is hidden", single([1]), "f", false],
    ["between leaves", [tree({}).root, tree({ right: [0] }).right], "d", true],
    ["between leaves, the left one's entry hidden", [tree({ root: [1] }).root, tree({ right: [0] }).right], "d", false],
    ["in a hidden leaf, where it is present", [tree({ root: [1] }).root, tree({ right: [0] }).right], "c", false],
    ["in a hidden leaf, below all that is shown", [tree({ root: [1] }).root, tree({ right: [0] }).right], "A", false],
    ["past the last of a tree, which is hidden", [tree({ root: [0] }).root], "h", false],
  ];
  for (const [name, nodes, absent, isShown] of gets) {
    const asked = ask("map.get", nodes, key(absent));
    if (isShown) cases.accept(`hidden, get ${name}`, asked, { cell: null });
    else cases.refuse(`hidden, get ${name}`, asked, INCOMPLETE);
  }
  const present = tree({ root: [1], right: [0] });
  cases.accept(
    "hidden, get what is present needs no neighbours",
    ask("map.get", [present.root, present.right], key("e")),
    { cell },
  );
  const range = { from: toHex(utf8("b")), to: toHex(utf8("f")) };
  const hides = {
    "the key before the range": { left: [1] },
    "the first key of the range": { left: [0] },
    "the last key of the range": { right: [1] },
    "the key behind the range": { right: [0] },
    "a whole leaf": { root: [1] },
    "the leaf behind": { root: [0] },
  };
  const whole = tree({});
  const entries = ["c", "e"].map((name) => [toHex(utf8(name)), cell]);
  const wholeNodes = [whole.root, whole.left, whole.right];
  cases.accept("hidden, scan of all that is needed", ask("map.scan", wholeNodes, range), { entries });
  cases.accept("hidden, count of all that is needed", ask("map.count", wholeNodes, range), { count: 2 });
  for (const [name, shows] of Object.entries(hides)) {
    const { root, left, right } = tree(shows);
    const nodes = "root" in shows ? (shows.root.includes(0) ? [root, left] : [root, right]) : [root, left, right];
    cases.refuse(`hidden, scan without ${name}`, ask("map.scan", nodes, range), INCOMPLETE);
  }
}

type Ask = (
  nodes: readonly ForgedNode[],
  key: string,
  changed?: Partial<Reveal>,
) => { operation: string; input: Input };

/** Where an entry is hashed follows from the order of indices: these are hashed in one place, or in none, and read in another. */
function mislabelledCases(cases: CaseList, ask: Ask): void {
  const entries = ["a", "c", "e"].map((key) => leaf(key));
  const lastTwo = forge({ entries, shows: [1, 2] });
  const middle = forge({ entries, shows: [1] });
  const forged = { entries: [leaf("c"), leaf("x", ["forged"])] };
  const labels: readonly (readonly [name: string, node: ForgedNode, key: string, changed: Partial<Reveal>])[] = [
    ["down", lastTwo, "e", { indices: [1, 0] }],
    ["one twice", lastTwo, "e", { indices: [1, 1] }],
    ["at count, which no hash covers", middle, "x", { ...forged, indices: [1, 3] }],
    ["beyond 64, which no hash covers", middle, "x", { ...forged, indices: [1, 2 ** 32 - 1] }],
  ];
  for (const [name, node, key, changed] of labels)
    cases.refuse(`mislabelled, ${name}`, ask([node], key, changed), FAILED);
}

/** Entries above level 0, of a node of two keys whose last is c, in a form that they must not have. */
function brokenBranches(child: ForgedNode): Readonly<Record<string, Uint8Array>> {
  const digest = toHex(child.digest);
  return {
    "with a key that is text": fromHex(`8361635820${digest}02`),
    "with a key's length in two bytes": fromHex(`835801635820${digest}02`),
    "with a digest of 31 bytes": fromHex(`834163581f${digest.slice(2)}02`),
    "with a digest of 33 bytes": fromHex(`8341635821${digest}0002`),
    "with a digest that is text": fromHex(`8341637820${"61".repeat(32)}02`),
    "with a total in two bytes": fromHex(`8341635820${digest}1802`),
    "with a total in nine bytes": fromHex(`8341635820${digest}1b0000000000000002`),
    "with four elements": fromHex(`8441635820${digest}0200`),
    "with bytes behind it": fromHex(`8341635820${digest}0200`),
  };
}

function ofRight(): Forged {
  return { entries: [leaf("e"), leaf("g")] };
}

function brokenForms({ siblings }: Reveal): Readonly<Record<string, Partial<Reveal>>> {
  return {
    "kind 0": { kind: 0 },
    "kind 5": { kind: 5 },
    "level 41": { level: 41 },
    "count 65": { count: 65 },
    "count 0 above level 0": { count: 0, level: 2 },
    "count 0 with siblings": { count: 0, total: 0 },
    "total 2^53": { total: 2 ** 53 },
    "an index at count": { indices: [3] },
    "an index without entry": { indices: [1, 2] },
    "an entry without index": { entries: [leaf("c"), leaf("e")] },
    "an index twice": { indices: [1, 1], entries: [leaf("c"), leaf("c")] },
    "an entry of 1,401 bytes": { entries: [new Uint8Array(1401)] },
    "an empty entry": { entries: [new Uint8Array(0)] },
    "a sibling too few": { siblings: siblings.subarray(32) },
    "a sibling too many": { siblings: Buffer.concat([siblings, new Uint8Array(32)]) },
    "a sibling of 31 bytes": { siblings: siblings.subarray(1) },
    "no siblings": { siblings: new Uint8Array(0) },
    "a changed entry": { entries: [leaf("c", [2])] },
  };
}

function brokenNodes(): Readonly<Record<string, Forged>> {
  const raw = (hex: string): Forged => ({ entries: [fromHex(hex)] });
  const deep = (depth: number): unknown => (depth === 0 ? 0 : [deep(depth - 1)]);
  return {
    "of 65 entries": { entries: Array.from({ length: 65 }, (_, index) => leaf(`k${String(index).padStart(2, "0")}`)) },
    "empty with a total": { total: 1, entries: [] },
    "empty above level 0": { level: 1, total: 0, entries: [] },
    "with a total above count": { total: 3, entries: [leaf("k"), leaf("m")] },
    "with a total below count": { total: 1, entries: [leaf("k"), leaf("m")] },
    "with keys that do not ascend": { entries: [leaf("m"), leaf("k")] },
    "with a key twice": { entries: [leaf("k"), leaf("k", [2])] },
    "with an empty key": { entries: [dagCbor.encode([new Uint8Array(0), [1]]), leaf("k")] },
    "with a key of 1,025 bytes": { entries: [leaf("k"), leaf("k".repeat(1025))] },
    "with a key that is text": { entries: [leaf("k"), dagCbor.encode(["l", [1]])] },
    "with an entry of three elements": { entries: [leaf("k"), dagCbor.encode([utf8("l"), [1], 0])] },
    "with a cell of 257 bytes": { entries: [leaf("k", [new Uint8Array(254)])] },
    "with a cell that is a map": { entries: [leaf("k", { a: 1 })] },
    "with a cell too deep": { entries: [leaf("k", deep(32))] },
    "with a long integer": raw("82416b811801"),
    "with an indefinite list": raw("82416b9fff"),
    "with a cell map out of order": raw("82416b81a2616200616100"),
    "with an integral float": raw("82416b81fb3ff0000000000000"),
    "with bad UTF-8": raw("82416b8161ff"),
    "with a tag": raw("82416b81c101"),
    "with a cell that ends early": raw("82416b8201"),
    "with bytes behind the entry": raw("82416b810100"),
    "with a key's length in two bytes": raw("8258016b8101"),
    "with a key's length in three bytes": raw("825900016b8101"),
  };
}
