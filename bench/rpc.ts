// What our server and client cost over grpc-js itself: small calls a second with one and sixteen in flight, and streams
// of 256 KiB messages both ways. Build first: `npx tsc -b tsconfig.test.json && node build/bench/rpc.js`
//
// The servers run in a process of their own, on loopback TCP. "ours" is services over messages, with windows, budgets,
// typed errors; "raw" is grpc-js with bytes as messages and its default windows; "raw, windows" has our client's window
// option, which servers ignore. Rounds alternate, and the best of them counts: other load only slows. CPU time is that of
// both processes together, and says more than the rate where the machine is busy.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { BlobService, type BlobServiceUploadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import type { Transport } from "#src/client/transport.js";
import { Unsupported } from "#src/core/errors.js";
import { HTTP2_WINDOW_BYTES } from "#src/core/limits.js";
import { startServer } from "#src/server/index.js";
import { bindService, type ServiceImplementation } from "#src/service/implementation.js";
import { downloadRequest, listenEcho, passBytes, writeAll } from "./echo-service.js";

const ROUNDS = 5;
const ROUND_MS = 1_500;
const MESSAGE_BYTES = 256 * 1024;
const STREAM_MESSAGES = 512;
const ECHO_BYTES = 100;
const MESSAGES = { count: STREAM_MESSAGES, sizeBytes: MESSAGE_BYTES };

interface Addresses {
  readonly ours: string;
  readonly raw: string;
}

/** One way to reach a server: each function does the thing once. */
interface Contender {
  readonly name: string;
  readonly echo: () => Promise<void>;
  readonly download: () => Promise<void>;
  readonly upload: () => Promise<void>;
}

// ---- The servers ----

async function serveOurs(): Promise<string> {
  const data = new Uint8Array(MESSAGE_BYTES);
  const unused = async (): Promise<never> => {
    throw new Unsupported("not part of this");
  };
  const handlers: ServiceImplementation<typeof BlobService> = {
    stat: async ({ hash }) => ({ data: hash }),
    async *download() {
      for (let count = 0; count < STREAM_MESSAGES; count += 1) yield { part: { case: "slice", value: { data } } };
    },
    upload: async (requests) => {
      let size = 0n;
      for await (const { part } of requests) if (part.case === "data") size += BigInt(part.value.data.length);
      return { size };
    },
    queryUpload: unused,
    findMissing: unused,
    batchPut: unused,
    async *batchGet() {
      throw new Unsupported("not part of this");
    },
  };
  const server = await startServer({ services: [bindService(BlobService, handlers)], listen: "127.0.0.1:0" });
  return server.address;
}

// ---- The clients ----

function ours(transport: Transport): Contender {
  const { stat, download, upload } = BlobService.method;
  const hash = new Uint8Array(ECHO_BYTES);
  const data = new Uint8Array(MESSAGE_BYTES);
  async function* parts(): AsyncGenerator<MessageInitShape<typeof BlobServiceUploadRequestSchema>> {
    for (let count = 0; count < STREAM_MESSAGES; count += 1) yield { part: { case: "data", value: { data } } };
  }
  return {
    name: "ours",
    echo: async () => {
      await transport.unary(stat, { hash });
    },
    download: async () => {
      for await (const { part } of transport.serverStream(download, {})) if (part.case !== "slice") throw new Error();
    },
    upload: async () => {
      await transport.clientStream(upload, parts());
    },
  };
}

function raw(name: string, address: string, options: Record<string, number>): Contender {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    ...options,
  });
  const small = Buffer.alloc(ECHO_BYTES);
  const wanted = downloadRequest(MESSAGES);
  return {
    name,
    echo: () =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest("/bench.Echo/Echo", passBytes, passBytes, small, new Metadata(), (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      }),
    download: async () => {
      const call = client.makeServerStreamRequest("/bench.Echo/Download", passBytes, passBytes, wanted, new Metadata());
      for await (const message of call as AsyncIterable<Buffer>) if (message.length === 0) throw new Error();
    },
    upload: () =>
      new Promise((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          "/bench.Echo/Upload",
          passBytes,
          passBytes,
          new Metadata(),
          (error) => {
            if (error === null) resolve();
            else reject(error);
          },
        );
        void writeAll(call, MESSAGES);
      }),
  };
}

// ---- The measurement ----

/** What a round gave: how many things a second, and what one cost both processes. */
interface Rate {
  readonly perSecond: number;
  readonly cpuMs: number;
}

/** CPU time that both processes have used, in milliseconds. */
async function cpuTimeMs(server: ChildProcess): Promise<number> {
  server.send("cpu");
  const [serverMs] = (await once(server, "message")) as [number];
  return serverMs + ownCpuTimeMs();
}

function ownCpuTimeMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function rate(server: ChildProcess, action: () => Promise<void>, inFlight: number): Promise<Rate> {
  const cpuBeforeMs = await cpuTimeMs(server);
  const startedMs = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < startedMs + ROUND_MS) {
      await action();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const tookMs = performance.now() - startedMs;
  return { perSecond: (count / tookMs) * 1000, cpuMs: ((await cpuTimeMs(server)) - cpuBeforeMs) / count };
}

interface Measure {
  readonly action: (contender: Contender) => () => Promise<void>;
  readonly inFlight: number;
  /** Of these a second, and so much CPU time for each. */
  readonly unit: string;
  readonly perAction: number;
}

const STREAM_MEGABYTES = (MESSAGE_BYTES * STREAM_MESSAGES) / 1e6;

const MEASURES: readonly Measure[] = [
  { unit: "calls, 1 in flight", action: ({ echo }) => echo, inFlight: 1, perAction: 1 },
  { unit: "calls, 16 in flight", action: ({ echo }) => echo, inFlight: 16, perAction: 1 },
  { unit: "MB down", action: ({ download }) => download, inFlight: 1, perAction: STREAM_MEGABYTES },
  { unit: "MB up", action: ({ upload }) => upload, inFlight: 1, perAction: STREAM_MEGABYTES },
];

async function measure(server: ChildProcess, addresses: Addresses): Promise<void> {
  const contenders = [
    ours(grpcTransport({ address: addresses.ours })),
    raw("raw", addresses.raw, {}),
    raw("raw, windows", addresses.raw, { "grpc-node.flow_control_window": HTTP2_WINDOW_BYTES }),
  ];
  console.log(`${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, node ${process.version}; a second, CPU ms for one`);
  for (const { unit, action, inFlight, perAction } of MEASURES) {
    const best = new Map(contenders.map(({ name }) => [name, { perSecond: 0, cpuMs: Infinity }]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contender of contenders) {
        const seen = await rate(server, action(contender), inFlight);
        const before = best.get(contender.name) ?? seen;
        best.set(contender.name, {
          perSecond: Math.max(before.perSecond, seen.perSecond * perAction),
          cpuMs: Math.min(before.cpuMs, seen.cpuMs / perAction),
        });
      }
    }
    const shown = [...best].map(
      ([name, { perSecond, cpuMs }]) => `${name} ${perSecond.toFixed(0)}, ${cpuMs.toFixed(2)}`,
    );
    console.log(`${unit.padEnd(20)} ${shown.join("   ")}`);
  }
}

if (process.argv[2] === "serve") {
  process.on("message", () => process.send?.(ownCpuTimeMs()));
  process.send?.({ ours: await serveOurs(), raw: await listenEcho() } satisfies Addresses);
} else {
  const child = fork(import.meta.filename, ["serve"]);
  const [addresses] = (await once(child, "message")) as [Addresses];
  await measure(child, addresses);
  child.kill();
  process.exit();
}
