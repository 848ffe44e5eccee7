// A transport that answers from a recording, in which one answer may have been replaced: the lying server.
import type { DescMessage, DescMethod, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { clone } from "@bufbuild/protobuf";
import type { DescMethodClientStreaming, DescMethodServerStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { Transport } from "#src/client/transport.js";
import { VerificationFailed } from "#src/core/errors.js";

/** The answers to the calls that were made, in order; each a list of messages, one for a call that streams none. */
export interface Recording {
  readonly calls: readonly RecordedCall[];
}

export interface RecordedCall {
  readonly method: DescMethod;
  readonly answers: readonly Message[];
}

/** Passes calls on and keeps their answers. */
export function recorder(inner: Transport): { transport: Transport; recording: () => Recording } {
  const calls: { method: DescMethod; answers: Message[] }[] = [];
  const begin = (method: DescMethod): Message[] => {
    const answers: Message[] = [];
    calls.push({ method, answers });
    return answers;
  };
  const keep = <M extends DescMessage>(schema: M, answers: Message[], answer: MessageShape<M>): MessageShape<M> => {
    answers.push(clone(schema, answer));
    return answer;
  };
  const transport: Transport = {
    address: inner.address,
    async unary(method, request, options) {
      const answers = begin(method);
      return keep(method.output, answers, await inner.unary(method, request, options));
    },
    async *serverStream(method, request, options) {
      const answers = begin(method);
      for await (const answer of inner.serverStream(method, request, options))
        yield keep(method.output, answers, answer);
    },
    async clientStream(method, requests, options) {
      const answers = begin(method);
      return keep(method.output, answers, await inner.clientStream(method, requests, options));
    },
    close: () => inner.close(),
  };
  return { transport, recording: () => ({ calls: calls.map((call) => ({ ...call })) }) };
}

/**
 * Answers each call with what the recording holds for the call of the same number. `undefined` among the answers stands
 * for bytes that are no message, which transports refuse. A call of another method, or one too many, is refused likewise.
 */
export function replay(calls: readonly { method: DescMethod; answers: readonly (Message | undefined)[] }[]): Transport {
  let next = 0;
  const answersTo = (method: DescMethod): readonly (Message | undefined)[] => {
    const call = calls[next];
    next += 1;
    if (call?.method === method) return call.answers;
    throw new VerificationFailed(`the recording has no call of ${method.name} here`);
  };
  const readable = (answer: Message | undefined): Message => {
    if (answer === undefined) throw new VerificationFailed("the answer is no message");
    return answer;
  };
  return {
    address: "replay",
    async unary<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>): Promise<MessageShape<O>> {
      return readable(answersTo(method)[0]) as MessageShape<O>;
    },
    async *serverStream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodServerStreaming<I, O>,
    ): AsyncGenerator<MessageShape<O>> {
      for (const answer of answersTo(method)) yield readable(answer) as MessageShape<O>;
    },
    async clientStream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodClientStreaming<I, O>,
      requests: AsyncIterable<MessageInitShape<I>>,
    ): Promise<MessageShape<O>> {
      const iterator = requests[Symbol.asyncIterator]();
      while ((await iterator.next()).done !== true);
      return readable(answersTo(method)[0]) as MessageShape<O>;
    },
    close: async () => undefined,
  };
}
