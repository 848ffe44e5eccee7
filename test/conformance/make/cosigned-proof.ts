// Proofs that hold what witnesses have cosigned (C2SP tlog-cosignature), held against k of n witnesses: part of the topic of proofs.
// Keys, lines and signatures are made here with node's Ed25519; the proof is of the database in small-database.ts.
import { create } from "@bufbuild/protobuf";
import {
  CosignedCheckpointSchema,
  RefProofSchema,
  StateProofSchema,
  type CosignedCheckpoint,
  type RefProof,
} from "#gen/neleus/v1/proof_pb.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { get } from "#src/core/map/index.js";
import type { CaseList, Json } from "../case.js";
import { namedWitness } from "./log.js";
import { hashOf, nodes, type SmallDatabase, TIME } from "./small-database.js";
import { Written, type Anchors } from "./written-proof.js";

const [FAILED, INCOMPLETE, INVALID] = ["VERIFICATION_FAILED", "INCOMPLETE_PROOF", "INVALID_ARGUMENT"] as const;
const DAY_MS = 86_400_000;
const SECONDS = TIME / 1000;

const [first, second, third] = [
  namedWitness("witness.example/1", 31),
  namedWitness("witness.example/2", 32),
  namedWitness("witness.example/3", 33),
];
const [one, two, three] = [first.text, second.text, third.text];

function cosigned(note: string, consistency: readonly Uint8Array[] = []): CosignedCheckpoint {
  return create(CosignedCheckpointSchema, { note, consistency: [...consistency] });
}

/** The note with another time in its last line. */
function otherTime(note: string): string {
  const start = note.lastIndexOf(" ") + 1;
  const value = Buffer.from(note.slice(start), "base64");
  // Four bytes are the key's id, eight the time.
  value[11]! ^= 1;
  return `${note.slice(0, start)}${value.toString("base64")}\n`;
}

export function cosignedProofs(cases: CaseList, db: SmallDatabase): void {
  const { verifierKey, note, olderNote } = db;
  const chain = db.chain({ tag: "v1" });
  const fromOlder = db.chain({ tag: "v1" }, 2).log?.consistency ?? [];
  const older = cosigned(first.cosign(olderNote, SECONDS - 2 * 86_400), fromOlder);
  const newest = cosigned(second.cosign(note, SECONDS - 60));
  const message = create(RefProofSchema, {
    type: "neleus.ref-proof.v1",
    present: true,
    chain: { ...chain, cosigned: [newest, older] },
  });
  const commit = toHex(hashOf("commit:", db.commit));
  const claim: Json = { kind: "ref", ref: "tag", name: "v1", present: true, commit, signatures: [] };
  const shown = { verdict: "shown", claim };
  const proof = new Written(cases, "cosigned", { schema: RefProofSchema, message });
  const under = (keys: readonly string[], more: Readonly<Record<string, number>> = {}): Anchors => ({
    verifierKey,
    witnesses: { keys: [...keys], ...more },
    nowMs: TIME,
  });
  proof.accept("under the key alone", { verifierKey }, shown);
  proof.accept("under nothing", {}, { verdict: "not anchored", claim });
  proof.accept("under one witness", under([two]), shown);
  proof.accept("under a witness of an older checkpoint", under([one]), shown);
  proof.accept("under two witnesses", under([one, two]), shown);
  proof.accept("under two of three witnesses", under([one, two, three], { required: 2 }), shown);
  proof.accept("under a witness of just that age", under([two], { maxAgeMs: 60_000 }), shown);
  proof.accept("under one of two that is recent", under([one, two], { required: 1, maxAgeMs: DAY_MS }), shown);
  proof.acceptBinary("as bytes", under([one, two]), shown);
  const refuse = (
    name: string,
    error: string,
    anchors: Anchors,
    list: readonly CosignedCheckpoint[] = [newest, older],
  ): void => {
    const changed: Partial<RefProof> = { chain: { ...chain, cosigned: [...list] } };
    proof.refuse(name, error, changed, anchors);
  };
  refuse("under three witnesses", INCOMPLETE, under([one, two, three]));
  refuse("under a witness that has not", INCOMPLETE, under([three]));
  refuse("under a witness that is too old", INCOMPLETE, under([two], { maxAgeMs: 59_999 }));
  refuse("under two witnesses, one too old", INCOMPLETE, under([one, two], { maxAgeMs: DAY_MS }));
  refuse("by nobody", INCOMPLETE, under([two]), []);
  const late = cosigned(second.cosign(note, SECONDS + 86_400));
  refuse("at a time to come", INCOMPLETE, under([two]), [late]);
  refuse("under witnesses without the key", INVALID, { witnesses: { keys: [two] }, nowMs: TIME });
  refuse("under no witness", INVALID, under([]));
  refuse("under a witness named twice", INVALID, under([two, two]));
  refuse("under a witness by two names", INVALID, under([two, namedWitness("witness.example/again", 32).text]));
  refuse("under more than there are", INVALID, under([one, two], { required: 3 }));
  refuse("under a key of another name", INVALID, under([two.replace("/2", "/3")]));
  const forged = cosigned(newest.note.slice(0, -8) + (newest.note.at(-8) === "A" ? "B" : "A") + newest.note.slice(-7));
  refuse("with a line that is no signature", FAILED, under([two]), [forged]);
  refuse("with another time", FAILED, under([two]), [cosigned(otherTime(newest.note))]);
  const { forked, newer } = db.otherNotes();
  refuse("of a larger log", FAILED, under([two]), [cosigned(second.cosign(newer, SECONDS))]);
  refuse("of another history", FAILED, under([two]), [cosigned(second.cosign(forked, SECONDS))]);
  refuse("of no leaves", FAILED, under([two]), [cosigned(second.cosign(db.emptyNote, SECONDS))]);
  refuse("of an older checkpoint without a proof", FAILED, under([two]), [cosigned(older.note)]);
  refuse("with a proof that is too long", FAILED, under([one]), [
    cosigned(older.note, [...fromOlder, new Uint8Array(32)]),
  ]);
  refuse("with a note that is none", FAILED, { verifierKey }, [cosigned("none")]);
  const unsigned = note.slice(0, note.indexOf("\n\n") + 2);
  refuse("of a checkpoint that the log has not signed", FAILED, under([two]), [
    cosigned(second.cosign(unsigned, SECONDS)),
  ]);
  refuse("of a larger log, which nobody asks for", FAILED, {}, [cosigned(second.cosign(newer, SECONDS))]);
  refuse("by too many", FAILED, under([two]), Array<CosignedCheckpoint>(17).fill(newest));
  const key = utf8("user/042");
  const bare = create(StateProofSchema, {
    type: "neleus.state-proof.v1",
    root: db.state.root,
    key,
    present: true,
    nodes: nodes(db.state, get(db.state, key)),
  });
  const below = new Written(cases, "cosigned, below the log", { schema: StateProofSchema, message: bare });
  below.refuse("under a witness", INCOMPLETE, {}, { ...under([two]), root: toHex(db.state.root) });
}
