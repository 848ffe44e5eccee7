// A bulk put on its way to the server: entries in messages of bounded size, whatever their number, and what is known of the
// state that must come of them.
//
// Where the entries come in ascending order of key, and go into an empty state, the client builds the map along with the
// server, a message at a time, in the same bounded memory, and so knows the root: about 3 µs a key. Else the root is the server's word, which
// `Database.diff` between the two roots shows to be right or wrong.
import { hashBlobs } from "../core/blob/index.js";
import { compareBytes, equalBytes, toHex } from "../core/bytes.js";
import { assert, VerificationFailed } from "../core/errors.js";
import { mapRoot, type MapRoot } from "../core/hashes.js";
import { emptyMap, MapBuilder, MapKind } from "../core/map/index.js";
import { stateCell } from "../core/object/index.js";
import {
  StateService,
  type LoadHeaderSchema,
  type StateServiceLoadRequestSchema,
  type StateServiceLoadResponse,
} from "../../gen/neleus/v1/state_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { loggedRootOf } from "./applied.js";
import { hashBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import type { Loaded, LoadEntry, LoadOptions } from "./contract.js";
import { LoadMessage } from "./load-message.js";
import type { FollowedLog } from "./log.js";
import { receivedHash, receivedInteger } from "./received.js";
import type { CallOptions } from "./transport.js";

type RequestInit = MessageInitShape<typeof StateServiceLoadRequestSchema>;

const EMPTY_ROOT = emptyMap(MapKind.state).digest;

/** See `HeadState.load`. */
export async function loadState(
  context: { readonly connection: Connection; readonly log: FollowedLog },
  head: string,
  entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>,
  options: LoadOptions,
): Promise<Loaded> {
  const { connection, log } = context;
  const { database } = connection;
  const expected = expectedRoot(options.expectedRoot);
  const condition = expected === undefined ? {} : ({ condition: { case: "expectedRoot", value: expected } } as const);
  const write = log.beginWrite(options);
  const { idempotencyKey } = write;
  const header = { database, head, ...condition, idempotencyKey };
  const send = (call: CallOptions): Promise<SentLoad> => sendLoad(connection, { entries, header, options }, call);
  const isRepeatable = Array.isArray(entries) && idempotencyKey !== "";
  const { answer, outgoing } = isRepeatable ? await connection.repeat(send, options) : await send(options);
  const receipt = await write.receipt(answer.receipt, options);
  const beforeRoot = mapRoot(receivedHash(answer.beforeRoot, "the root before the load"));
  const root = mapRoot(receivedHash(answer.root, "the new root"));
  const keys = receivedInteger(answer.keys, "the number of keys");
  if (expected !== undefined && !equalBytes(beforeRoot, expected)) {
    throw new VerificationFailed(`the load went into the root ${toHex(beforeRoot)}, not into the expected one`, {
      facts: { expected: toHex(expected), actual: toHex(beforeRoot) },
    });
  }
  // What an earlier try did, by a key of the caller's own, need not be kept any more so that it could be shown.
  const isEarlier = write.mayBeEarlier(receipt);
  const loggedRoot = isEarlier ? undefined : loggedRootOf({ head, answer, receipt });
  if (!isEarlier && !equalBytes(root, beforeRoot) && receipt.logIndex < write.leavesBefore(receipt)) {
    throw new VerificationFailed(`the load is said to be in leaf ${receipt.logIndex}, of before it was asked for`, {
      evidence: answer,
    });
  }
  const isRootComputed = outgoing.requireOutcome({ beforeRoot, root, keys });
  return { beforeRoot, root, loggedRoot, keys, isRootComputed, receipt };
}

/** A load on its way, and what came back. */
interface SentLoad {
  readonly answer: StateServiceLoadResponse;
  readonly outgoing: OutgoingLoad;
}

async function sendLoad(
  connection: Connection,
  load: {
    readonly entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>;
    readonly header: MessageInitShape<typeof LoadHeaderSchema>;
    readonly options: LoadOptions;
  },
  call: CallOptions,
): Promise<SentLoad> {
  const outgoing = new OutgoingLoad(load.entries, load.options);
  const requests = outgoing.messages(load.header);
  return { answer: await outgoing.settle(connection.clientStream(StateService.method.load, requests, call)), outgoing };
}

function expectedRoot(expected: LoadOptions["expectedRoot"]): Uint8Array | undefined {
  if (expected === undefined) return undefined;
  if (typeof expected === "object" && "empty" in expected) return EMPTY_ROOT;
  return hashBytes(expected, "expectedRoot");
}

/** One pass over entries: their messages, then what is known of them. */
class OutgoingLoad {
  readonly #entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>;
  readonly #onProgress: ((entries: number) => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  #count = 0;
  /** The message that is being filled. */
  #message = new LoadMessage();
  /** Filled next: the one before is on its way until another is asked for. */
  #otherMessage = new LoadMessage();
  #previous: Uint8Array | undefined;
  /** Builds along while keys ascend; undefined once they have not. */
  #builder: MapBuilder | undefined;
  #isAscending = true;

  constructor(entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>, options: LoadOptions) {
    this.#entries = entries;
    this.#onProgress = options.onProgress;
    if (options.unverified !== true) this.#builder = new MapBuilder(MapKind.state, () => undefined);
  }

  async *messages(header: MessageInitShape<typeof LoadHeaderSchema>): AsyncGenerator<RequestInit, void, undefined> {
    yield { part: { case: "header", value: header } };
    try {
      // Whoever has the entries at hand is not made to wait for each.
      if (Symbol.asyncIterator in this.#entries) {
        for await (const entry of this.#entries) {
          const message = this.#push(entry);
          if (message !== undefined) yield message;
        }
      } else {
        for (const entry of this.#entries) {
          const message = this.#push(entry);
          if (message !== undefined) yield message;
        }
      }
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
    if (!this.#message.isEmpty) yield this.#takeMessage();
    this.#onProgress?.(this.#count);
    yield { part: { case: "finish", value: { count: BigInt(this.#count) } } };
  }

  /** Where the source itself failed, that is what the caller gets, as it was thrown. */
  async settle<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.#failure === undefined ? error : this.#failure.error;
    }
  }

  /**
   * Holds the answer against what was sent. True where the root has been computed here.
   * @throws VerificationFailed - it is another one, or the number of keys cannot be
   */
  requireOutcome(answer: { readonly beforeRoot: MapRoot; readonly root: MapRoot; readonly keys: number }): boolean {
    const { beforeRoot, root, keys } = answer;
    if (this.#isAscending ? keys !== this.#count : keys > this.#count || (keys === 0 && this.#count > 0)) {
      throw new VerificationFailed(`${keys} keys are said to have come of ${this.#count} entries`);
    }
    if (this.#builder === undefined || !equalBytes(beforeRoot, EMPTY_ROOT)) return false;
    const { root: own } = this.#builder.finish();
    if (equalBytes(own, root)) return true;
    throw new VerificationFailed(`what was loaded makes the root ${toHex(own)}, and ${toHex(root)} was recorded`, {
      facts: { expected: toHex(own), actual: toHex(root) },
    });
  }

  /** Takes the next entry; a message where there is no room for it in that. @throws InvalidArgument */
  #push(entry: LoadEntry): RequestInit | undefined {
    const hasRoom = this.#message.add(entry, this.#count);
    const full = hasRoom ? undefined : this.#takeMessage();
    if (!hasRoom) this.#message.add(entry, this.#count);
    this.#count += 1;
    this.#follow(this.#message.keys.at(-1));
    return full;
  }

  /** Keys that do not ascend make a map that is not built here. */
  #follow(key: Uint8Array | undefined): void {
    if (!this.#isAscending || key === undefined) return;
    if (this.#previous !== undefined && compareBytes(this.#previous, key) >= 0) {
      this.#isAscending = false;
      this.#builder = undefined;
    }
    this.#previous = key;
  }

  #takeMessage(): RequestInit {
    const { keys, values } = this.#message;
    const other = this.#otherMessage;
    other.clear();
    this.#otherMessage = this.#message;
    this.#message = other;
    this.#build(keys, values);
    this.#onProgress?.(this.#count);
    return { part: { case: "entries", value: { keys, values } } };
  }

  /** Builds along. */
  #build(keys: readonly Uint8Array[], values: readonly Uint8Array[]): void {
    if (this.#builder === undefined) return;
    const hashes = hashBlobs(values);
    for (const [index, key] of keys.entries()) {
      const hash = hashes[index];
      assert(hash !== undefined, "a hash for each value");
      this.#builder.add(key, stateCell.encode({ hash, size: values[index]?.length ?? 0 }));
    }
  }
}
