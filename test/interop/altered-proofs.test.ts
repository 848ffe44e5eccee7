// Goal: two verifiers that share nothing take the same portable proofs and refuse the same, also those that no case of the kit
// thought of; what both take they read alike. Needs Go; run by `npm run test:interop`.
// Method: an honest proof of each kind in the kit, altered field by field and byte by byte, given to this library and to the
// runner in Go. Which error comes first where several rules are broken is each one's own.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fromJson, toBinary, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  CommitProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
} from "#gen/neleus/v1/proof_pb.js";
import { toHex } from "#src/core/bytes.js";
import type { Expectation, Question, Topic } from "../conformance/case.js";
import { answer } from "../conformance/typescript/adapter.js";
import { byteMutants, fieldMutants } from "../hostile/support/mutations.js";

/** An honest proof of each kind, by its case in the kit. */
const HONEST: readonly (readonly [id: string, DescMessage])[] = [
  ["state, under the key and an older checkpoint", StateProofSchema],
  ["absent state, under the key", StateProofSchema],
  ["range, under the key", RangeProofSchema],
  ["chunk, under the key", ChunkProofSchema],
  ["manifest, under the key", ManifestProofSchema],
  ["ref of a tag of a signed commit, under the key", RefProofSchema],
  ["ref of no head, under the key", RefProofSchema],
  ["commit by a second parent, signed, under the key", CommitProofSchema],
  ["cosigned, under two witnesses", RefProofSchema],
];
const THOROUGHNESS = { items: 2, offsets: 1, flips: 40 };

/** The runner in Go: a question, and its answer without the id. */
function runnerInGo(context: TestContext): (question: Omit<Question, "id">) => Promise<Expectation> {
  const place = mkdtempSync(join(tmpdir(), "neleus-go-"));
  context.after(() => rmSync(place, { recursive: true, force: true }));
  const runner = join(place, "runner");
  const cwd = join(process.cwd(), "test/interop/go");
  const built = spawnSync("go", ["build", "-o", runner, "./conformance"], { cwd, encoding: "utf8" });
  assert.equal(built.status, 0, built.error?.message ?? built.stderr);
  const child = spawn(runner, { stdio: ["pipe", "pipe", "inherit"] });
  context.after(() => child.stdin.end());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (question) => {
    child.stdin.write(`${JSON.stringify({ id: "", ...question })}\n`);
    const { id, ...answered } = JSON.parse(String((await lines.next()).value)) as Expectation & { id: string };
    assert.equal(id, "");
    return answered;
  };
}

test("two verifiers agree on every altered proof", { timeout: 300_000 }, async (context) => {
  const ask = runnerInGo(context);
  const { cases } = JSON.parse(readFileSync("test/conformance/cases/proofs.json", "utf8")) as Topic;
  const counts = { accepted: 0, refused: 0 };
  for (const [title, schema] of HONEST) {
    const { input, operation } = cases.find(({ id }) => id === `proofs/${title}`) ?? assert.fail(`no case ${title}`);
    const honest = fromJson(schema, input["proof"] as JsonValue);
    for (const mutate of [fieldMutants, byteMutants]) {
      for (const { path, what, message } of mutate(schema, honest, THOROUGHNESS)) {
        if (message === undefined) continue;
        const binary = toHex(toBinary(schema, message));
        const question = { operation, input: { anchors: input["anchors"] ?? {}, binary } };
        const label = `${title}: ${path} ${what}`;
        const ours = JSON.parse(JSON.stringify(answer(question))) as Expectation;
        const theirs = await ask(question);
        assert.ok("ok" in theirs || "error" in theirs, `${label}: ${JSON.stringify(theirs)}`);
        const outputs = [ours, theirs].map((answered) => ("error" in answered ? "refused" : answered.output));
        assert.deepEqual(outputs[0], outputs[1], label);
        counts[outputs[0] === "refused" ? "refused" : "accepted"] += 1;
      }
    }
  }
  context.diagnostic(`${counts.refused} refused and ${counts.accepted} accepted by both`);
  assert.ok(counts.refused > 1_000 && counts.accepted > 20, JSON.stringify(counts));
});
