// The limits of one server: the numbers of core/limits.ts, each of which a deployment or a test may set.
import {
  CONNECTION_IDLE_MS,
  HTTP2_WINDOW_BYTES,
  KEEPALIVE_TIMEOUT_MS,
  KEEPALIVE_TIME_MS,
  MAX_CONCURRENT_STREAMS,
  MAX_CONNECTIONS,
  MAX_MESSAGE_BYTES,
  MIN_PROGRESS_BYTES,
  RECEIVE_BUFFER_BYTES,
  SEND_BUDGET_BYTES,
  SEND_BUFFER_BYTES,
  SLOW_PEER_TIMEOUT_MS,
} from "../core/limits.js";

export interface ServerLimits {
  /** Largest message received or sent, in bytes. RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  /** Calls at once on one connection. Clients wait; one that does not is refused with UNAVAILABLE. */
  readonly maxConcurrentStreams: number;
  /** Connections at once. Further ones are closed as they come. */
  readonly maxConnections: number;
  /** HTTP/2 receive window of a stream and of a connection, in bytes. */
  readonly windowBytes: number;
  /** Bytes of one answer that may wait for the peer before the handler is asked for more. */
  readonly sendBufferBytes: number;
  /** Bytes that all streams together may keep for their peers; the nearer it is, the less each takes. */
  readonly sendBudgetBytes: number;
  /** Bytes of one request stream that may wait for the handler before the peer is asked for more. */
  readonly receiveBufferBytes: number;
  /**
   * A call whose peer takes nothing of the answer for this long is ended with UNAVAILABLE, one whose peer sends nothing that
   * is waited for with DEADLINE_EXCEEDED.
   */
  readonly slowPeerTimeoutMs: number;
  /**
   * Bytes that have to move in each `slowPeerTimeoutMs` of waiting for them: of a request, else DEADLINE_EXCEEDED, and of an
   * answer, else UNAVAILABLE.
   */
  readonly minProgressBytes: number;
  /** A connection silent for this long is asked for a sign of life. */
  readonly keepaliveTimeMs: number;
  /** A connection that owes a sign of life for this long is closed. */
  readonly keepaliveTimeoutMs: number;
  /** A connection without a call for this long is closed. */
  readonly connectionIdleMs: number;
}

export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
  maxConnections: MAX_CONNECTIONS,
  windowBytes: HTTP2_WINDOW_BYTES,
  sendBufferBytes: SEND_BUFFER_BYTES,
  sendBudgetBytes: SEND_BUDGET_BYTES,
  receiveBufferBytes: RECEIVE_BUFFER_BYTES,
  slowPeerTimeoutMs: SLOW_PEER_TIMEOUT_MS,
  minProgressBytes: MIN_PROGRESS_BYTES,
  keepaliveTimeMs: KEEPALIVE_TIME_MS,
  keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
  connectionIdleMs: CONNECTION_IDLE_MS,
};
