// Serves a ServiceBinding through grpc-js: every kind of call is wrapped here, once.
//
// grpc-js is given bytes on both sides and never sees a message: decoding and encoding happen inside the wrapper, so
// that a malformed request is INVALID_ARGUMENT and not a text of grpc-js, and bytes can be counted. A rejected handler
// would leave the caller waiting for ever, so every path ends in a status. A failure in a stream is sent by emitting
// `error` on the call: destroying it would send nothing.
import type { DescMethod } from "@bufbuild/protobuf";
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  MethodDefinition,
  Server,
  UntypedHandleCall,
} from "@grpc/grpc-js";
import { assert, LimitExceeded, NeleusError } from "../core/errors.js";
import type { CallContext, Handler, ServiceBinding } from "../service/implementation.js";
import type { StreamMemory } from "../database/index.js";
import type { Allocate } from "../wire/nested-message.js";
import { endRequests } from "./grpc-internals.js";
import { decodeRequest, encodeResponse } from "./message-codec.js";
import { LAST_WORD_MS, type OpenCall } from "./open-calls.js";
import type { ReceivedMessage } from "./receive-budget.js";
import { RequestStream } from "./request-stream.js";
import { ResponseStream } from "./response-stream.js";
import { runCall, type CallEnvironment } from "./run-call.js";

type UnaryHandler = Handler<DescMethod & { methodKind: "unary" }>;
type ServerStreamingHandler = Handler<DescMethod & { methodKind: "server_streaming" }>;
type ClientStreamingHandler = Handler<DescMethod & { methodKind: "client_streaming" }>;

/** Registers every method of a service with a server. */
export function addService(server: Server, binding: ServiceBinding, environment: CallEnvironment): void {
  const definitions: Record<string, MethodDefinition<Buffer, Buffer>> = {};
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const method of binding.descriptor.methods) {
    const handler = binding.handlers[method.localName] as unknown;
    assert(typeof handler === "function", `${binding.descriptor.typeName}.${method.localName} has no handler`);
    definitions[method.localName] = methodDefinition(method);
    handlers[method.localName] = new MethodAdapter(method, environment).wrap(handler.bind(binding.handlers));
  }
  server.addService(definitions, handlers as Record<string, never>);
}

const passBytes = (bytes: Buffer): Buffer => bytes;

/** A method for grpc-js, whose messages are bytes. */
export function methodDefinition(method: DescMethod): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: passBytes,
    requestDeserialize: passBytes,
    responseSerialize: passBytes,
    responseDeserialize: passBytes,
  };
}

/** What the handler of a stream may know. */
class StreamContext implements CallContext {
  readonly #open: OpenCall;
  readonly memory: StreamMemory;

  constructor(open: OpenCall, memory: StreamMemory) {
    this.#open = open;
    this.memory = memory;
  }

  get signal(): AbortSignal {
    return this.#open.signal;
  }

  get requestId(): string {
    return this.#open.requestId;
  }
}

class MethodAdapter {
  readonly #method: DescMethod;
  readonly #path: string;
  readonly #environment: CallEnvironment;

  constructor(method: DescMethod, environment: CallEnvironment) {
    this.#method = method;
    this.#path = methodDefinition(method).path;
    this.#environment = environment;
  }

  /** The handler as grpc-js calls it. */
  wrap(handler: unknown): UntypedHandleCall {
    switch (this.#method.methodKind) {
      case "unary":
        return this.#unary(handler as UnaryHandler);
      case "server_streaming":
        return this.#serverStreaming(handler as ServerStreamingHandler);
      case "client_streaming":
        return this.#clientStreaming(handler as ClientStreamingHandler);
      case "bidi_streaming":
        throw new NeleusError("INTERNAL", `${this.#path}: no rpc streams both ways`);
    }
  }

  #unary(handler: UnaryHandler): handleUnaryCall<Buffer, Buffer> {
    const { requests } = this.#environment;
    return (call, respond) => {
      requests.received(call);
      const body = async (open: OpenCall): Promise<void> => {
        const answer = this.#encode(await handler(decodeRequest(this.#method.input, call.request), open));
        // An answer is sent even where the server has meanwhile asked the handler to stop: what it says is done.
        if (!open.isOver) respond(null, answer);
      };
      void runCall(this.#environment, { call, path: this.#path, body, fail: (status) => respond(status) });
    };
  }

  #serverStreaming(handler: ServerStreamingHandler): handleServerStreamingCall<Buffer, Buffer> {
    const { limits, requests, sendBudget } = this.#environment;
    return (call) => {
      requests.received(call);
      const body = async (open: OpenCall): Promise<void> => {
        const responses = new ResponseStream({ call, open, budget: sendBudget, limits });
        const context = new StreamContext(open, responses);
        // Leaving this loop by a throw closes the handler's iterator.
        try {
          for await (const message of handler(decodeRequest(this.#method.input, call.request), context)) {
            const room = responses.send(this.#encode(message, responses.allocate));
            if (room !== undefined) await room;
          }
        } catch (error) {
          await responses.flushed();
          throw error;
        }
        // As long as the peer gets on it may take the rest; what is left when the call has ended has a fixed time to go.
        if (responses.waitingBytes > limits.minProgressBytes) await responses.flushed();
        // A handler that noticed its signal and just returned has not answered: a cut stream must not look complete.
        open.signal.throwIfAborted();
        call.end();
      };
      void runCall(this.#environment, { call, path: this.#path, body, fail: (status) => call.emit("error", status) });
    };
  }

  #clientStreaming(handler: ClientStreamingHandler): handleClientStreamingCall<ReceivedMessage, Buffer> {
    const { limits, requests } = this.#environment;
    return (call, respond) => {
      requests.received(call);
      // Told once there is a status, or nothing left of the call.
      call.once("cancelled", () => endRequests(call, LAST_WORD_MS));
      const body = async (open: OpenCall): Promise<void> => {
        const decode = (bytes: Buffer): ReturnType<typeof decodeRequest> => decodeRequest(this.#method.input, bytes);
        const answer = this.#encode(await handler(new RequestStream({ call, open, decode, limits }), open));
        if (!open.isOver) respond(null, answer);
      };
      void runCall(this.#environment, { call, path: this.#path, body, fail: (status) => respond(status) });
    };
  }

  #encode(message: Parameters<typeof encodeResponse>[1], allocate?: Allocate): Buffer {
    const encoded = encodeResponse(this.#method.output, message, allocate);
    const { maxMessageBytes } = this.#environment.limits;
    if (encoded.length > maxMessageBytes) {
      throw new LimitExceeded(
        `the answer takes a message of ${encoded.length} bytes, and the limit is ${maxMessageBytes}`,
        { facts: { limit: "message_bytes", value: String(maxMessageBytes) } },
      );
    }
    return encoded;
  }
}
