// Servers and transports of a test, closed when it ends.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { grpcTransport, type GrpcTransportOptions } from "#src/client/grpc-transport.js";
import type { Transport } from "#src/client/transport.js";
import {
  startServer,
  type Logger,
  type LogFields,
  type LogLevel,
  type RunningServer,
  type ServerOptions,
} from "#src/server/index.js";

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps what is logged. */
export class MemoryLogger implements Logger {
  readonly lines: LogLine[] = [];
  isEnabled(): boolean {
    return true;
  }
  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields });
  }
}

/** A server on a free loopback port unless told otherwise; closed without grace when the test ends. */
export async function serve(
  t: TestContext,
  options: Partial<ServerOptions> & Pick<ServerOptions, "services">,
): Promise<RunningServer> {
  const server = await startServer({ listen: "127.0.0.1:0", logger: new MemoryLogger(), ...options });
  t.after(() => server.close({ graceMs: 0 }));
  return server;
}

export function connectTo(t: TestContext, address: string, options: Partial<GrpcTransportOptions> = {}): Transport {
  const transport = grpcTransport({ address, ...options });
  t.after(() => transport.close());
  return transport;
}

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "neleus-rpc-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Waits until a condition holds. Fails after `withinMs`. */
export async function eventually(condition: () => boolean, what: string, withinMs = 1_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await delay(2);
  }
}

/** A promise with its ends. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolved, onRejected) => {
    resolve = onResolved;
    reject = onRejected;
  });
  return { promise, resolve, reject };
}

/** Waits for the signal, as a handler that has nothing else to do. Rejects with its reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const refuse = (): void => reject(signal.reason as Error);
    if (signal.aborted) refuse();
    else signal.addEventListener("abort", refuse, { once: true });
  });
}
