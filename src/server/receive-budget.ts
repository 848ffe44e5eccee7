// The receive budget of request streams, as an interceptor of the server.
import { ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import { ReceiveBudget } from "../wire/receive-budget.js";

/** A message of a request stream. The bytes are its own. */
export interface ReceivedMessage {
  readonly bytes: Buffer;
  /** The handler has taken it: its bytes no longer count. */
  readonly release: () => void;
}

/** Wraps the messages of every call that streams requests; other calls pass untouched. */
export function receiveBudget(limitBytes: number): ServerInterceptor {
  return (method, call) => {
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- only its interface is used
    if (!method.requestStream) return call as ServerInterceptingCall;
    const budget = new ReceiveBudget(limitBytes);
    const onReceiveMessage = (bytes: Buffer, pass: (message: ReceivedMessage) => void): void =>
      budget.admit(bytes, () => pass({ bytes, release: () => budget.release(bytes) }));
    return new ServerInterceptingCall(call, { start: (next) => next({ onReceiveMessage }) });
  };
}
