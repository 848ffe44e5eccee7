// Goal: the server listens only where the machine decides who connects, and takes an address over only from the dead.
// Method: every form of address; sockets that are alive, stale, not sockets, and contended.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { BlobService } from "#gen/neleus/v1/blob_pb.js";
import { AlreadyExists, InvalidArgument, NeleusError } from "#src/core/errors.js";
import { formatListenAddress, parseListenAddress, startServer } from "#src/server/index.js";
import { clearSocketPath } from "#src/server/unix-socket.js";
import { fakeServices } from "../rpc/support/fakes.js";
import { connectTo, serve, temporaryDirectory } from "../rpc/support/running.js";

const services = fakeServices({ blob: { stat: async () => ({ size: 2n }) } });
const { stat } = BlobService.method;

describe("addresses", () => {
  test("loopback addresses are taken, whichever way they are written", () => {
    const addresses: Record<string, string> = {
      "127.0.0.1:7117": "127.0.0.1:7117",
      "127.9.8.7:0": "127.9.8.7:0",
      "localhost:80": "127.0.0.1:80",
      "LOCALHOST:80": "127.0.0.1:80",
      "[::1]:7117": "[::1]:7117",
      "[0:0:0:0:0:0:0:1]:7117": "[::1]:7117",
      "unix:/run/neleus.sock": "unix:/run/neleus.sock",
      "unix:./a.sock": `unix:${join(process.cwd(), "a.sock")}`,
    };
    for (const [text, expected] of Object.entries(addresses)) {
      assert.equal(formatListenAddress(parseListenAddress(text)), expected);
    }
  });

  test("addresses that others can reach are refused, with what to do", () => {
    for (const text of [
      "0.0.0.0:7117",
      "[::]:7117",
      "192.168.1.7:7117",
      "10.0.0.1:0",
      "example.com:7117",
      "localhost.example.com:7117",
      "128.0.0.1:7117",
      "[::ffff:127.0.0.1]:7117",
      "[::2]:7117",
      "0:7117",
      "127.1:7117",
      "0x7f000001:7117",
      "2130706433:7117",
    ]) {
      assert.throws(
        () => parseListenAddress(text),
        (error) =>
          error instanceof InvalidArgument && error.field === "listen" && /127\.0\.0\.1:7117/.test(error.hint ?? ""),
        text,
      );
    }
  });

  test("what is no address is refused", () => {
    for (const text of [
      "",
      ":",
      ":7117",
      "7117",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:65536",
      "127.0.0.1:7117:1",
      "127.0.0.1:-1",
      "http://127.0.0.1:7117",
      "[::1]",
      "::1:7117",
      "unix:",
      "unix:\0abstract",
      "127.0.0.1:7117 ",
    ]) {
      assert.throws(() => parseListenAddress(text), InvalidArgument, JSON.stringify(text));
    }
  });

  test(
    "a socket path of 107 bytes is taken, one of 108 is refused, counted in UTF-8",
    { skip: process.platform === "darwin" && "paths are shorter there" },
    () => {
      const path = (bytes: number): string => `unix:/${"é".repeat(20)}${"x".repeat(bytes - 41)}`;
      assert.equal(parseListenAddress(path(107)).kind, "unix");
      assert.throws(() => parseListenAddress(path(108)), /108 bytes/);
    },
  );
});

describe("listening on TCP", () => {
  test("port 0 is any free one, and a client can use what the server says", async (t) => {
    const server = await serve(t, { services });
    assert.match(server.address, /^127\.0\.0\.1:\d+$/);
    assert.notEqual(server.address, "127.0.0.1:0");
    assert.equal((await connectTo(t, server.address).unary(stat, {})).size, 2n);
    assert.equal((await connectTo(t, `http://${server.address}`).unary(stat, {})).size, 2n);
  });

  test("a port in use is refused by name", async (t) => {
    const server = await serve(t, { services });
    await assert.rejects(startServer({ services, listen: server.address }), (error) => {
      assert.ok(error instanceof AlreadyExists);
      assert.ok(error.message.includes(server.address));
      return true;
    });
    assert.equal((await connectTo(t, server.address).unary(stat, {})).size, 2n, "and the first goes on");
  });
});

describe("listening on a socket", () => {
  test("its mode is 0600 whatever the umask, and it is gone after the end", async (t) => {
    const path = join(temporaryDirectory(t), "s");
    const mask = process.umask(0);
    t.after(() => process.umask(mask));
    const server = await serve(t, { services, listen: `unix:${path}` });
    assert.equal(process.umask(0), 0, "the mask is as it was");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal((await connectTo(t, `unix:${path}`).unary(stat, {})).size, 2n);
    await server.close();
    assert.equal(existsSync(path), false);
  });

  test("the longest path works", { skip: process.platform === "darwin" && "paths are shorter there" }, async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, "x".repeat(107 - directory.length - 1));
    assert.equal(Buffer.byteLength(path), 107);
    await leaveStaleSocket(path);
    const server = await serve(t, { services, listen: `unix:${path}` });
    assert.equal((await connectTo(t, server.address).unary(stat, {})).size, 2n);
  });

  test("a stale one is replaced, and nothing else is left in the folder", async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, "s");
    await leaveStaleSocket(path);
    assert.ok(lstatSync(path).isSocket());
    const server = await serve(t, { services, listen: `unix:${path}` });
    assert.equal((await connectTo(t, server.address).unary(stat, {})).size, 2n);
    assert.deepEqual(readdirSync(directory), ["s"]);
  });

  test("one that is in use is refused, and goes on", async (t) => {
    const path = join(temporaryDirectory(t), "s");
    const server = await serve(t, { services, listen: `unix:${path}` });
    await assert.rejects(startServer({ services, listen: `unix:${path}` }), AlreadyExists);
    assert.equal((await connectTo(t, server.address).unary(stat, {})).size, 2n);
  });

  test("what is no socket is left alone", async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, "file");
    writeFileSync(file, "precious");
    const link = join(directory, "link");
    symlinkSync(file, link);
    for (const path of [file, link, directory]) {
      await assert.rejects(startServer({ services, listen: `unix:${path}` }), AlreadyExists);
    }
    assert.deepEqual(readdirSync(directory).sort(), ["file", "link"]);
  });

  test("a folder that is not there is named", async (t) => {
    const path = join(temporaryDirectory(t), "none", "s");
    await assert.rejects(startServer({ services, listen: `unix:${path}` }), (error) => {
      assert.ok(error instanceof InvalidArgument);
      assert.ok(error.message.includes(path));
      return true;
    });
  });

  test(
    "a folder that may not be written to",
    { skip: process.getuid?.() === 0 && "root may write anywhere" },
    async (t) => {
      const directory = temporaryDirectory(t);
      chmodSync(directory, 0o500);
      t.after(() => chmodSync(directory, 0o700));
      await assert.rejects(
        startServer({ services, listen: `unix:${join(directory, "s")}` }),
        (error) => error instanceof NeleusError && error.code === "PERMISSION_DENIED",
      );
    },
  );

  test("of many servers that start at once over a stale one, exactly one listens, and it stays reachable", async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, "s");
    for (let round = 0; round < 5; round += 1) {
      await leaveStaleSocket(path);
      const started = await Promise.allSettled(
        Array.from({ length: 8 }, async (_, index) => {
          await delay(index * 12);
          return startServer({ services, listen: `unix:${path}` });
        }),
      );
      const servers = started.filter((result) => result.status === "fulfilled").map(({ value }) => value);
      for (const result of started) if (result.status === "rejected") assert.ok(result.reason instanceof AlreadyExists);
      assert.equal(servers.length, 1);
      assert.deepEqual(readdirSync(directory), ["s"]);
      const transport = connectTo(t, `unix:${path}`);
      assert.equal((await transport.unary(stat, {})).size, 2n);
      await transport.close();
      await Promise.all(servers.map((server) => server.close()));
    }
  });

  test("a socket that is slow to come alive is asked twice", async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, "s");
    await leaveStaleSocket(path);
    const server = await serve(t, { services, listen: `unix:${join(directory, "live")}` });
    const clearing = assert.rejects(clearSocketPath(path), AlreadyExists);
    await delay(20);
    renameSync(join(directory, "live"), path);
    await clearing;
    assert.equal((await connectTo(t, `unix:${path}`).unary(stat, {})).size, 2n);
    // For the server to remove what it has made.
    renameSync(path, join(directory, "live"));
    await server.close();
  });

  test("a socket other than the one that was asked is not removed, even a stale one", async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, "s");
    await leaveStaleSocket(path);
    await leaveStaleSocket(join(directory, "other"));
    const { ino } = lstatSync(join(directory, "other"));
    const clearing = clearSocketPath(path);
    renameSync(join(directory, "other"), path);
    await clearing;
    assert.equal(lstatSync(path).ino, ino);
    assert.deepEqual(readdirSync(directory), ["s"]);
  });

  test("a claim that somebody holds is respected and named", async (t) => {
    const path = join(temporaryDirectory(t), "s");
    await leaveStaleSocket(path);
    writeFileSync(`${path}.claim`, "");
    await assert.rejects(startServer({ services, listen: `unix:${path}` }), (error) => {
      assert.ok(error instanceof AlreadyExists);
      assert.ok(error.hint?.includes(`${path}.claim`));
      return true;
    });
    assert.ok(lstatSync(path).isSocket());
  });

  test("clearing a path where nothing is does nothing", async (t) => {
    await clearSocketPath(join(temporaryDirectory(t), "s"));
  });
});

/** Leaves a socket as a killed server does. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.stdout.write("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(lstatSync(path).isSocket());
  await assert.rejects(once(createServer().listen(path), "listening"), /EADDRINUSE/);
}
