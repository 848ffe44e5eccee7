// Goal: no rpc of the contract is without a handler or a permission. Method: a walk over every descriptor in gen/.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { getOption, type DescFile, type DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { file_neleus_v1_admin } from "#gen/neleus/v1/admin_pb.js";
import { file_neleus_v1_blob } from "#gen/neleus/v1/blob_pb.js";
import { file_neleus_v1_commit } from "#gen/neleus/v1/commit_pb.js";
import { file_neleus_v1_manifest } from "#gen/neleus/v1/manifest_pb.js";
import { file_neleus_v1_options, permission, Permission } from "#gen/neleus/v1/options_pb.js";
import { file_neleus_v1_proof } from "#gen/neleus/v1/proof_pb.js";
import { file_neleus_v1_state } from "#gen/neleus/v1/state_pb.js";
import { NotFound } from "#src/core/errors.js";
import { createServices } from "#src/service/index.js";

const FILES: readonly DescFile[] = [
  file_neleus_v1_admin,
  file_neleus_v1_blob,
  file_neleus_v1_commit,
  file_neleus_v1_manifest,
  file_neleus_v1_options,
  file_neleus_v1_proof,
  file_neleus_v1_state,
];

const bindings = createServices({
  version: "0.0.0",
  database: async () => {
    throw new NotFound("there is none");
  },
});

function servicesOf(file: DescFile): DescService[] {
  return file.services;
}

test("this walk misses no file of the contract", () => {
  const onDisk = readdirSync(join(process.cwd(), "gen", "neleus", "v1")).filter((name) => name.endsWith("_pb.ts"));
  assert.deepEqual(
    onDisk.map((name) => `neleus/v1/${name.replace("_pb.ts", "")}`).sort(),
    FILES.map(({ name }) => name).sort(),
  );
});

test("every service is bound, every rpc has its handler, and no handler is without an rpc", () => {
  const declared = FILES.flatMap(servicesOf);
  assert.deepEqual(
    bindings.map(({ descriptor }) => descriptor.typeName).sort(),
    declared.map(({ typeName }) => typeName).sort(),
  );
  for (const { descriptor, handlers } of bindings) {
    assert.deepEqual(Object.keys(handlers).sort(), descriptor.methods.map(({ localName }) => localName).sort());
    for (const handler of Object.values(handlers)) assert.equal(typeof handler, "function");
  }
});

test("every rpc declares who may call it, and what only reads says so", () => {
  for (const method of FILES.flatMap(servicesOf).flatMap(({ methods }) => methods)) {
    const name = `${method.parent.name}.${method.name}`;
    const least = getOption(method, permission);
    assert.notEqual(least, Permission.UNSPECIFIED, `${name} declares no permission`);
    if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) continue;
    // GetSnapshot may append a leaf with the same refs root; everything else that writes needs the role to write.
    const isWriter = least === Permission.WRITE || least === Permission.ADMIN;
    assert.ok(isWriter || name === "ProofService.GetSnapshot", `${name} is neither a read nor for writers`);
  }
});
