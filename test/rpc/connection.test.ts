// Goal: a client reaches what its address says, by the means it says, and sends a token nowhere else. Method: every form
// of address; a TLS server with a certificate made for the test; a server that notes the headers it is sent.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { toBinary, create } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type Metadata, type ServerUnaryCall } from "@grpc/grpc-js";
import { BlobService, BlobServiceStatResponseSchema } from "#gen/neleus/v1/blob_pb.js";
import { parseServerAddress } from "#src/client/grpc-address.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import { InvalidArgument, NeleusError, Unavailable, VerificationFailed } from "#src/core/errors.js";
import { startServer } from "#src/server/index.js";
import { makeCertificate } from "./support/certificate.js";
import { fakeServices } from "./support/fakes.js";
import { connectTo, deferred, eventually, serve, temporaryDirectory } from "./support/running.js";

const { stat, download } = BlobService.method;

describe("addresses", () => {
  test("each place has one text", () => {
    const addresses: Record<string, string> = {
      "db.example:7117": "db.example:7117",
      "DB.example": "db.example:7117",
      "http://db.example": "db.example:7117",
      "http://db.example:80/": "db.example:80",
      "https://db.example": "https://db.example:443",
      "https://db.example:7117/": "https://db.example:7117",
      "[::1]:7117": "[::1]:7117",
      "[FE80::1]": "[fe80::1]:7117",
      "unix:/run/s": "unix:/run/s",
      "unix:///run/s": "unix:/run/s",
      "unix:s": `unix:${join(process.cwd(), "s")}`,
    };
    for (const [text, expected] of Object.entries(addresses)) assert.equal(parseServerAddress(text).text, expected);
  });

  test("what is no address is refused", () => {
    for (const text of [
      "",
      ":7117",
      "a b",
      "host:0",
      "host:65536",
      "host:x",
      "ftp://host",
      "http://",
      "http://u:p@host",
      "http://host/path",
      "http://host?x",
      "xds:///x",
      "dns:host:1",
      "host:1:2",
      "::1",
      "unix:",
      "unix:\0x",
      "host\n:1",
    ]) {
      assert.throws(
        () => parseServerAddress(text),
        (error) => error instanceof InvalidArgument && error.field === "server",
        JSON.stringify(text),
      );
    }
  });

  test("what stays on this machine is known", () => {
    for (const text of ["127.0.0.1:1", "127.8.8.8:1", "localhost:1", "[::1]:1", "unix:/s"]) {
      assert.equal(parseServerAddress(text).isLocal, true, text);
    }
    for (const text of ["10.0.0.1:1", "localhost.example:1", "127.example:1", "[::2]:1", "https://db.example"]) {
      assert.equal(parseServerAddress(text).isLocal, false, text);
    }
  });
});

/** A server of grpc-js itself, whose handler notes the headers. */
async function serveByHand(
  t: TestContext,
  credentials: ServerCredentials,
  answer: Uint8Array,
): Promise<{ port: number; seen: Metadata[] }> {
  const server = new Server();
  const seen: Metadata[] = [];
  const passBytes = (bytes: Buffer): Buffer => bytes;
  const codec = {
    requestSerialize: passBytes,
    requestDeserialize: passBytes,
    responseSerialize: passBytes,
    responseDeserialize: passBytes,
  };
  const path = "/neleus.v1.BlobService/Stat";
  server.addService(
    { stat: { path, requestStream: false, responseStream: false, ...codec } },
    {
      stat: (call: ServerUnaryCall<Buffer, Buffer>, respond: (error: null, answer: Buffer) => void) => {
        seen.push(call.metadata);
        respond(null, Buffer.from(answer));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  t.after(() => server.forceShutdown());
  return { port, seen };
}

const ANSWER = toBinary(BlobServiceStatResponseSchema, create(BlobServiceStatResponseSchema, { size: 9n }));

describe("TLS", () => {
  test("a server is believed by the authorities given, and no other", { timeout: 30_000 }, async (t) => {
    const { key, certificate } = makeCertificate();
    const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) };
    const { port, seen } = await serveByHand(t, ServerCredentials.createSsl(null, [pair]), ANSWER);
    const address = `https://localhost:${port}`;
    const trusting = connectTo(t, address, { certificateAuthorities: Buffer.from(certificate), token: "s3cret" });
    assert.equal((await trusting.unary(stat, {})).size, 9n);
    assert.equal(trusting.address, address);
    assert.deepEqual(seen[0]?.get("authorization"), ["Bearer s3cret"]);
    const other = makeCertificate().certificate;
    for (const certificateAuthorities of [undefined, Buffer.from(other)]) {
      const transport = connectTo(t, address, { certificateAuthorities });
      await assert.rejects(transport.unary(stat, {}, { timeoutMs: 10_000 }), Unavailable);
    }
    const byAddress = connectTo(t, `https://127.0.0.1:${port}`, { certificateAuthorities: Buffer.from(certificate) });
    await assert.rejects(byAddress.unary(stat, {}, { timeoutMs: 10_000 }), Unavailable, "the name is checked");
    await assert.rejects(connectTo(t, `localhost:${port}`).unary(stat, {}, { timeoutMs: 10_000 }), NeleusError);
    assert.equal(seen.length, 1);
  });

  test("certificates that are none, or without https, are refused", () => {
    const bytes = Buffer.from("no certificate");
    assert.throws(() => grpcTransport({ address: "127.0.0.1:1", certificateAuthorities: bytes }), InvalidArgument);
  });
});

describe("tokens", () => {
  test("go with every call, on this machine", async (t) => {
    const { port, seen } = await serveByHand(t, ServerCredentials.createInsecure(), ANSWER);
    const transport = connectTo(t, `127.0.0.1:${port}`, { token: "abc" });
    await transport.unary(stat, {});
    await transport.unary(stat, {});
    assert.deepEqual(
      seen.map((metadata) => metadata.get("authorization")),
      [["Bearer abc"], ["Bearer abc"]],
    );
  });

  test("never cross a network in the clear", () => {
    for (const address of ["db.example:7117", "http://10.0.0.1:7117"]) {
      assert.throws(
        () => grpcTransport({ address, token: "abc" }),
        (error) => error instanceof InvalidArgument && error.field === "token" && !error.message.includes("abc"),
      );
    }
  });

  test("malformed ones are refused before they are sent", () => {
    for (const token of ["", "a b", "a\nb", "é", "x".repeat(8_193)]) {
      assert.throws(() => grpcTransport({ address: "127.0.0.1:1", token }), InvalidArgument);
    }
  });
});

describe("answers that are wrong", () => {
  test("bytes that are no such message are the server's fault, and kept as evidence", async (t) => {
    const wrong = Buffer.from([0x12, 0x7f, 1]);
    const { port } = await serveByHand(t, ServerCredentials.createInsecure(), wrong);
    await assert.rejects(connectTo(t, `127.0.0.1:${port}`).unary(stat, {}), (error) => {
      assert.ok(error instanceof VerificationFailed);
      assert.deepEqual(error.evidence, wrong);
      return true;
    });
  });

  test("requests that no message can hold are refused here", async (t) => {
    const transport = connectTo(t, "127.0.0.1:1");
    const notBytes = { hash: "text" as unknown as Uint8Array };
    await assert.rejects(transport.unary(stat, notBytes), InvalidArgument);
    const broken = transport.serverStream(download, { start: -1n });
    await assert.rejects(broken[Symbol.asyncIterator]().next(), InvalidArgument);
  });
});

describe("a connection", () => {
  test("is made again after the server has come back", { timeout: 30_000 }, async (t) => {
    const services = fakeServices({ blob: { stat: async () => ({ size: 3n }) } });
    const listen = `unix:${join(temporaryDirectory(t), "s")}`;
    const first = await startServer({ services, listen });
    const transport = connectTo(t, first.address);
    assert.equal((await transport.unary(stat, {})).size, 3n);
    await first.close();
    await assert.rejects(transport.unary(stat, {}), Unavailable);
    await serve(t, { services, listen });
    let answered = false;
    const retry = setInterval(() => {
      transport.unary(stat, {}).then(
        () => (answered = true),
        () => undefined,
      );
    }, 30);
    t.after(() => clearInterval(retry));
    await eventually(() => answered, "an answer", 10_000);
  });

  test("settings of the connection hold for its calls; a call's own come first", async (t) => {
    const never = deferred();
    t.after(() => never.resolve());
    const services = fakeServices({
      blob: {
        stat: async () => {
          await never.promise;
          return {};
        },
      },
    });
    const server = await serve(t, { services });
    const isLate = (error: unknown): boolean => error instanceof NeleusError && error.code === "DEADLINE_EXCEEDED";
    await assert.rejects(connectTo(t, server.address, { timeoutMs: 30 }).unary(stat, {}), isLate);
    await assert.rejects(
      connectTo(t, server.address, { timeoutMs: 60_000 }).unary(stat, {}, { timeoutMs: 30 }),
      isLate,
    );
    const controller = new AbortController();
    const ended = assert.rejects(
      connectTo(t, server.address, { signal: controller.signal }).unary(
        stat,
        {},
        { signal: new AbortController().signal },
      ),
      (error) => error instanceof NeleusError && error.code === "CANCELLED",
    );
    controller.abort();
    await ended;
  });

  test("keeps no process alive and prints nothing: a script that forgets to close it ends", async (t) => {
    const server = await serve(t, { services: fakeServices({ blob: { stat: async () => ({ size: 1n }) } }) });
    const script = `
      import { grpcTransport } from "#src/client/grpc-transport.js";
      import { BlobService } from "#gen/neleus/v1/blob_pb.js";
      const answer = await grpcTransport({ address: ${JSON.stringify(server.address)} }).unary(BlobService.method.stat, {});
      process.stdout.write(String(answer.size));`;
    const run = promisify(execFile);
    const { stdout, stderr } = await run(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
    assert.deepEqual([stdout, stderr], ["1", ""]);
  });
});
