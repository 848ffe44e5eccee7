// What the tests of the services share: a database in memory with a clock and randomness of its own, and a caller that
// behaves like a wire.
//
// The caller serializes every request into one large Buffer and overwrites it once the handler has moved on, as a
// transport's buffers are reused, so a handler that keeps a view of a request is found out. Answers are serialized too.
// The store counts what is open, so that a handle that is not let go of is found out as well.
import assert from "node:assert/strict";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { NodeReveal } from "#gen/neleus/v1/proof_pb.js";
import { toHex } from "#src/core/bytes.js";
import { NeleusError, NotFound, type ErrorCode } from "#src/core/errors.js";
import type { Reveal } from "#src/core/map/index.js";
import { Database } from "#src/database/index.js";
import { createServices, STATUS_OF, type GrpcStatusCode, type ServiceBinding } from "#src/service/index.js";
import type { LargeBlobs, Store, SyncReader } from "#src/store/contract.js";
import { MemoryStore } from "#src/store/index.js";

/** What a store has handed out and not got back. */
export interface OpenHandles {
  blobs: number;
  uploads: number;
}

/** What was asked of a store. */
export interface StoreWork {
  /** Rows looked at or read without waiting, and pieces of files. */
  reads: number;
  /** Batches that put rows, leases aside: what the engine tidies up by its own clock is no call's. */
  writes: number;
}

/** The object with some methods replaced. Methods run on the object itself, which may have private fields. */
function withMethods<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const replaced: unknown = Reflect.get(methods, name);
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

function counting(store: MemoryStore): { store: Store; open: OpenHandles; work: StoreWork } {
  const open: OpenHandles = { blobs: 0, uploads: 0 };
  const work: StoreWork = { reads: 0, writes: 0 };
  const read = <T>(result: T): T => {
    work.reads += 1;
    return result;
  };
  const sync: SyncReader = {
    get: (space, key) => read(store.sync.get(space, key)),
    has: (space, key) => read(store.sync.has(space, key)),
  };
  const files: LargeBlobs = withMethods<LargeBlobs>(store.files, {
    async open(hash) {
      const blob = await store.files.open(hash);
      if (blob === undefined) return undefined;
      open.blobs += 1;
      let isOpen = true;
      return withMethods(blob, {
        read: (offset, length) => read(blob.read(offset, length)),
        async close() {
          if (isOpen) open.blobs -= 1;
          isOpen = false;
          await blob.close();
        },
      });
    },
    async stage(uploadId, begin) {
      const staged = await store.files.stage(uploadId, begin);
      open.uploads += 1;
      let isOpen = true;
      const leave = (): void => {
        if (isOpen) open.uploads -= 1;
        isOpen = false;
      };
      return withMethods(staged, {
        read: (offset, length) => read(staged.read(offset, length)),
        close: () => staged.close().finally(leave),
        discard: () => staged.discard().finally(leave),
        publish: (hash) => staged.publish(hash).finally(leave),
      });
    },
  });
  const write: Store["write"] = (batch) => {
    if (batch.puts?.some(({ space }) => space !== "leases") === true) work.writes += 1;
    return store.write(batch);
  };
  return { store: withMethods<Store>(store, { files, sync, write }), open, work };
}

/** Random enough, and the same each time. */
function seededBytes(): (count: number) => Uint8Array {
  let state = 0x9e3779b9;
  return (count) =>
    Uint8Array.from({ length: count }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    });
}

export interface Harness {
  readonly database: Database;
  readonly caller: Caller;
  readonly services: readonly ServiceBinding[];
  readonly open: OpenHandles;
  readonly work: StoreWork;
  /** The database's clock; tests move it. */
  readonly clock: { nowMs: number };
  readonly store: Store;
  /** Everything that a write could have changed. */
  fingerprint(): Promise<string>;
}

/** A database called "default" with head `main`, and its services. */
export async function openHarness(): Promise<Harness> {
  const clock = { nowMs: 1_700_000_000_000 };
  const { store, open, work } = counting(new MemoryStore());
  const options = { clock: () => clock.nowMs, randomBytes: seededBytes(), logWaitMs: 20 };
  const database = await Database.create(store, options);
  const services = createServices({
    version: "1.2.3",
    database: async (name) => {
      if (name === "default") return database;
      throw new NotFound(`no database ${name}`, { field: "database", facts: { kind: "database", name } });
    },
  });
  return {
    database,
    services,
    open,
    work,
    clock,
    store,
    caller: new Caller(services),
    async fingerprint() {
      const view = await database.view();
      const { rows, largeBlobs, uploads } = await database.usage();
      return JSON.stringify({ root: toHex(view.refs.root), size: view.logSize, rows, largeBlobs, uploads });
    },
  };
}

/** A message as it arrives: its byte fields are views of a Buffer that is overwritten by `spoil`. */
function arrived<D extends DescMessage>(
  schema: D,
  init: MessageInitShape<D>,
): { message: MessageShape<D>; spoil: () => void } {
  const bytes = toBinary(schema, create(schema, init));
  const buffer = Buffer.alloc(bytes.length + 64);
  buffer.set(bytes, 32);
  const message = fromBinary(schema, buffer.subarray(32, 32 + bytes.length));
  return { message, spoil: () => void buffer.fill(0xee) };
}

function sent<D extends DescMessage>(schema: D, init: MessageInitShape<D>): MessageShape<D> {
  return fromBinary(schema, toBinary(schema, create(schema, init)));
}

export interface CallSettings {
  readonly signal?: AbortSignal;
}

/** Calls handlers as a transport would. */
export class Caller {
  readonly #services: readonly ServiceBinding[];
  #calls = 0;

  constructor(services: readonly ServiceBinding[]) {
    this.#services = services;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    init: MessageInitShape<I>,
    settings: CallSettings = {},
  ): Promise<MessageShape<O>> {
    const handler = this.#handler(method) as (request: unknown, context: unknown) => Promise<MessageInitShape<O>>;
    const { message, spoil } = arrived(method.input, init);
    try {
      return sent(method.output, await handler(message, this.#context(settings)));
    } finally {
      spoil();
    }
  }

  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    init: MessageInitShape<I>,
    settings: CallSettings = {},
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const handler = this.#handler(method) as (request: unknown, context: unknown) => AsyncIterable<MessageInitShape<O>>;
    const { message, spoil } = arrived(method.input, init);
    for await (const item of handler(message, this.#context(settings))) {
      // The request is gone once its stream has begun.
      spoil();
      yield sent(method.output, item);
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: Iterable<MessageInitShape<I>> | AsyncIterable<MessageInitShape<I>>,
    settings: CallSettings = {},
  ): Promise<MessageShape<O>> {
    const handler = this.#handler(method) as (
      requests: AsyncIterable<unknown>,
      context: unknown,
    ) => Promise<MessageInitShape<O>>;
    const stream = (async function* () {
      for await (const request of requests) {
        const { message, spoil } = arrived(method.input, request);
        try {
          yield message;
        } finally {
          spoil();
        }
      }
    })();
    return sent(method.output, await handler(stream, this.#context(settings)));
  }

  #handler(method: DescMethod): unknown {
    const service = this.#services.find(({ descriptor }) => descriptor.typeName === method.parent.typeName);
    const handler = service?.handlers[method.localName];
    assert.ok(handler, `no handler of ${method.parent.typeName}.${method.name}`);
    return handler;
  }

  #context({ signal = new AbortController().signal }: CallSettings) {
    this.#calls += 1;
    return { signal, requestId: `test-${this.#calls}` };
  }
}

/** A list of what a stream sends. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** Reveals as core's verifiers take them. */
export function revealsOf(nodes: readonly NodeReveal[]): Reveal[] {
  return nodes.map((node) => ({ ...node, total: Number(node.total) }));
}

export interface ExpectedError {
  readonly code: ErrorCode;
  /** The status that the caller gets. */
  readonly status: GrpcStatusCode;
  readonly field?: string;
  readonly kind?: string;
}

/** The call fails with this error. */
export async function fails(call: Promise<unknown>, expected: ExpectedError): Promise<NeleusError> {
  let thrown: unknown;
  try {
    await call;
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof NeleusError, `expected ${expected.code}, got ${String(thrown)}`);
  const actual = { code: thrown.code, status: STATUS_OF[thrown.code] };
  assert.deepEqual(actual, { code: expected.code, status: expected.status }, thrown.message);
  if (expected.field !== undefined) assert.equal(thrown.field, expected.field, thrown.message);
  if (expected.kind !== undefined) assert.equal(thrown.facts["kind"], expected.kind, thrown.message);
  return thrown;
}

export const utf8Of = (text: string): Uint8Array => new TextEncoder().encode(text);
