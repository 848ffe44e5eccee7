// Goal: tools that know nothing of this project can list and call its services; and a peer that only asks fills nothing.
// Method: `buf curl`, as people use it, over a socket without TLS; then reflection by hand, thousands of questions long.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { fakeServices } from "./support/fakes.js";
import { connectRaw, type RawCall } from "./support/raw-client.js";
import { eventually, serve } from "./support/running.js";

const run = promisify(execFile);

async function bufCurl(...args: string[]): Promise<string> {
  const buf = join(process.cwd(), "node_modules/@bufbuild/buf/bin/buf");
  const { stdout } = await run(buf, ["curl", "--http2-prior-knowledge", "--protocol", "grpc", ...args]);
  return stdout;
}

const services = fakeServices({
  blob: {
    stat: async ({ hash }) => ({ size: BigInt(hash.length) }),
    async *download({ start }) {
      yield { part: { case: "header", value: { size: start } } };
      yield { part: { case: "slice", value: { data: Buffer.from("abc") } } };
    },
    upload: async (requests) => {
      let size = 0n;
      for await (const { part } of requests) if (part.case === "data") size += BigInt(part.value.data.length);
      return { size };
    },
  },
});

describe("buf curl with reflection", { timeout: 120_000 }, () => {
  test("lists services and methods, calls each kind, and sees typed errors", async (t) => {
    const server = await serve(t, { services });
    const url = `http://${server.address}`;
    const listed = await bufCurl("--list-methods", url);
    assert.deepEqual(
      listed
        .trim()
        .split("\n")
        .filter((line) => line.startsWith("neleus.v1.BlobService/"))
        .sort(),
      services[0]?.descriptor.methods.map((method) => `neleus.v1.BlobService/${method.name}`).sort(),
    );
    assert.match(listed, /grpc\.health\.v1\.Health\/Check/);
    const stat = await bufCurl("-d", '{"hash": "AAECAw=="}', `${url}/neleus.v1.BlobService/Stat`);
    assert.deepEqual(JSON.parse(stat), { size: "4" });
    const download = await bufCurl("-d", '{"start": "17"}', `${url}/neleus.v1.BlobService/Download`);
    assert.match(download, /"size":\s*"17"/);
    assert.match(download, /"data":\s*"YWJj"/);
    const parts = '{"data": {"data": "AAEC"}} {"data": {"data": "AAECAw=="}}';
    const upload = await bufCurl("-d", parts, `${url}/neleus.v1.BlobService/Upload`);
    assert.deepEqual(JSON.parse(upload), { size: "7" });
    const health = await bufCurl("-d", "{}", `${url}/grpc.health.v1.Health/Check`);
    assert.deepEqual(JSON.parse(health), { status: "SERVING" });
    await assert.rejects(bufCurl("-d", "{}", `${url}/neleus.v1.BlobService/QueryUpload`), (error) => {
      const { stderr } = error as { stderr: string };
      assert.match(stderr, /"code":\s*"unimplemented"/);
      assert.match(stderr, /"type":\s*"google\.rpc\.ErrorInfo"/);
      return true;
    });
  });
});

describe("reflection by hand", () => {
  for (const version of ["v1", "v1alpha"]) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    // list_services: field 7; file_containing_symbol: field 4; file_by_filename: field 3.
    const listServices = Buffer.from([0x3a, 1, 0x2a]);
    const symbol = Buffer.from("neleus.v1.BlobService");
    const fileOfSymbol = Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]);

    const imported = Buffer.from("google/protobuf/descriptor.proto");
    const fileByName = Buffer.concat([Buffer.from([0x1a, imported.length]), imported]);

    test(`${version}: several questions in one call are answered in order`, async (t) => {
      const server = await serve(t, { services });
      const call = connectRaw(t, server.address).call(path);
      const end = await call.send(listServices).send(fileOfSymbol).send(fileByName).end().ended;
      assert.equal(end.status, 0, end.message);
      const text = end.received.toString("latin1");
      assert.match(text, /neleus\.v1\.StateService[\s\S]*neleus\/v1\/blob\.proto/);
      assert.match(text, /neleus\/v1\/options\.proto/, "with the files that it depends on");
      assert.match(
        text,
        /neleus\.v1\.StateService[\s\S]*\.google\.protobuf\.MethodOptions/,
        "and files by their names",
      );
    });

    test(`${version}: malformed questions are INVALID_ARGUMENT`, async (t) => {
      const server = await serve(t, { services });
      const end = await connectRaw(t, server.address)
        .call(path)
        .send(Buffer.from([0xff, 0xff]))
        .end().ended;
      assert.equal(end.status, 3, end.message);
    });

    test(`${version}: a peer that asks and does not read is held back, and then let go`, async (t) => {
      const server = await serve(t, { services, limits: { slowPeerTimeoutMs: 500 } });
      const call: RawCall = connectRaw(t, server.address).call(path, { reads: false });
      const before = process.memoryUsage().rss;
      // Each answer is some 20 kB: all of them would be 2 GB.
      for (let count = 0; count < 100_000 && !call.stream.destroyed; count += 1) {
        if (!call.stream.write(Buffer.concat([Buffer.from([0, 0, 0, 0, fileOfSymbol.length]), fileOfSymbol])))
          await delay(0);
      }
      assert.ok(process.memoryUsage().rss - before < 300e6);
      await eventually(() => server.counters().openCalls === 0, "the end of the call", 10_000);
    });
  }
});
