// Goal: nothing is declared that does not work. Every rpc has a handler, a client that calls it, and a CLI use or a stated
// reason. Method: the services' descriptors are walked; calls are looked for in the client's and the CLI's sources.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { AdminService } from "#gen/neleus/v1/admin_pb.js";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { ManifestService } from "#gen/neleus/v1/manifest_pb.js";
import { ProofService } from "#gen/neleus/v1/proof_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";

const SERVICES: readonly DescService[] = [
  AdminService,
  BlobService,
  CommitService,
  ManifestService,
  ProofService,
  StateService,
];

/** The command that uses an rpc, or why none does. */
const CLI_USE: Readonly<Record<string, string>> = {
  "AdminService.GetCapabilities": "neleus db info",
  "AdminService.RotateKey": "neleus db rotate-log-key",
  "AdminService.CollectGarbage": "neleus db gc",
  "AdminService.Fsck": "neleus db fsck",
  "BlobService.Upload": "neleus blob put",
  "BlobService.QueryUpload": "neleus blob put --upload-id",
  "BlobService.Download": "neleus blob get",
  "BlobService.FindMissing":
    "none: a command handles one blob at a time; the client uses it to send only what is missing",
  "BlobService.BatchPut": "none: a command handles one blob at a time",
  "BlobService.BatchGet": "none: a command handles one blob at a time",
  "BlobService.Stat": "neleus blob stat",
  "CommitService.Create": "neleus commit new",
  "CommitService.Prepare": "neleus commit prepare",
  "CommitService.SetHeadKeys": "neleus key set",
  "CommitService.ListHeadKeys": "neleus key list",
  "CommitService.Get": "neleus commit show",
  "CommitService.Log": "neleus log",
  "CommitService.ListHeads": "neleus head list",
  "CommitService.CreateHead": "neleus head create",
  "CommitService.DeleteHead": "neleus head delete",
  "CommitService.ResetHead": "neleus head reset",
  "CommitService.CreateTag": "neleus tag create",
  "CommitService.DeleteTag": "neleus tag delete",
  "CommitService.ListTags": "neleus tag list",
  "ManifestService.PutDocument": "neleus manifest put-doc",
  "ManifestService.PutSigned": "neleus manifest put-attestation",
  "ManifestService.ListChunks": "neleus manifest chunks",
  "ManifestService.Get": "neleus manifest get",
  "ProofService.GetSnapshot": "neleus head show",
  "ProofService.GetCheckpoint": "neleus checkpoint",
  "ProofService.ProveInclusion": "none: log export has all leaves; one alone is for programs",
  "ProofService.ProveConsistency": "none: every command that reads a head is shown that the log extends what was seen",
  "ProofService.ProveEpoch":
    "none: every command that opens a database follows the keys of its log that were announced",
  "ProofService.SubmitCosignature": "neleus cosign",
  "ProofService.GetTile": "none: log export makes the tiles from leaves that it has verified",
  "ProofService.ListLogEntries": "neleus log",
  "ProofService.ProveManifest": "neleus proof manifest",
  "ProofService.ProveRef": "neleus proof commit",
  "ProofService.ProveCommit": "neleus proof commit --commit",
  "ProofService.ProveState": "neleus proof state",
  "ProofService.ProveRange": "neleus proof range",
  "ProofService.ProveChunk": "neleus proof chunk",
  "StateService.Get": "neleus state get",
  "StateService.BatchGet": "neleus state get with several keys",
  "StateService.Apply": "neleus state set",
  "StateService.Scan": "neleus state scan",
  "StateService.Load": "neleus state load",
  "StateService.Count": "neleus state count",
  "StateService.Diff": "neleus state diff",
};

function sourcesBelow(directory: string): string {
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(directory, name), "utf8"))
    .join("\n");
}

const rpcs = SERVICES.flatMap((service) => service.methods.map((method) => ({ service, method })));

test("every rpc has a CLI use or a stated reason, and nothing else is listed", () => {
  const names = rpcs.map(({ service, method }) => `${service.name}.${method.name}`).sort();
  assert.deepEqual(Object.keys(CLI_USE).sort(), names);
});

test("every command named exists", async () => {
  const { createProgram } = await import("#src/cli/main.js");
  const program = createProgram();
  for (const use of Object.values(CLI_USE).filter((text) => text.startsWith("neleus "))) {
    const words = use
      .replace(/ (with|--).*$/, "")
      .split(" ")
      .slice(1);
    let command = program;
    for (const word of words) {
      const next = command.commands.find((child) => child.name() === word);
      assert.ok(next, `${use}: no command ${word}`);
      command = next;
    }
  }
});

/** What the client has no use for, and why. */
const FOR_OTHERS: Readonly<Record<string, string>> = {
  "ProofService.ProveConsistency":
    "for monitors that hold roots of their own: the client has this proof with each answer",
  "ProofService.GetTile": "for mirrors and monitors: the client makes tiles from verified leaves",
};

test("every rpc is called by the client, or there is a reason", () => {
  const client = sourcesBelow("src/client");
  for (const { service, method } of rpcs) {
    if (FOR_OTHERS[`${service.name}.${method.name}`] !== undefined) continue;
    assert.match(
      client,
      new RegExp(`${service.name}\\.method\\.${method.localName}\\b`),
      `${service.name}.${method.name}`,
    );
  }
});

test("every rpc has a handler", async () => {
  const { createServices } = await import("#src/service/index.js");
  const bindings = createServices({ database: () => Promise.reject(new Error("not opened")), version: "0.0.0" });
  for (const { service, method } of rpcs) {
    const binding = bindings.find((candidate) => candidate.descriptor.typeName === service.typeName);
    assert.equal(typeof binding?.handlers[method.localName], "function", `${service.name}.${method.name}`);
  }
});
