// Goal: a transport is one contract, whatever carries it. Method: one suite of every kind of call, every way to end one
// and every error, run over loopback TCP, a Unix socket and in process, against handlers written for each case.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { BlobService, type BlobServiceUploadRequestSchema } from "#gen/neleus/v1/blob_pb.js";
import { CommitService } from "#gen/neleus/v1/commit_pb.js";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import { inProcessTransport } from "#src/client/embedded/in-process-transport.js";
import type { Transport } from "#src/client/transport.js";
import { Conflict, InvalidArgument, NeleusError, Unavailable, type ErrorCode } from "#src/core/errors.js";
import { STATUS_OF, GrpcStatus } from "#src/service/errors.js";
import type { CallContext } from "#src/service/implementation.js";
import { fakeServices, type BlobHandlers, type StateHandlers } from "./support/fakes.js";
import { connectTo, deferred, eventually, serve, temporaryDirectory, untilAborted } from "./support/running.js";

type Handlers = { blob?: BlobHandlers; state?: StateHandlers };
type Connect = (t: TestContext, handlers: Handlers) => Promise<Transport>;
type UploadPart = MessageInitShape<typeof BlobServiceUploadRequestSchema>;

const CARRIERS: Record<string, Connect> = {
  "loopback TCP": async (t, handlers) => {
    const server = await serve(t, { services: fakeServices(handlers) });
    return connectTo(t, server.address);
  },
  "a Unix socket": async (t, handlers) => {
    const listen = `unix:${join(temporaryDirectory(t), "socket")}`;
    const server = await serve(t, { services: fakeServices(handlers), listen });
    return connectTo(t, server.address);
  },
  "in process": async (t, handlers) => {
    const transport = inProcessTransport({ address: "here", services: fakeServices(handlers) });
    t.after(() => transport.close());
    return transport;
  },
};

const { stat, upload, download } = BlobService.method;

function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NeleusError, `not a NeleusError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return true;
  };
}

function dataPart(size: number, offset = 0): UploadPart {
  return { part: { case: "data", value: { offset: BigInt(offset), data: new Uint8Array(size).fill(7) } } };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

for (const [carrier, connect] of Object.entries(CARRIERS)) {
  describe(`transport over ${carrier}`, () => {
    test("a unary call carries its request and its answer", async (t) => {
      const transport = await connect(t, {
        blob: { stat: async ({ database, hash }) => ({ size: BigInt(hash.length), data: Buffer.from(database) }) },
      });
      const answer = await transport.unary(stat, { database: "d", hash: new Uint8Array(5) });
      assert.equal(answer.size, 5n);
      assert.equal(Buffer.from(answer.data).toString(), "d");
      assert.equal(answer.parents.length, 0, "fields left out have their defaults");
    });

    test("a stream of answers comes in order and ends", async (t) => {
      const transport = await connect(t, {
        blob: {
          async *download({ start }) {
            yield { part: { case: "header", value: { size: start } } };
            for (let index = 0; index < 200; index += 1) {
              yield { part: { case: "slice", value: { data: Buffer.from(String(index)) } } };
            }
          },
        },
      });
      const parts = await collect(transport.serverStream(download, { start: 9n }));
      assert.equal(parts.length, 201);
      assert.deepEqual(
        parts.slice(1).map(({ part }) => part.case === "slice" && Buffer.from(part.value.data).toString()),
        Array.from({ length: 200 }, (_, index) => String(index)),
      );
      const [first] = parts;
      assert.ok(first?.part.case === "header");
      assert.equal(first.part.value.size, 9n);
    });

    test("a stream of answers may be empty", async (t) => {
      const transport = await connect(t, { blob: { async *download() {} } });
      assert.deepEqual(await collect(transport.serverStream(download, {})), []);
    });

    test("a stream of requests comes in order, and is answered", async (t) => {
      const transport = await connect(t, {
        blob: {
          upload: async (requests) => {
            let size = 0n;
            for await (const { part } of requests) {
              if (part.case !== "data") continue;
              assert.equal(part.value.offset, size);
              size += BigInt(part.value.data.length);
            }
            return { size };
          },
        },
      });
      async function* parts(): AsyncGenerator<UploadPart> {
        yield { part: { case: "header", value: {} } };
        for (let index = 0; index < 100; index += 1) yield dataPart(1_000, index * 1_000);
      }
      assert.equal((await transport.clientStream(upload, parts())).size, 100_000n);
    });

    test("calls run beside each other", async (t) => {
      const gate = deferred();
      let inside = 0;
      const transport = await connect(t, {
        blob: {
          stat: async ({ hash }) => {
            inside += 1;
            if (inside === 20) gate.resolve();
            await gate.promise;
            return { size: BigInt(hash.length) };
          },
        },
      });
      const sizes = Array.from({ length: 20 }, (_, index) => index);
      const answers = await Promise.all(sizes.map((size) => transport.unary(stat, { hash: new Uint8Array(size) })));
      assert.deepEqual(
        answers.map((answer) => Number(answer.size)),
        sizes,
      );
    });

    test("calls inside the loop over a large stream are answered, however much of the stream waits", async (t) => {
      const transport = await connect(t, {
        blob: {
          stat: async () => ({ size: 1n }),
          async *download() {
            const data = new Uint8Array(256 * 1024);
            for (let index = 0; index < 32; index += 1) yield { part: { case: "slice", value: { data } } };
          },
        },
      });
      let count = 0;
      for await (const outer of transport.serverStream(download, {})) {
        count += 1;
        assert.equal(outer.part.case, "slice");
        if (count % 16 !== 1) continue;
        // Long enough for the windows of the outer stream to fill.
        await delay(30);
        await transport.unary(stat, {}, { timeoutMs: 5_000 });
        const inner = await collect(transport.serverStream(download, {}, { timeoutMs: 5_000 }));
        assert.equal(inner.length, 32);
      }
      assert.equal(count, 32);
    });

    describe("errors", () => {
      test("every code comes back from every kind of handler, with field, hint and facts", async (t) => {
        const field = "operations[3].key";
        const facts = { current_root: "00ff", limit: "key_bytes" };
        const fail = (code: string): never => {
          throw new NeleusError(code as ErrorCode, "näme it", { field, hint: "see: neleus head list", facts });
        };
        const transport = await connect(t, {
          blob: {
            stat: async ({ database }) => fail(database),
            async *download({ database }) {
              yield { part: { case: "header", value: {} } };
              fail(database);
            },
            upload: async (requests) => {
              for await (const { part } of requests) if (part.case === "header") fail(part.value.database);
              return {};
            },
          },
        });
        for (const code of Object.keys(STATUS_OF) as ErrorCode[]) {
          const check = (error: unknown): boolean => {
            assert.ok(error instanceof NeleusError);
            // What only verifiers and bugs throw is a bug of the server when it gets to the wire.
            const isInternal = STATUS_OF[code] === GrpcStatus.INTERNAL;
            assert.equal(error.code, isInternal ? "INTERNAL" : code);
            if (isInternal) return true;
            assert.equal(error.message, "näme it");
            assert.equal(error.field, field);
            assert.equal(error.hint, "see: neleus head list");
            assert.deepEqual({ ...error.facts }, facts);
            return true;
          };
          async function* parts(): AsyncGenerator<UploadPart> {
            yield { part: { case: "header", value: { database: code } } };
          }
          await assert.rejects(transport.unary(stat, { database: code }), check);
          await assert.rejects(collect(transport.serverStream(download, { database: code })), check);
          await assert.rejects(transport.clientStream(upload, parts()), check);
        }
      });

      test("each reaction has its class", async (t) => {
        const transport = await connect(t, {
          blob: {
            stat: async ({ database }) => {
              throw database === "a" ? new Conflict("first") : new InvalidArgument("wrong");
            },
          },
        });
        await assert.rejects(transport.unary(stat, { database: "a" }), Conflict);
        await assert.rejects(transport.unary(stat, { database: "b" }), InvalidArgument);
      });

      test("what came before an error in a stream still arrives", async (t) => {
        const transport = await connect(t, {
          blob: {
            async *download() {
              for (let index = 0; index < 50; index += 1) {
                yield { part: { case: "slice", value: { data: new Uint8Array(100_000) } } };
              }
              throw new Conflict("late");
            },
          },
        });
        let count = 0;
        await assert.rejects(async () => {
          for await (const answer of transport.serverStream(download, {})) {
            assert.equal(answer.part.case, "slice");
            count += 1;
            if (count % 10 === 0) await delay(2);
          }
        }, Conflict);
        assert.equal(count, 50);
      });

      test("a bug in a handler is INTERNAL", async (t) => {
        const transport = await connect(t, {
          blob: {
            stat: async () => {
              throw new TypeError("cannot read properties of undefined");
            },
            download: () => {
              throw new RangeError("at once");
            },
          },
        });
        await assert.rejects(transport.unary(stat, {}), withCode("INTERNAL"));
        await assert.rejects(collect(transport.serverStream(download, {})), withCode("INTERNAL"));
      });

      test("a method that is not served is UNSUPPORTED", async (t) => {
        const transport = await connect(t, {});
        await assert.rejects(transport.unary(CommitService.method.get, {}), withCode("UNSUPPORTED"));
        await assert.rejects(collect(transport.serverStream(CommitService.method.log, {})), withCode("UNSUPPORTED"));
      });
    });

    describe("ended by the caller", () => {
      test("a signal that has fired starts nothing", async (t) => {
        let calls = 0;
        const transport = await connect(t, {
          blob: {
            stat: async () => {
              calls += 1;
              return {};
            },
          },
        });
        const options = { signal: AbortSignal.abort() };
        await assert.rejects(transport.unary(stat, {}, options), withCode("CANCELLED"));
        await assert.rejects(collect(transport.serverStream(download, {}, options)), withCode("CANCELLED"));
        async function* none(): AsyncGenerator<UploadPart> {}
        await assert.rejects(transport.clientStream(upload, none(), options), withCode("CANCELLED"));
        await delay(20);
        assert.equal(calls, 0);
      });

      test("a signal ends a unary call, and the handler is told", async (t) => {
        const reached = deferred<CallContext>();
        const transport = await connect(t, {
          blob: {
            stat: async (_, context) => {
              reached.resolve(context);
              return untilAborted(context.signal);
            },
          },
        });
        const controller = new AbortController();
        const call = transport.unary(stat, {}, { signal: controller.signal });
        const context = await reached.promise;
        controller.abort();
        await assert.rejects(call, withCode("CANCELLED"));
        await eventually(() => context.signal.aborted, "the handler's signal");
        assert.equal((context.signal.reason as NeleusError).code, "CANCELLED");
      });

      test("a handler that ignores its signal does not keep the caller", async (t) => {
        const release = deferred();
        t.after(() => release.resolve());
        const transport = await connect(t, {
          blob: {
            stat: async () => {
              await release.promise;
              return {};
            },
          },
        });
        // A signal of AbortSignal.timeout keeps no process alive: in process nothing else does.
        const alive = setTimeout(() => undefined, 10_000);
        const timedOut = transport.unary(stat, {}, { signal: AbortSignal.timeout(30) });
        await assert.rejects(timedOut, withCode("DEADLINE_EXCEEDED"));
        clearTimeout(alive);
        await assert.rejects(transport.unary(stat, {}, { timeoutMs: 30 }), withCode("DEADLINE_EXCEEDED"));
        release.resolve();
      });

      test("a deadline ends a call of each kind, and the handler is told which it was", async (t) => {
        const contexts: CallContext[] = [];
        const wait = (context: CallContext): Promise<never> => {
          contexts.push(context);
          return untilAborted(context.signal);
        };
        const transport = await connect(t, {
          blob: {
            stat: async (_, context) => wait(context),
            async *download(_, context) {
              yield { part: { case: "header", value: {} } };
              await wait(context);
            },
            upload: async (_, context) => wait(context),
          },
        });
        // The first call connects, which takes its time on a busy machine.
        await assert.rejects(transport.unary(BlobService.method.queryUpload, {}), withCode("UNSUPPORTED"));
        const options = { timeoutMs: 250 };
        async function* endless(): AsyncGenerator<UploadPart> {
          for (;;) {
            await delay(5);
            yield dataPart(10);
          }
        }
        await assert.rejects(transport.unary(stat, {}, options), withCode("DEADLINE_EXCEEDED"));
        await assert.rejects(collect(transport.serverStream(download, {}, options)), withCode("DEADLINE_EXCEEDED"));
        await assert.rejects(transport.clientStream(upload, endless(), options), withCode("DEADLINE_EXCEEDED"));
        await eventually(() => contexts.every((context) => context.signal.aborted), "the handlers' signals");
        const codes = contexts.map((context) => (context.signal.reason as NeleusError).code);
        // Over a connection the caller's cancellation may overtake the server's own deadline.
        for (const code of codes) assert.ok(code === "DEADLINE_EXCEEDED" || code === "CANCELLED", code);
        assert.equal(codes.length, 3);
      });

      test("a deadline of years does not overflow", async (t) => {
        const transport = await connect(t, { blob: { stat: async () => ({ size: 4n }) } });
        const timeoutMs = 100 * 365 * 24 * 3_600_000;
        assert.equal((await transport.unary(stat, {}, { timeoutMs })).size, 4n);
      });

      test("a deadline that is no number is refused", async (t) => {
        const transport = await connect(t, {});
        await assert.rejects(transport.unary(stat, {}, { timeoutMs: NaN }), InvalidArgument);
        await assert.rejects(transport.unary(stat, {}, { timeoutMs: -1 }), InvalidArgument);
      });

      test("leaving a stream early closes the handler's iterator and fires its signal", async (t) => {
        const closed = deferred<boolean>();
        const transport = await connect(t, {
          blob: {
            async *download(_, context) {
              try {
                for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(100_000) } } };
              } finally {
                closed.resolve(context.signal.aborted);
              }
            },
          },
        });
        let count = 0;
        for await (const answer of transport.serverStream(download, {})) {
          assert.equal(answer.part.case, "slice");
          count += 1;
          if (count === 3) break;
        }
        const outcome = await Promise.race([closed.promise, delay(1_000, "not closed")]);
        assert.equal(outcome, true);
      });

      test("leaving a stream by a throw does the same, and keeps the error", async (t) => {
        const closed = deferred();
        const transport = await connect(t, {
          blob: {
            async *download() {
              try {
                for (;;) yield { part: { case: "slice", value: { data: new Uint8Array(100_000) } } };
              } finally {
                closed.resolve();
              }
            },
          },
        });
        await assert.rejects(async () => {
          for await (const answer of transport.serverStream(download, {})) throw new Error(`mine: ${answer.part.case}`);
        }, /^Error: mine: slice/);
        await closed.promise;
      });

      test("a signal ends a stream between two answers", async (t) => {
        const closed = deferred();
        const transport = await connect(t, {
          blob: {
            async *download(_, context) {
              try {
                yield { part: { case: "header", value: {} } };
                await untilAborted(context.signal);
              } finally {
                closed.resolve();
              }
            },
          },
        });
        const controller = new AbortController();
        await assert.rejects(async () => {
          for await (const answer of transport.serverStream(download, {}, { signal: controller.signal })) {
            assert.equal(answer.part.case, "header");
            setTimeout(() => controller.abort(), 5);
          }
        }, withCode("CANCELLED"));
        await closed.promise;
      });

      test("a stream whose handler gives up quietly when told to does not look complete", async (t) => {
        const transport = await connect(t, {
          blob: {
            async *download(_, context) {
              while (!context.signal.aborted) {
                yield { part: { case: "slice", value: { data: new Uint8Array(1_000) } } };
                await delay(1);
              }
            },
          },
        });
        const controller = new AbortController();
        setTimeout(() => controller.abort(), 30);
        const reading = collect(transport.serverStream(download, {}, { signal: controller.signal }));
        await assert.rejects(reading, withCode("CANCELLED"));
      });

      test("a signal ends an upload: the handler's iterator throws, and the source is let go", async (t) => {
        const reached = deferred();
        const ended = deferred<unknown>();
        const letGo = deferred();
        const transport = await connect(t, {
          blob: {
            upload: async (requests) => {
              try {
                for await (const request of requests) {
                  assert.equal(request.part.case, "data");
                  reached.resolve();
                }
                ended.resolve("ended as if complete");
              } catch (error) {
                ended.resolve(error);
                throw error;
              }
              return {};
            },
          },
        });
        async function* parts(): AsyncGenerator<UploadPart> {
          try {
            for (;;) {
              yield dataPart(1_000);
              await delay(1);
            }
          } finally {
            letGo.resolve();
          }
        }
        const controller = new AbortController();
        void reached.promise.then(() => controller.abort());
        await assert.rejects(
          transport.clientStream(upload, parts(), { signal: controller.signal }),
          withCode("CANCELLED"),
        );
        assert.ok(withCode("CANCELLED")(await ended.promise));
        await letGo.promise;
      });

      test("a source that fails ends the upload, and its error comes back as it is", async (t) => {
        const reached = deferred();
        const ended = deferred<unknown>();
        const transport = await connect(t, {
          blob: {
            upload: async (requests) => {
              try {
                for await (const request of requests) {
                  assert.equal(request.part.case, "data");
                  reached.resolve();
                }
                ended.resolve("ended as if complete");
              } catch (error) {
                ended.resolve(error);
              }
              return { size: 1n };
            },
          },
        });
        const mine = new Error("the disk is gone");
        async function* parts(): AsyncGenerator<UploadPart> {
          yield dataPart(10);
          await reached.promise;
          throw mine;
        }
        await assert.rejects(transport.clientStream(upload, parts()), (error) => error === mine);
        assert.ok(withCode("CANCELLED")(await ended.promise));
      });

      test("closing the transport ends its calls with Unavailable, and refuses further ones", async (t) => {
        const reached = deferred();
        const transport = await connect(t, {
          blob: {
            stat: async (_, context) => {
              reached.resolve();
              return untilAborted(context.signal);
            },
          },
        });
        const call = transport.unary(stat, {});
        const failed = assert.rejects(call, Unavailable);
        await reached.promise;
        await transport.close();
        await failed;
        await assert.rejects(transport.unary(stat, {}), Unavailable);
      });
    });

    describe("ended by the handler", () => {
      test("an answer before the end of the requests stops the source", async (t) => {
        const letGo = deferred();
        const transport = await connect(t, {
          blob: {
            upload: async (requests) => {
              let count = 0n;
              for await (const request of requests) {
                assert.equal(request.part.case, "data");
                count += 1n;
                if (count === 3n) break;
              }
              return { size: count };
            },
          },
        });
        let sent = 0;
        async function* parts(): AsyncGenerator<UploadPart> {
          try {
            for (;;) {
              sent += 1;
              yield dataPart(1_000);
              await delay(1);
            }
          } finally {
            letGo.resolve();
          }
        }
        assert.equal((await transport.clientStream(upload, parts())).size, 3n);
        await letGo.promise;
        const sentThen = sent;
        await delay(20);
        assert.equal(sent, sentThen);
      });

      test("an error before the end of the requests stops the source, even one that waits", async (t) => {
        const transport = await connect(t, {
          blob: {
            upload: async (requests) => {
              for await (const request of requests) throw new Conflict(`no ${request.part.case}`);
              return {};
            },
          },
        });
        const stuck = deferred();
        t.after(() => stuck.resolve());
        async function* parts(): AsyncGenerator<UploadPart> {
          yield dataPart(10);
          await stuck.promise;
        }
        await assert.rejects(transport.clientStream(upload, parts()), Conflict);
      });

      test("a handler that reads no requests at all still answers", async (t) => {
        const transport = await connect(t, { blob: { upload: async () => ({ size: 11n }) } });
        async function* parts(): AsyncGenerator<UploadPart> {
          for (let index = 0; index < 100; index += 1) yield dataPart(100_000, index * 100_000);
        }
        assert.equal((await transport.clientStream(upload, parts())).size, 11n);
      });
    });

    test("the same service object serves state as well", async (t) => {
      const transport = await connect(t, {
        state: {
          async *scan({ from }) {
            yield { header: { next: from } };
          },
        },
      });
      const parts = await collect(transport.serverStream(StateService.method.scan, { from: Buffer.from("k") }));
      assert.equal(Buffer.from(parts[0]?.header?.next ?? []).toString(), "k");
    });
  });
}
