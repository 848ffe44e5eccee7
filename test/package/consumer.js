// What a consumer of the packed package does: embedded, then against the server whose address is the argument.
import assert from "node:assert/strict";
import { connect, create } from "neleus";
import { verifyProof } from "neleus/verify";
import * as alone from "neleus/verify/browser";

const local = await create("./embedded");
await local.state("main").put("greeting", "hello");
assert.equal((await local.state("main").get("greeting")).text(), "hello");
const commit = await local.commit("main", { author: "consumer", message: "first" });
const snapshot = await local.snapshot("main");
assert.deepEqual(snapshot.commitHash, commit.hash);
assert.equal(await snapshot.get("absent"), undefined);
const proof = await local.proofs.state({ head: "main" }, "greeting");
const anchors = { verifierKey: local.trust.state.verifierKey };
const text = JSON.stringify(proof, (name, value) => {
  if (name === "$typeName") return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return typeof value === "bigint" ? String(value) : value;
});
const [report, other] = [verifyProof(proof, anchors), await alone.verifyProofFile(text, anchors)];
assert.deepEqual([other.verdict, other.shown, other.anchoredTo], ["shown", report.shown, report.anchoredTo]);
await assert.rejects(alone.verifyProofFile("{}"), { name: "VerificationFailed", code: "VERIFICATION_FAILED" });
await local.close();

const remote = await connect(process.argv[2]);
await remote.state("main").put("greeting", "hello over the wire");
const keys = [];
for await (const entry of remote.state("main").scan({ prefix: "gr" })) keys.push(entry.keyText());
assert.deepEqual(keys, ["greeting"]);
await remote.close();
console.log("embedded and remote: a value put, committed, read back verified; an absence proved");
