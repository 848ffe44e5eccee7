// The shape of a service: a plain object of async functions and async generators over generated messages.
//
// The same object is served by the gRPC adapter (server/) and called in process by the embedded client, so nothing here
// knows of a transport. The shape is that of Connect's ServiceImpl.
import type { StreamMemory } from "../database/index.js";
import type { DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

/** What a handler may know of the call that it serves. */
export interface CallContext {
  /** Aborted when the caller cancels or is gone, its deadline passes, or the server ends its grace period. */
  readonly signal: AbortSignal;
  /** Names the call in logs and in internal errors. */
  readonly requestId: string;
  /** Of a stream that shares memory with others; absent: it takes what it likes. */
  readonly memory?: StreamMemory | undefined;
}

/**
 * A handler of one rpc. Requests are checked messages of the contract's types, their byte fields possibly views of a
 * larger buffer: what outlives the call is copied. A handler throws NeleusError for everything a caller can cause.
 */
export type Handler<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: MessageShape<M["input"]>, context: CallContext) => Promise<MessageInitShape<M["output"]>>
  : M["methodKind"] extends "server_streaming"
    ? (request: MessageShape<M["input"]>, context: CallContext) => AsyncIterable<MessageInitShape<M["output"]>>
    : M["methodKind"] extends "client_streaming"
      ? (
          requests: AsyncIterable<MessageShape<M["input"]>>,
          context: CallContext,
        ) => Promise<MessageInitShape<M["output"]>>
      : never;

/** One handler for every rpc of a service, under its name with a small first letter. */
export type ServiceImplementation<S extends DescService> = {
  [Name in keyof S["method"]]: Handler<S["method"][Name]>;
};

/** A service and what implements it, with the types of its methods forgotten: what adapters take. */
export interface ServiceBinding {
  readonly descriptor: DescService;
  readonly handlers: Readonly<Record<string, Handler<DescMethod>>>;
}

/** Binds an implementation to its descriptor; the compiler checks that every rpc has a handler of its types. */
export function bindService<S extends DescService>(
  descriptor: S,
  implementation: ServiceImplementation<S>,
): ServiceBinding {
  return { descriptor, handlers: implementation as unknown as Readonly<Record<string, Handler<DescMethod>>> };
}
