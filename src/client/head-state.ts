// The staged state of a head: writes, and reads at a fresh verified snapshot each.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { compareBytes, equalBytes, toHex } from "../core/bytes.js";
import { hashBlob } from "../core/blob/index.js";
import { InvalidArgument, LimitExceeded, Pruned } from "../core/errors.js";
import { mapRoot, type BlobHash } from "../core/hashes.js";
import { MAX_BATCH_BYTES, MAX_BATCH_KEYS, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { requireName } from "../core/object/index.js";
import { StateService, type StateOperationSchema } from "../../gen/neleus/v1/state_pb.js";
import { checkApplied, type AskedChange } from "./applied.js";
import { checkArgument, countArgument, hashBytes, keyBytes, textOrBytes } from "./argument.js";
import { putBlob } from "./put-blob.js";
import type { Connection } from "./connection.js";
import type {
  Applied,
  ApplyOptions,
  Condition,
  ConditionOptions,
  Found,
  KeyRange,
  HeadState,
  Loaded,
  LoadEntry,
  LoadOptions,
  Operation,
  ScanRange,
  Snapshot,
  StateEntry,
  StateValue,
  StateView,
  ValueOptions,
} from "./contract.js";
import { loadState } from "./load.js";
import type { FollowedLog } from "./log.js";
import { receivedHash } from "./received.js";
import type { BlobReference, Key } from "./records.js";
import type { CallOptions } from "./transport.js";

/** What a head's state is made of. */
export interface HeadStateContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly snapshot: (head: string, options: CallOptions) => Promise<Snapshot>;
}

export class VerifiedHeadState implements HeadState {
  readonly head: string;
  readonly #context: HeadStateContext;

  /** @throws InvalidArgument - no name of a head */
  constructor(context: HeadStateContext, head: string) {
    checkArgument("head", () => requireName(head));
    this.head = head;
    this.#context = context;
  }

  async get(key: Key, options: ValueOptions = {}): Promise<StateValue | undefined> {
    return this.#read(options, (view) => view.get(key, options));
  }

  async entry(key: Key, options: CallOptions = {}): Promise<StateEntry | undefined> {
    return this.#read(options, (view) => view.entry(key, options));
  }

  async *getMany(keys: Iterable<Key>, options: ValueOptions = {}): AsyncGenerator<Found, void, undefined> {
    const wanted = [...keys];
    yield* this.#stream(options, (view) => view.getMany(wanted, options));
  }

  scan(range?: ScanRange & { readonly values?: false | undefined }): AsyncGenerator<StateEntry, void, undefined>;
  scan(range: ScanRange & { readonly values: true }): AsyncGenerator<StateValue, void, undefined>;
  scan(range?: ScanRange): AsyncGenerator<StateEntry, void, undefined>;
  async *scan(range: ScanRange = {}): AsyncGenerator<StateEntry, void, undefined> {
    yield* this.#stream(range, (view) => view.scan(range));
  }

  async count(range: KeyRange = {}): Promise<number> {
    return this.#read(range, (view) => view.count(range));
  }

  async put(key: Key, value: string | Uint8Array, options: ConditionOptions = {}): Promise<Applied> {
    return this.apply([{ key, value, condition: options.condition }], { ...options });
  }

  async delete(key: Key, options: ConditionOptions = {}): Promise<Applied> {
    return this.apply([{ key, delete: true, condition: options.condition }], { ...options });
  }

  async apply(operations: readonly Operation[], options: ApplyOptions = {}): Promise<Applied> {
    const { connection, log } = this.#context;
    const changes = operations.map((operation, index) => preparedChange(operation, index));
    countArgument(changes.length, "operations", 1);
    const sorted = requireDifferentKeys(changes);
    const expectedRoot =
      options.expectedRoot === undefined ? undefined : hashBytes(options.expectedRoot, "expectedRoot");
    await this.#upload(changes, options);
    requireBatch(changes);
    const request = {
      database: connection.database,
      head: this.head,
      operations: changes.map(operationMessage),
      ...(expectedRoot === undefined ? {} : { expectedRoot }),
      wantTransition: options.unverified !== true,
    };
    const write = log.beginWrite(options);
    const { idempotencyKey } = write;
    const answer = await connection.unary(StateService.method.apply, { ...request, idempotencyKey }, options);
    const receipt = await write.receipt(answer.receipt, options);
    // What an earlier try did, by a key of the caller's own, need not be kept any more so that it could be shown.
    if (options.unverified === true || write.mayBeEarlier(receipt)) {
      const beforeRoot = mapRoot(receivedHash(answer.beforeRoot, "the root before the change"));
      return { beforeRoot, root: mapRoot(receivedHash(answer.root, "the new root")), loggedRoot: undefined, receipt };
    }
    const { head } = this;
    const knownLeaves = write.leavesBefore(receipt);
    const asked = { head, changes: sorted.map(askedChange), expectedRoot, answer, receipt, knownLeaves };
    return { ...(await checkApplied(connection, asked, options)), receipt };
  }

  async load(entries: Iterable<LoadEntry> | AsyncIterable<LoadEntry>, options: LoadOptions = {}): Promise<Loaded> {
    return loadState(this.#context, this.head, entries, options);
  }

  async #staged(options: CallOptions): Promise<StateView> {
    return (await this.#context.snapshot(this.head, options)).staged;
  }

  /** Reads what is staged; once more, at a new snapshot, where that of the first was replaced and freed in between. */
  async #read<T>(options: CallOptions, read: (view: StateView) => Promise<T>): Promise<T> {
    const view = await this.#staged(options);
    try {
      return await read(view);
    } catch (error) {
      if (!(error instanceof Pruned)) throw error;
    }
    return read(await this.#staged(options));
  }

  /** The same for a stream that has yielded nothing yet. */
  async *#stream<T>(
    options: CallOptions,
    read: (view: StateView) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const begin = async (): Promise<AsyncIterator<T>> => read(await this.#staged(options))[Symbol.asyncIterator]();
    let items = await begin();
    let first: IteratorResult<T>;
    try {
      first = await items.next();
    } catch (error) {
      if (!(error instanceof Pruned)) throw error;
      items = await begin();
      first = await items.next();
    }
    if (first.done === true) return;
    try {
      yield first.value;
      yield* { [Symbol.asyncIterator]: () => items };
    } finally {
      await items.return?.();
    }
  }

  /** Sends ahead the values that are too large to travel in the request; they become references. */
  async #upload(changes: Change[], options: CallOptions): Promise<void> {
    for (const change of changes) {
      if (!(change.put instanceof Uint8Array) || change.put.length <= MAX_INLINE_VALUE_BYTES) continue;
      change.put = await putBlob(this.#context.connection, change.put, {
        signal: options.signal,
        timeoutMs: options.timeoutMs,
      });
    }
  }
}

/** An operation with its arguments checked. */
interface Change {
  readonly key: Uint8Array;
  /** Its place among the operations. */
  readonly index: number;
  /** Undefined: delete. */
  put: Uint8Array | BlobReference | undefined;
  readonly condition: { readonly hash: Uint8Array } | "absent" | undefined;
}

function preparedChange(operation: Operation, index: number): Change {
  const field = `operations[${index}]`;
  const key = keyBytes(operation.key, `${field}.key`);
  const condition = conditionOf(operation.condition, field);
  if ("delete" in operation) return { key, index, put: undefined, condition };
  if ("blob" in operation) {
    const hash = hashBytes(operation.blob.hash, `${field}.blob.hash`) as BlobHash;
    return {
      key,
      index,
      put: { hash, sizeBytes: countArgument(operation.blob.sizeBytes, `${field}.blob.sizeBytes`) },
      condition,
    };
  }
  return { key, index, put: textOrBytes(operation.value, `${field}.value`), condition };
}

function conditionOf(condition: Condition | undefined, field: string): Change["condition"] {
  if (condition === undefined) return undefined;
  if ("hash" in condition) return { hash: hashBytes(condition.hash, `${field}.condition.hash`) };
  return "absent";
}

/** The operations in order of key. @throws InvalidArgument - a key is there twice */
function requireDifferentKeys(changes: readonly Change[]): Change[] {
  const sorted = [...changes].sort((a, b) => compareBytes(a.key, b.key) || a.index - b.index);
  for (const [position, { key, index }] of sorted.entries()) {
    const before = sorted[position - 1];
    if (before === undefined || !equalBytes(before.key, key)) continue;
    const field = `operations[${index}].key`;
    throw new InvalidArgument(`${field}: ${toHex(key)} is there twice`, { field });
  }
  return sorted;
}

/** What must come of it. */
function askedChange({ key, put, condition }: Change): AskedChange {
  const blob = put instanceof Uint8Array ? { hash: hashBlob(put), sizeBytes: put.length } : put;
  return { key, put: blob, condition };
}

/** @throws LimitExceeded - too many operations, or too many bytes of values, for one atomic change */
function requireBatch(changes: readonly Change[]): void {
  if (changes.length > MAX_BATCH_KEYS) {
    throw new LimitExceeded(`at most ${MAX_BATCH_KEYS} operations at once, not ${changes.length}`, {
      facts: { limit: "batch_keys", value: String(MAX_BATCH_KEYS) },
    });
  }
  let total = 0;
  for (const { put } of changes) if (put instanceof Uint8Array) total += put.length;
  if (total <= MAX_BATCH_BYTES) return;
  throw new LimitExceeded(`at most ${MAX_BATCH_BYTES} bytes of values at once, not ${total}`, {
    hint: "store the values with putBlobs first, then put the blobs",
    facts: { limit: "batch_bytes", value: String(MAX_BATCH_BYTES) },
  });
}

type OperationInit = MessageInitShape<typeof StateOperationSchema>;

function operationMessage({ key, put, condition }: Change): OperationInit {
  return {
    key,
    change: changeMessage(put),
    ...(condition === undefined ? {} : { condition: conditionMessage(condition) }),
  };
}

function changeMessage(put: Change["put"]): NonNullable<OperationInit["change"]> {
  if (put === undefined) return { case: "delete", value: true };
  if (put instanceof Uint8Array) return { case: "value", value: put };
  return { case: "blob", value: { hash: put.hash, size: BigInt(put.sizeBytes) } };
}

function conditionMessage(condition: NonNullable<Change["condition"]>): NonNullable<OperationInit["condition"]> {
  if (condition === "absent") return { case: "expectedAbsent", value: true };
  return { case: "expectedHash", value: condition.hash };
}
