// The last answers that came to a client, as they came: what there is to keep where one of them is refused.
//
// Answers are held by reference and encoded only when somebody asks, so keeping them costs the memory of the last few and no
// time. A request is kept only of calls that read: one that writes holds what its caller wanted stored. No metadata is
// kept, and so no token. What an answer held, the evidence holds: it may be data.
import { create, toBinary, type DescMessage, type DescMethod, type MessageShape } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { ProofService } from "../../gen/neleus/v1/proof_pb.js";
import type { Transport } from "./transport.js";

/** Answers kept, the newest of them. */
const MAX_ANSWERS = 8;
/** Bytes of all that are given out; what does not fit is named by its size. */
const MAX_BYTES = 4 << 20;

/** One message of an answer, encoded. */
export interface RecentAnswer {
  /** `<service>/<method>`. */
  readonly method: string;
  /** Full name of the message. */
  readonly messageType: string;
  /** Undefined where all of them together are too large. */
  readonly bytes: Uint8Array | undefined;
  readonly sizeBytes: number;
  /** The message that asked for it, of a call that reads. */
  readonly request: Uint8Array | undefined;
}

interface Kept {
  readonly method: DescMethod;
  readonly message: MessageShape<DescMessage>;
  readonly request: MessageShape<DescMessage> | undefined;
}

/** Given to a client as its option `answers`; one for each client. */
export class RecentAnswers {
  readonly #kept: Kept[] = [];

  /** The answers, oldest first, as they are encoded now. */
  list(): readonly RecentAnswer[] {
    let left = MAX_BYTES;
    const listed = [...this.#kept].reverse().map(({ method, message, request }): RecentAnswer => {
      const bytes = toBinary(method.output, message);
      const asked = request === undefined ? undefined : toBinary(method.input, request);
      const sizeBytes = bytes.length + (asked?.length ?? 0);
      const isKept = sizeBytes <= left;
      if (isKept) left -= sizeBytes;
      return {
        method: `${method.parent.typeName}/${method.name}`,
        messageType: method.output.typeName,
        bytes: isKept ? bytes : undefined,
        sizeBytes: bytes.length,
        request: isKept ? asked : undefined,
      };
    });
    return listed.reverse();
  }

  /** A transport that passes everything on, and keeps what comes. */
  watch(inner: Transport): Transport {
    const keep = <A extends MessageShape<DescMessage>>(method: DescMethod, request: unknown, message: A): A => {
      this.#keep({ method, message, request: isRead(method) ? create(method.input, request as never) : undefined });
      return message;
    };
    return {
      address: inner.address,
      isInProcess: inner.isInProcess,
      defaults: inner.defaults,
      unary: async (method, request, options) => keep(method, request, await inner.unary(method, request, options)),
      async *serverStream(method, request, options) {
        for await (const message of inner.serverStream(method, request, options)) yield keep(method, request, message);
      },
      clientStream: async (method, requests, options) =>
        keep(method, undefined, await inner.clientStream(method, requests, options)),
      close: () => inner.close(),
    };
  }

  #keep(answer: Kept): void {
    this.#kept.push(answer);
    if (this.#kept.length > MAX_ANSWERS) this.#kept.shift();
  }
}

function isRead(method: DescMethod): boolean {
  // A snapshot may append a leaf to the log, so the contract does not call it free of effects; its request holds no data.
  if (method === (ProofService.method.getSnapshot as DescMethod)) return true;
  return (
    method.methodKind !== "client_streaming" && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
  );
}
