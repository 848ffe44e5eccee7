// Changing staged state: keys put and deleted, all or none, under conditions.
//
// Values are hashed before the write queues, and large ones are files by then; small ones are rows of the very batch that
// refers to them. Inside the round only the map is edited.
import { hashBlob } from "../core/blob/index.js";
import { compareBytes, concatBytes, equalBytes, toHex } from "../core/bytes.js";
import { Conflict, InvalidArgument, LimitExceeded } from "../core/errors.js";
import { blobHash, mapRoot } from "../core/hashes.js";
import type { BlobHash } from "../core/hashes.js";
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_KEYS,
  MAX_INLINE_VALUE_BYTES,
  MAX_KEY_BYTES,
  MAX_TRANSITION_BYTES,
} from "../core/limits.js";
import { MapKind, Recorder, getMany, readSync } from "../core/map/index.js";
import type { MapAt } from "../core/map/index.js";
import { stagedCell, stagedKey, stateCell } from "../core/object/index.js";
import type { Row } from "../store/contract.js";
import type { DatabaseBlobs, HashedContent } from "./blobs.js";
import { fromStore, requireHashBytes } from "./boundary.js";
import type { Committer } from "./committer.js";
import type { MutationContext, Outcome } from "./round.js";
import type { Applied, ApplyOptions, Load, LoadOptions, StateChange, StateOperation, States } from "./contract.js";
import type { LoggedLeaf, View } from "./view-contract.js";
import { DatabaseLoads } from "./load.js";
import type { LoadContext } from "./load.js";
import type { LogStore, Tail } from "./log-store.js";
import { requireHead, requireRefName, requireStagedRoot } from "./refs.js";
import { RequestMeaning } from "./request-meaning.js";
import { identifyRequest, recordedAs, type Recorded } from "./requests.js";

/** An operation that was checked, ready to be run in a round. */
interface PreparedOperation {
  readonly key: Uint8Array;
  readonly cell: Uint8Array | undefined;
  readonly condition: BlobHash | "absent" | undefined;
  /** Its place in the request. */
  readonly index: number;
}

interface PreparedApply {
  readonly withTransition: boolean;
  readonly head: string;
  /** Ascending by key. */
  readonly operations: readonly PreparedOperation[];
  readonly expectedRoot: Uint8Array | undefined;
  readonly rows: readonly Row[];
}

export class DatabaseStates implements States {
  readonly #committer: Committer;
  readonly #blobs: DatabaseBlobs;
  readonly #log: LogStore;
  readonly #viewAt: (tail: Tail) => View;
  readonly #loads: DatabaseLoads;

  constructor(options: LoadContext) {
    this.#loads = new DatabaseLoads(options);
    this.#committer = options.committer;
    this.#blobs = options.blobs;
    this.#log = options.log;
    this.#viewAt = options.viewAt;
  }

  async apply(head: string, options: ApplyOptions): Promise<Applied> {
    requireRefName(head);
    const { operations } = options;
    requireSizes(operations);
    const expectedRoot = options.expectedRoot && requireHashBytes("expected_root", options.expectedRoot);
    const contents: HashedContent[] = [];
    const prepared = operations.map((operation, index) => preparedOperation(operation, { index, contents }));
    prepared.sort((a, b) => compareBytes(a.key, b.key));
    requireDifferentKeys(prepared);
    const meaning = (): RequestMeaning => applyMeaning({ head, operations: prepared, expectedRoot });
    const recorded = recordedAs(identifyRequest(options.idempotency, { method: "state.apply", meaning }), ROOTS_KEPT);
    const earlier = this.#committer.recall(recorded);
    if (earlier !== undefined) return this.#applied(earlier);
    await this.#requireBlobs(operations);
    const rows = await this.#blobs.prepare(contents);
    const apply = { head, operations: prepared, expectedRoot, rows, withTransition: options.withTransition === true };
    return this.#applied(await this.#committer.commit((context) => applyTo(context, apply), recorded));
  }

  async load(head: string, options: LoadOptions = {}): Promise<Load> {
    requireRefName(head);
    const { expectedRoot } = options;
    if (expectedRoot === undefined || expectedRoot === "empty") return this.#loads.begin(head, options);
    return this.#loads.begin(head, { ...options, expectedRoot: requireHashBytes("expected_root", expectedRoot) });
  }

  /** Drops the loads in progress. */
  close(): Promise<void> {
    return this.#loads.close();
  }

  #applied({ value, receipt, tail }: Outcome<AppliedChange>): Applied {
    const logged = (): LoggedLeaf => this.#log.leaf(tail, receipt.logIndex);
    return { ...value, receipt, view: this.#viewAt(tail), logged };
  }

  /** Blobs that are put by their hash are held, and of the size claimed. @throws NotFound @throws InvalidArgument */
  async #requireBlobs(operations: readonly StateOperation[]): Promise<void> {
    for (const [index, { change }] of operations.entries()) {
      if (change === "delete" || "put" in change) continue;
      await this.#blobs.requireHeld(`operations[${index}].blob`, change.putBlob);
    }
  }
}

/** What was asked for, whatever the order of the operations, and whether values came along or were put by their hash. */
function applyMeaning(apply: Pick<PreparedApply, "head" | "operations" | "expectedRoot">): RequestMeaning {
  const meaning = new RequestMeaning().text(apply.head).bytes(apply.expectedRoot).list(apply.operations.length);
  for (const { key, cell, condition } of apply.operations) {
    meaning.bytes(key).bytes(cell);
    if (condition === "absent") meaning.text("absent");
    else meaning.bytes(condition);
  }
  return meaning;
}

/** What a round says of a change. */
type AppliedChange = Omit<Applied, "receipt" | "view" | "logged">;

const ROOTS_KEPT: Pick<Recorded<AppliedChange>, "encode" | "decode"> = {
  encode: ({ beforeRoot, root }) => concatBytes(beforeRoot, root),
  decode: (outcome) =>
    fromStore("the outcome of a request", () => ({
      beforeRoot: mapRoot(outcome.subarray(0, 32)),
      root: mapRoot(outcome.subarray(32)),
      transition: undefined,
      isRepeated: true,
    })),
};

/** @throws InvalidArgument */
function preparedOperation(
  operation: StateOperation,
  place: { readonly index: number; readonly contents: HashedContent[] },
): PreparedOperation {
  const { index } = place;
  const field = `operations[${index}]`;
  const { change, condition } = operation;
  // Copied: the caller's arrays may be views of a message.
  const key = new Uint8Array(operation.key);
  const checked =
    condition === undefined || condition === "absent"
      ? condition
      : blobHash(requireHashBytes(`${field}.expected_hash`, condition.expectedHash));
  if (change === "delete") return { key, cell: undefined, condition: checked, index };
  return {
    key,
    cell: stateCell.encode(cellOf(change, { field, contents: place.contents })),
    condition: checked,
    index,
  };
}

function cellOf(
  change: Exclude<StateChange, "delete">,
  place: { readonly field: string; readonly contents: HashedContent[] },
): { readonly hash: BlobHash; readonly size: number } {
  if ("put" in change) {
    const content = { hash: hashBlob(change.put), sizeBytes: change.put.length, bytes: change.put };
    place.contents.push(content);
    return { hash: content.hash, size: content.sizeBytes };
  }
  const { hash, sizeBytes } = change.putBlob;
  const field = `${place.field}.blob`;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new InvalidArgument(`${field}.size: no size of a blob: ${sizeBytes}`, { field: `${field}.size` });
  }
  return { hash: blobHash(requireHashBytes(`${field}.hash`, hash)), size: sizeBytes };
}

/** Runs in a round. @throws NotFound @throws Conflict */
function applyTo({ draft }: MutationContext, apply: PreparedApply): AppliedChange {
  const head = requireHead(draft, apply.head);
  const { stagedState, stagedLedger } = head;
  requireStagedRoot(head, apply.expectedRoot);
  const map: MapAt = { kind: MapKind.state, root: stagedState };
  requireConditions(draft, map, apply);
  const recorder = apply.withTransition ? new Recorder() : undefined;
  const root = draft.edit(map, apply.operations, recorder);
  const transition = recorder !== undefined && recorder.nodeBytes <= MAX_TRANSITION_BYTES ? recorder : undefined;
  draft.hold(transition?.nodeBytes ?? 0);
  draft.put(apply.rows);
  draft.move(stagedKey(apply.head), stagedCell.encode({ stateRoot: root, ledgerRoot: stagedLedger }));
  return { beforeRoot: stagedState, root, transition, isRepeated: false };
}

/** @throws Conflict - a key is not what its operation expects */
function requireConditions(nodes: MutationContext["draft"], map: MapAt, apply: PreparedApply): void {
  const conditional = apply.operations.filter(({ condition }) => condition !== undefined);
  if (conditional.length === 0) return;
  const keys = conditional.map(({ key }) => key);
  const reader = getMany(map, keys, ({ index, cell }) => {
    const operation = conditional[index];
    if (operation?.condition === undefined) return;
    const { condition } = operation;
    const current = cell && fromStore("a cell of the state map", () => stateCell.decode(cell)).hash;
    const holds = condition === "absent" ? current === undefined : current && equalBytes(current, condition);
    if (holds !== true) throw keyConflict({ head: apply.head, map, operation, current });
  });
  readSync(reader, nodes);
}

function keyConflict(conflict: {
  head: string;
  map: MapAt;
  operation: PreparedOperation;
  current: BlobHash | undefined;
}): Conflict {
  const { head, map, operation, current } = conflict;
  const key = toHex(operation.key);
  const is = current === undefined ? "is absent" : `has the value ${toHex(current)}`;
  const wanted = operation.condition === "absent" ? "expected to be absent" : "not the expected value";
  return new Conflict(`key ${key} of head "${head}" ${is}, ${wanted}`, {
    field: `operations[${operation.index}]`,
    hint: "somebody was first: read the key again, and decide anew",
    facts: {
      kind: "key",
      head,
      key,
      current_root: toHex(map.root),
      ...(current === undefined ? {} : { current_hash: toHex(current) }),
    },
  });
}

/** Everything that can be said of the request before anything is hashed. */
function requireSizes(operations: readonly StateOperation[]): void {
  if (operations.length === 0) {
    throw new InvalidArgument("operations: at least one is needed", { field: "operations" });
  }
  if (operations.length > MAX_BATCH_KEYS) {
    throw new LimitExceeded(`at most ${MAX_BATCH_KEYS} operations in one request, not ${operations.length}`, {
      field: "operations",
      facts: { limit: "batch_keys", value: String(MAX_BATCH_KEYS) },
    });
  }
  let totalBytes = 0;
  for (const [index, { key, change }] of operations.entries()) {
    if (key.length === 0 || key.length > MAX_KEY_BYTES) {
      const field = `operations[${index}].key`;
      throw new InvalidArgument(`${field}: a key is 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`, { field });
    }
    if (change === "delete" || !("put" in change)) continue;
    if (change.put.length > MAX_INLINE_VALUE_BYTES) {
      const field = `operations[${index}].value`;
      throw new InvalidArgument(`${field}: at most ${MAX_INLINE_VALUE_BYTES} bytes, not ${change.put.length}`, {
        field,
        hint: "upload the value as a blob, and put that",
      });
    }
    totalBytes += change.put.length;
  }
  if (totalBytes <= MAX_BATCH_BYTES) return;
  throw new LimitExceeded(`at most ${MAX_BATCH_BYTES} bytes of values in one request, not ${totalBytes}`, {
    field: "operations",
    hint: "split the request, or upload large values as blobs",
    facts: { limit: "batch_bytes", value: String(MAX_BATCH_BYTES) },
  });
}

function requireDifferentKeys(sorted: readonly PreparedOperation[]): void {
  for (const [position, operation] of sorted.entries()) {
    const before = sorted[position - 1];
    if (before === undefined || !equalBytes(before.key, operation.key)) continue;
    const index = Math.max(before.index, operation.index);
    const field = `operations[${index}].key`;
    throw new InvalidArgument(`${field}: ${toHex(operation.key)} is there twice`, { field });
  }
}
