// Reaches a server over gRPC: one channel of @grpc/grpc-js, which connects by itself and again after a loss.
//
// grpc-js is given bytes; messages are encoded and decoded here. Its habits that are mended: leaving a stream early does
// not cancel it, read-ahead counts messages and not bytes, and errors are texts.
import "../wire/text-encoding.js";
import { create, toBinary } from "@bufbuild/protobuf";
import type {
  DescMessage,
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  InterceptingCall,
  Metadata,
  type ChannelCredentials,
  type ChannelOptions,
  type Interceptor,
} from "@grpc/grpc-js";
import { InvalidArgument, type NeleusError, VerificationFailed } from "../core/errors.js";
import {
  HTTP2_WINDOW_BYTES,
  KEEPALIVE_TIMEOUT_MS,
  KEEPALIVE_TIME_MS,
  MAX_MESSAGE_BYTES,
  RECEIVE_BUFFER_BYTES,
} from "../core/limits.js";
import { ClientCall, ConnectionClosed } from "./client-call.js";
import type { Allocate } from "../wire/nested-message.js";
import { ReceiveBudget } from "../wire/receive-budget.js";
import { decodeWithReveals } from "../wire/reveal-codec.js";
import { parseServerAddress, type ServerAddress } from "./grpc-address.js";
import { errorFromGrpc } from "./grpc-failure.js";
import { sendRequests } from "./grpc-send.js";
import { encodeLoad } from "./load-codec.js";
import type { ConnectionOptions } from "./options.js";
import type { CallOptions, Transport } from "./transport.js";
import { encodeUpload } from "./upload-codec.js";

export interface GrpcTransportOptions extends ConnectionOptions {
  /** `host:port`, `http://host:port`, `https://host:port` or `unix:/path`. */
  readonly address: string;
  /** Certificates of the authorities to trust with https, PEM. Default: those of the system. */
  readonly certificateAuthorities?: Uint8Array | undefined;
  /** Largest message sent or received, in bytes. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined;
  /** HTTP/2 receive window, in bytes. Default 4 MiB. */
  readonly windowBytes?: number | undefined;
}

/**
 * A transport to the server at an address. Nothing is connected before the first call.
 * @throws InvalidArgument - not an address, a malformed token, or a token that would cross a network in the clear
 */
export function grpcTransport(options: GrpcTransportOptions): Transport {
  return new GrpcTransport(options);
}

const passBytes = (bytes: Buffer): Buffer => bytes;

class GrpcTransport implements Transport {
  readonly address: string;
  readonly defaults: CallOptions;
  readonly #client: Client;
  readonly #metadata: Metadata;
  readonly #open = new Set<ClientCall>();
  #isClosed = false;

  constructor(options: GrpcTransportOptions) {
    const server = parseServerAddress(options.address);
    this.address = server.text;
    this.defaults = { signal: options.signal, timeoutMs: options.timeoutMs };
    this.#metadata = callMetadata(server, options.token);
    this.#client = new Client(server.target, channelCredentials(server, options), channelOptions(server, options));
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const bytes = encode(method.input, request);
    const call = this.#start(options);
    try {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        const callOptions = { deadline: call.deadlineMs };
        const finish = settle(resolve, reject);
        const made = this.#client.makeUnaryRequest(
          pathOf(method),
          passBytes,
          passBytes,
          bytes,
          this.#metadata,
          callOptions,
          finish,
        );
        call.onEnd(() => made.cancel());
      });
      return decode(method.output, answer);
    } catch (error) {
      throw this.#failure(call, error);
    } finally {
      this.#finish(call);
    }
  }

  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterable<MessageShape<O>> {
    return { [Symbol.asyncIterator]: () => this.#answers(method, request, options) };
  }

  async *#answers<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions,
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const bytes = encode(method.input, request);
    const call = this.#start(options);
    let cancel: (() => void) | undefined;
    try {
      const budget = new ReceiveBudget(RECEIVE_BUFFER_BYTES);
      const answers = this.#client.makeServerStreamRequest(
        pathOf(method),
        passBytes,
        passBytes,
        bytes,
        this.#metadata,
        {
          deadline: call.deadlineMs,
          interceptors: [heldBy(budget)],
        },
      );
      // The iteration below rethrows what matters; an error after it would otherwise end the process.
      answers.on("error", () => undefined);
      cancel = () => answers.cancel();
      call.onEnd(cancel);
      for await (const answer of answers as AsyncIterable<Buffer>) {
        call.throwIfEnded();
        budget.release(answer);
        yield decode(method.output, answer);
      }
      cancel = undefined;
    } catch (error) {
      throw this.#failure(call, error);
    } finally {
      this.#finish(call);
      cancel?.();
    }
  }

  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const call = this.#start(options);
    let sourceFailure: { readonly error: unknown } | undefined;
    try {
      const answer = await new Promise<Buffer>((resolve, reject) => {
        const finish = settle(resolve, reject);
        const made = this.#client.makeClientStreamRequest(
          pathOf(method),
          passBytes,
          passBytes,
          this.#metadata,
          { deadline: call.deadlineMs },
          (error, value?: Buffer) => {
            sending.stop();
            finish(error, value);
          },
        );
        made.on("error", () => undefined);
        call.onEnd(() => made.cancel());
        const sending = sendRequests(made, requests, (request, allocate) => encode(method.input, request, allocate));
        sending.failed.catch((error: unknown) => {
          sourceFailure = { error };
          made.cancel();
          reject(new Error("the source of requests failed"));
        });
      });
      return decode(method.output, answer);
    } catch (error) {
      // What the caller's own source threw is the caller's: it comes back as it is.
      if (sourceFailure !== undefined) throw sourceFailure.error;
      throw this.#failure(call, error);
    } finally {
      this.#finish(call);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const call of this.#open) call.end(new ConnectionClosed(`the connection to ${this.address} was closed`));
    this.#client.close();
  }

  #start(options: CallOptions): ClientCall {
    if (this.#isClosed) throw new ConnectionClosed(`the connection to ${this.address} is closed`);
    const call = new ClientCall(options, this.defaults);
    this.#open.add(call);
    return call;
  }

  /** Why this side ended the call, or else what grpc-js reports. */
  #failure(call: ClientCall, error: unknown): NeleusError {
    return call.endedBy ?? errorFromGrpc(error, this.address);
  }

  #finish(call: ClientCall): void {
    this.#open.delete(call);
    call.release();
  }
}

function settle(
  resolve: (answer: Buffer) => void,
  reject: (error: Error) => void,
): (error: Error | null, answer?: Buffer) => void {
  return (error, answer) => {
    if (answer !== undefined && error === null) resolve(answer);
    else reject(error ?? new Error("no answer came"));
  };
}

/** Holds the answers of one call back while its reader has enough. */
function heldBy(budget: ReceiveBudget): Interceptor {
  const onReceiveMessage = (bytes: Buffer, pass: (bytes: Buffer) => void): void =>
    budget.admit(bytes, () => pass(bytes));
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => next(metadata, { onReceiveMessage }),
    });
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @throws InvalidArgument - a field holds what its type cannot carry */
function encode<M extends DescMessage>(schema: M, message: MessageInitShape<M>, allocate?: Allocate): Buffer {
  try {
    const bulk = encodeUpload(schema, message, allocate) ?? encodeLoad(schema, message, allocate);
    if (bulk !== undefined) return bulk;
    const bytes = toBinary(schema, create(schema, message));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (cause) {
    throw new InvalidArgument(`cannot encode ${schema.name}: ${(cause as Error).message}`, {}, { cause });
  }
}

/** @throws VerificationFailed - the server sent something else */
function decode<M extends DescMessage>(schema: M, bytes: Buffer): MessageShape<M> {
  try {
    return decodeWithReveals(schema, bytes);
  } catch (cause) {
    const message = `the server's answer is no ${schema.name}: ${(cause as Error).message}`;
    throw new VerificationFailed(message, { evidence: bytes }, { cause });
  }
}

function callMetadata(server: ServerAddress, token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token === undefined) return metadata;
  if (!/^[\x21-\x7e]{1,8192}$/.test(token)) {
    throw new InvalidArgument("a token is up to 8,192 printable ASCII characters without spaces", { field: "token" });
  }
  if (!server.isEncrypted && !server.isLocal) {
    throw new InvalidArgument(`the token would cross the network to ${server.text} unencrypted`, {
      field: "token",
      hint: `use https://${server.text}`,
    });
  }
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

function channelCredentials(server: ServerAddress, options: GrpcTransportOptions): ChannelCredentials {
  const { certificateAuthorities } = options;
  if (!server.isEncrypted) {
    if (certificateAuthorities === undefined) return credentials.createInsecure();
    throw new InvalidArgument(`certificates are for https:// addresses, not ${server.text}`, {
      field: "certificateAuthorities",
    });
  }
  try {
    return credentials.createSsl(certificateAuthorities && Buffer.from(certificateAuthorities));
  } catch (cause) {
    const message = `cannot read the certificates: ${(cause as Error).message}`;
    throw new InvalidArgument(message, { field: "certificateAuthorities" }, { cause });
  }
}

function channelOptions(server: ServerAddress, options: GrpcTransportOptions): ChannelOptions {
  const maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
  return {
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc-node.flow_control_window": options.windowBytes ?? HTTP2_WINDOW_BYTES,
    "grpc.keepalive_time_ms": KEEPALIVE_TIME_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    // A server that was just started is found within a tenth of a second.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 10_000,
    // A name server has no say in how this client behaves.
    "grpc.service_config_disable_resolution": 1,
    // A proxy of the environment is for other machines.
    ...(server.isLocal ? { "grpc.enable_http_proxy": 0 } : {}),
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_channelz": 0,
  };
}
