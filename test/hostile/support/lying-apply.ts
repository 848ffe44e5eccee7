// Transports that change what an Apply asks for or answers.
import { clone, create, type Message, type MessageShape } from "@bufbuild/protobuf";
import { StateService } from "#gen/neleus/v1/state_pb.js";
import type { Transport } from "#src/client/transport.js";

const { apply } = StateService.method;
export type ApplyRequest = MessageShape<typeof apply.input>;
export type ApplyResponse = MessageShape<typeof apply.output>;

/** Passes calls on; those of Apply by way of these. */
export function lyingApply(
  inner: Transport,
  lies: {
    readonly ask?: (request: ApplyRequest) => void;
    readonly answer?: (response: ApplyResponse, request: ApplyRequest) => void | Promise<void>;
  },
): Transport {
  return {
    address: inner.address,
    async unary(method, request, options) {
      if (method !== (apply as unknown)) return inner.unary(method, request, options);
      const asked = create(apply.input, request as never);
      lies.ask?.(asked);
      const answer = clone(apply.output, await inner.unary(apply, asked, options));
      await lies.answer?.(answer, asked);
      return answer as Message as never;
    },
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: () => inner.close(),
  };
}

/** An honest server to which every transition is too large to be sent. */
export function withoutTransitions(inner: Transport): Transport {
  return lyingApply(inner, { answer: (response) => void (response.transition = []) });
}
