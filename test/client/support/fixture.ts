// A database in memory behind each transport: in process, and over gRPC on a socket of this machine.
import { describe, it } from "node:test";
import { createServices } from "#src/service/index.js";
import { startServer } from "#src/server/index.js";
import type { Database } from "#src/client/contract.js";
import { openOver } from "#src/client/database.js";
import { inProcessTransport } from "#src/client/embedded/index.js";
import { grpcTransport } from "#src/client/grpc-transport.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Transport } from "#src/client/transport.js";
import type { Database as Engine } from "#src/database/index.js";
import { inMemory, type TestClock } from "../../database/support/database.js";

export interface Fixture {
  readonly engine: Engine;
  readonly clock: TestClock;
  /** A new transport to the database; closing it leaves the engine open. */
  readonly transport: () => Transport;
  /** A new client; `wrap` may put itself between it and the transport. */
  readonly client: (options?: DatabaseOptions, wrap?: (inner: Transport) => Transport) => Promise<Database>;
  readonly close: () => Promise<void>;
}

/** A transport whose server was asked for something else than the client wanted. */
export function askingOtherwise(inner: Transport, change: object): Transport {
  const serverStream: Transport["serverStream"] = (method, request, ...rest) =>
    inner.serverStream(method, { ...request, ...change }, ...rest);
  return {
    address: inner.address,
    unary: inner.unary.bind(inner),
    clientStream: inner.clientStream.bind(inner),
    close: () => inner.close(),
    serverStream,
  };
}

/** As `connect` and `open` have it. */
export const NATIVE = { makeSignatureCheck: nativeSignatureCheck };

export type TransportKind = "in process" | "over gRPC";

export async function openFixture(kind: TransportKind): Promise<Fixture> {
  const { db: engine, clock } = await inMemory();
  const reach = kind === "in process" ? inProcess(engine) : await overGrpc(engine);
  const client: Fixture["client"] = (options, wrap = (inner) => inner) =>
    openOver(wrap(reach.transport()), { clock: clock.read, ...options }, NATIVE);
  return { engine, clock, client, ...reach };
}

function inProcess(engine: Engine): Pick<Fixture, "transport" | "close"> {
  const services = createServices({ database: async () => engine, version: "0.0.0" });
  return {
    transport: () => inProcessTransport({ address: "memory", services }),
    close: () => engine.close(),
  };
}

async function overGrpc(engine: Engine): Promise<Pick<Fixture, "transport" | "close">> {
  const services = createServices({ database: async () => engine, version: "0.0.0" });
  const server = await startServer({ services, listen: "127.0.0.1:0" });
  const opened: Transport[] = [];
  return {
    transport: () => {
      const transport = grpcTransport({ address: server.address });
      opened.push(transport);
      return transport;
    },
    close: async () => {
      for (const transport of opened) await transport.close();
      await server.close({ graceMs: 100 });
      await engine.close();
    },
  };
}

/** Runs a test once over each transport. */
export function onEachTransport(name: string, test: (fixture: Fixture) => Promise<void>): void {
  describe(name, () => {
    for (const kind of ["in process", "over gRPC"] as const) {
      it(kind, async () => {
        const fixture = await openFixture(kind);
        try {
          await test(fixture);
        } finally {
          await fixture.close();
        }
      });
    }
  });
}

/** Everything that an iteration yields. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
