// Topic epochs: from an epoch of the log whose key is trusted to the next (FORMATS §7). Two logs are put together here leaf by leaf;
// what each step shows follows from what the last refs of the old log announce and what leaf 0 of the new one says.
import * as dagCbor from "@ipld/dag-cbor";
import { toHex, utf8 } from "#src/core/bytes.js";
import { get, MapKind, type Entry } from "#src/core/map/index.js";
import { ModelLog, ORIGIN } from "../../client/support/model-log.js";
import { slowInclusion } from "../../core/log/slow-tree.js";
import { prove, sampleMap, type SampleMap } from "../../core/map/support.js";
import { CaseList, hexList, revealToJson, type Json, type Topic } from "../case.js";

const TIME = 1_763_800_000_000;
const LATER = 1_763_900_000_000;
const [FAILED, INCOMPLETE, NEW_EPOCH, FORKED] = [
  "VERIFICATION_FAILED",
  "INCOMPLETE_PROOF",
  "NEW_EPOCH",
  "FORKED",
] as const;
/** How far the caller has seen the old log. */
const SEEN = 2;

const originOf = (epoch: number): string => ORIGIN.replace(/1$/, String(epoch));

/** How the two epochs are made; all of it honest by default. */
interface Made {
  /** What `keys/log` lists in the end; null: there is no such cell. */
  readonly announced?: readonly string[] | null;
  readonly next?: ModelLog;
  /** Of leaf 0 of the next epoch, instead of `{reason: "rekeyed", previous}`. */
  readonly first?: (last: ModelLog) => Json;
}

interface Step {
  readonly old: ModelLog;
  readonly next: ModelLog;
  readonly input: Readonly<Record<string, Json>>;
}

function step(made: Made = {}): Step {
  const old = new ModelLog().append(SEEN);
  const next = made.next ?? new ModelLog({ origin: originOf(2), seed: 3 });
  const announced = made.announced === undefined ? [old.verifierKey, next.verifierKey] : made.announced;
  const refs = refsOf(announced);
  old.leaves.push(dagCbor.encode([1, TIME, refs.root]));
  const first = made.first?.(old) ?? { reason: "rekeyed", previous: old.note() };
  next.leaves.push(dagCbor.encode([1, LATER, refs.root, first]));
  next.append(4);
  const { checkpoint, consistency, leaf, inclusion } = old.proof({ knownSize: SEEN });
  const witness = prove(refs, get(refs, utf8("keys/log"))).reveals.map(revealToJson);
  const end = {
    checkpoint,
    consistency: hexList(consistency),
    leaf: toHex(leaf),
    inclusion: hexList(inclusion),
    witness,
  };
  const beginning = {
    key: next.verifierKey,
    checkpoint: next.note(),
    leaf: toHex(next.leaves[0]!),
    inclusion: hexList(slowInclusion(0, next.leaves)),
  };
  return { old, next, input: { key: old.verifierKey, seen: old.note(SEEN), end, beginning } };
}

function refsOf(announced: readonly string[] | null): SampleMap {
  const entries: Entry[] = [{ key: utf8("heads/main"), cell: dagCbor.encode([new Uint8Array(32).fill(1)]) }];
  if (announced !== null) entries.push({ key: utf8("keys/log"), cell: dagCbor.encode([...announced]) });
  return sampleMap(entries, MapKind.refs);
}

/** A leaf 0 with `previous` made of the old log. */
function beginningWith(reason: string, previous: (last: ModelLog) => string | undefined): Made {
  return {
    first: (last) => {
      const note = previous(last);
      return { reason, ...(note === undefined ? {} : { previous: note }) };
    },
  };
}

export function epochCases(): Topic {
  const cases = new CaseList("epochs");
  const honest = step();
  const ask = (input: Readonly<Record<string, Json>>): { operation: string; input: Record<string, Json> } => ({
    operation: "epoch.follow",
    input: { ...input },
  });
  const accept = (name: string, { input, next }: Step, changed: Readonly<Record<string, Json>> = {}): void =>
    cases.accept(name, ask({ ...input, ...changed }), { key: next.verifierKey, origin: next.origin });
  accept("announced", honest);
  accept("announced, nothing seen before", honest, { seen: null, end: { ...part(honest, "end"), consistency: [] } });
  accept("announced, all of it seen before", honest, {
    seen: honest.old.note(),
    end: { ...part(honest, "end"), consistency: [] },
  });
  const nextKey = honest.next.verifierKey;
  accept("announced alone", step({ announced: [nextKey] }));
  for (const reason of ["restored", "cloned"])
    accept(`announced and ${reason}`, step(beginningWith(reason, (last) => last.note())));
  const third = new ModelLog({ origin: originOf(3), seed: 3 });
  const stopped: Readonly<Record<string, Made>> = {
    "not announced": { announced: [honest.old.verifierKey] },
    "with no keys in the refs": { announced: null },
    "with another key announced": { announced: [new ModelLog({ origin: originOf(2), seed: 4 }).verifierKey] },
    "with the key announced under another epoch": { announced: [third.verifierKey] },
    "two further": { next: third },
    "created anew": beginningWith("created", () => undefined),
    "created, with the checkpoint before it": beginningWith("created", (last) => last.note()),
    "from an older checkpoint": beginningWith("rekeyed", (last) => last.note(SEEN)),
    "from a checkpoint by another key": beginningWith("rekeyed", () => new ModelLog({ seed: 9 }).append(3).note()),
    "from another history": beginningWith("rekeyed", (last) => last.fork(SEEN).append(1, 9).note()),
  };
  for (const [name, made] of Object.entries(stopped)) {
    const { input } = step({ ...made, ...(made.first === undefined ? {} : { announced: [nextKey] }) });
    cases.refuse(`stopped, ${name}`, ask(input), NEW_EPOCH);
  }
  const longer = honest.old.fork(3).append(1);
  const forked = honest.old.fork(1).append(1, 9);
  cases.refuse("stopped, less than was seen", ask({ ...honest.input, seen: longer.note() }), NEW_EPOCH);
  cases.refuse("another history was seen", ask({ ...honest.input, seen: forked.note() }), FORKED);
  const otherEnd = honest.old.fork(SEEN).append(1, 9);
  const sameSize = { ...honest.input, seen: otherEnd.note(), end: { ...part(honest, "end"), consistency: [] } };
  cases.refuse("another history of that size was seen", ask(sameSize), FORKED);
  refusedCases(cases, honest);
  return cases.topic("Following the log from a trusted epoch to the next, or stopping (FORMATS §7).");
}

function part({ input }: Step, name: "end" | "beginning"): Readonly<Record<string, Json>> {
  return input[name] as Readonly<Record<string, Json>>;
}

function refusedCases(cases: CaseList, honest: Step): void {
  const { input, next } = honest;
  const [end, beginning] = [part(honest, "end"), part(honest, "beginning")];
  const refuse = (name: string, error: string, changed: Readonly<Record<string, Json>>): void =>
    cases.refuse(`refused, ${name}`, { operation: "epoch.follow", input: { ...input, ...changed } }, error);
  const flippedNote = (note: Json | undefined): string => {
    const text = note as string;
    const at = text.length - 40;
    return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
  };
  const strange = new ModelLog({ origin: "neleus/ffeeddccbbaa99887766554433221100/2", seed: 3 });
  refuse("a key of another database", FAILED, { beginning: { ...beginning, key: strange.verifierKey } });
  refuse("a key that is none", FAILED, { beginning: { ...beginning, key: "nothing" } });
  refuse("a beginning signed by another key", FAILED, {
    beginning: { ...beginning, checkpoint: flippedNote(beginning["checkpoint"]) },
  });
  refuse("a beginning without inclusion", FAILED, { beginning: { ...beginning, inclusion: [] } });
  refuse("a beginning of no leaves", FAILED, { beginning: { ...beginning, checkpoint: next.note(0), inclusion: [] } });
  refuse("another leaf 0", FAILED, { beginning: { ...beginning, leaf: toHex(next.leaves[1]!) } });
  refuse("an end signed by another key", FAILED, { end: { ...end, checkpoint: flippedNote(end["checkpoint"]) } });
  refuse("an end with another leaf", FAILED, { end: { ...end, leaf: toHex(honest.old.leaves[1]!) } });
  refuse("an end without inclusion", FAILED, { end: { ...end, inclusion: [] } });
  refuse("an end without refs", INCOMPLETE, { end: { ...end, witness: [] } });
  const elsewhere = refsOf([honest.old.verifierKey, next.verifierKey, "more"]);
  const witness = prove(elsewhere, get(elsewhere, utf8("keys/log"))).reveals.map(revealToJson);
  refuse("an end with other refs", FAILED, { end: { ...end, witness } });
}
