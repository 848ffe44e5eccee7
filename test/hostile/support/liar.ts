// A server that answers something else than the truth: an honest engine behind a transport that lies.
import test from "node:test";
import type { Message } from "@bufbuild/protobuf";
import type { Database } from "#src/client/contract.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Transport } from "#src/client/transport.js";
import { openFixture, type Fixture } from "../../client/support/fixture.js";

/** Stands between a client and the server, and may do something else than pass a call on. */
export class Liar {
  /** By method name: what is answered; `pass` asks the server. */
  readonly lies = new Map<string, (request: Record<string, unknown>, pass: Pass) => Promise<Message>>();

  readonly wrap = (inner: Transport): Transport => ({
    address: inner.address,
    unary: async (method, request, options) => {
      const pass: Pass = (changed = request) => inner.unary(method, changed as typeof request, options);
      const lie = this.lies.get(method.name);
      return (await (lie === undefined ? pass() : lie(request, pass))) as never;
    },
    serverStream: inner.serverStream.bind(inner),
    clientStream: inner.clientStream.bind(inner),
    close: () => inner.close(),
  });
}

/** Asks the server, for something else if that is given. */
export type Pass = (changed?: object) => Promise<Message>;

export interface Scene {
  readonly fixture: Fixture;
  readonly liar: Liar;
  readonly db: Database;
  /** Another writer, to whom nobody lies. */
  readonly other: Database;
}

/** A test with a fixture, a client that is lied to, and one that is not. */
export function scene(name: string, run: (scene: Scene) => Promise<void>, options: DatabaseOptions = {}): void {
  test(name, async () => {
    const fixture = await openFixture("in process");
    const liar = new Liar();
    try {
      await run({ fixture, liar, db: await fixture.client(options, liar.wrap), other: await fixture.client() });
    } finally {
      await fixture.close();
    }
  });
}
