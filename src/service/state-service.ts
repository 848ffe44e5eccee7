// StateService: keys and values of a head's state, read with witnesses and changed atomically.
//
// Every read resolves what it names once and answers at that root. The witness is what the recorder noted while the
// read ran; the entries in it are the answer.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  StateOperation as StateOperationMessage,
  StateServiceApplyRequest,
  StateServiceBatchGetRequest,
  StateServiceBatchGetResponseSchema,
  StateServiceDiffRequest,
  StateServiceDiffResponseSchema,
  StateServiceScanRequest,
  StateServiceScanResponseSchema,
} from "../../gen/neleus/v1/state_pb.js";
import { StateService } from "../../gen/neleus/v1/state_pb.js";
import { compareBytes } from "../core/bytes.js";
import { BATCH_KEY_WORK_BYTES, MAX_BATCH_KEYS, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { count, get, type Entry } from "../core/map/index.js";
import { countedBytes, stateCell } from "../core/object/index.js";
import type { Applied, KeyCondition, Lease, StateChange, StateOperation } from "../database/index.js";
import { diffStream } from "./diff-stream.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import type { CallContext, ServiceImplementation } from "./implementation.js";
import { inlineValue, storedCell } from "./inline-value.js";
import { keysStream } from "./keys-stream.js";
import { loadStream } from "./load-stream.js";
import { repeatableLoggedRefs, type LoggedRefs } from "./logged-refs.js";
import { Pace } from "./pace.js";
import { cutByBytes, pageOf, rangeField, rangeStream } from "./range-stream.js";
import { readPosition, resolveAt, selectorField, viewOf } from "./read-selector.js";
import { receiptMessage } from "./receipt.js";
import {
  blobHashField,
  countWithin,
  headField,
  idempotencyField,
  integerField,
  invalid,
  keyField,
  limitField,
  mapRootField,
} from "./request.js";
import { nodeReveal, readWithWitness, type NodeRevealInit } from "./reveal-message.js";
import { WorkBudget } from "./work-budget.js";

export function stateService(environment: ServiceEnvironment): ServiceImplementation<typeof StateService> {
  const budget = new WorkBudget(environment.workBudget);
  return {
    async get(request, { signal }) {
      const at = selectorField(request.at, "at");
      const key = keyField(request.key, "key");
      const database = await openDatabase(environment, request);
      const point = await resolveAt(await viewOf(database, { ...at, signal }), at);
      const { answer: cell, nodes } = readWithWitness(point, get(point.state, key));
      const value = cell === undefined || request.omitValue ? undefined : await inlineValue(database, cell);
      const position = readPosition(point);
      return value === undefined ? { position, nodes } : { position, nodes, value };
    },

    batchGet: (request, context) => batchGet({ ...environment, budget }, request, context),

    async apply(request) {
      const head = headField(request.head, "head");
      const operations = operationsField(request);
      const expectedRoot =
        request.expectedRoot === undefined ? undefined : mapRootField(request.expectedRoot, "expected_root");
      const idempotency = idempotencyField(request);
      const database = await openDatabase(environment, request);
      const withTransition = request.wantTransition;
      const applied = await database.states.apply(head, { operations, expectedRoot, withTransition, ...idempotency });
      const { root, beforeRoot, receipt } = applied;
      const shown = withTransition ? shownChange(head, applied) : {};
      return { root, beforeRoot, receipt: receiptMessage(receipt), ...shown };
    },

    load: (requests, context) => loadStream(environment, requests, context),

    scan: (request, context) => scan(environment, request, context),

    async count(request, { signal }) {
      const at = selectorField(request.at, "at");
      const range = rangeField(request);
      const database = await openDatabase(environment, request);
      const point = await resolveAt(await viewOf(database, { ...at, signal }), at);
      return { position: readPosition(point), nodes: readWithWitness(point, count(point.state, range)).nodes };
    },

    diff: (request, context) => diff(environment, request, context),
  };
}

async function* batchGet(
  environment: ServiceEnvironment & { readonly budget: WorkBudget },
  request: StateServiceBatchGetRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof StateServiceBatchGetResponseSchema>, void, undefined> {
  const at = selectorField(request.at, "at");
  const keys = keysField(request.keys);
  const database = await openDatabase(environment, request);
  // The nodes of all keys are held until the last of them has been read, and the witness until it has been taken.
  const release = await environment.budget.take(keys.length * BATCH_KEY_WORK_BYTES, context.signal);
  let lease: Lease | undefined;
  try {
    const point = await resolveAt(await viewOf(database, { ...at, signal: context.signal }), at);
    lease = point.hold();
    let position: { position?: ReturnType<typeof readPosition> } = { position: readPosition(point) };
    for await (const content of keysStream({
      nodes: point.nodes,
      map: point.state,
      keys,
      pace: new Pace(context.signal),
      memory: context.memory,
      loadValue: request.omitValues ? undefined : (cell) => inlineValue(database, cell),
    })) {
      yield { ...position, ...content };
      position = {};
    }
  } finally {
    lease?.release();
    release();
  }
}

async function* scan(
  environment: ServiceEnvironment,
  request: StateServiceScanRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof StateServiceScanResponseSchema>, void, undefined> {
  const at = selectorField(request.at, "at");
  const wanted = rangeField(request);
  const limit = limitField(request.limit, "limit");
  const maxBytes = limitField(request.maxBytes, "max_bytes");
  const database = await openDatabase(environment, request);
  const point = await resolveAt(await viewOf(database, { ...at, signal: context.signal }), at);
  const lease = point.hold();
  try {
    const { state: map, nodesInPassing: nodes } = point;
    const pace = new Pace(context.signal);
    const page = pageOf({ nodes: point.nodes, map, range: wanted, limit });
    const bytesOf = request.withValues ? bytesWithValue : bytesWithoutValue;
    const { range, next } =
      maxBytes === undefined ? page : await cutByBytes(page, { nodes, map, maxBytes, bytesOf, pace });
    const position = readPosition(point);
    let header: Pick<MessageInitShape<typeof StateServiceScanResponseSchema>, "header"> = {
      header: next === undefined ? { position } : { position, next },
    };
    for await (const content of rangeStream({
      nodes,
      map,
      range,
      pace,
      memory: context.memory,
      loadValue: request.withValues ? ({ cell }) => inlineValue(database, cell) : undefined,
    })) {
      yield { ...header, ...content };
      header = {};
    }
  } finally {
    lease.release();
  }
}

/** What an entry counts in a page that is limited in bytes. */
const bytesWithoutValue = (entry: Entry): number => countedBytes(entry);
const bytesWithValue = (entry: Entry): number => countedBytes(entry, storedCell(stateCell, entry.cell).size);

async function* diff(
  environment: ServiceEnvironment,
  request: StateServiceDiffRequest,
  context: CallContext,
): AsyncGenerator<MessageInitShape<typeof StateServiceDiffResponseSchema>, void, undefined> {
  const [from, to] = [selectorField(request.before, "before"), selectorField(request.after, "after")];
  const database = await openDatabase(environment, request);
  const minLogSize = Math.max(from.minLogSize ?? 0, to.minLogSize ?? 0);
  const view = await viewOf(database, { minLogSize, signal: context.signal });
  const [before, after] = [await resolveAt(view, from), await resolveAt(view, to)];
  const leases = [before.hold(), after.hold()];
  try {
    let header: Pick<MessageInitShape<typeof StateServiceDiffResponseSchema>, "header"> = {
      header: { before: readPosition(before), after: readPosition(after) },
    };
    for await (const content of diffStream({
      before,
      after,
      pace: new Pace(context.signal),
      memory: context.memory,
      loadValue: request.withValues ? (cell) => inlineValue(database, cell) : undefined,
    })) {
      yield { ...header, ...content };
      header = {};
    }
    if (header.header !== undefined) yield header;
  } finally {
    for (const lease of leases) lease.release();
  }
}

/** What shows a writer its change, and where the log contains it. */
function shownChange(head: string, applied: Applied): LoggedRefs & { readonly transition: NodeRevealInit[] } {
  const { transition } = applied;
  const nodes = transition === undefined ? [] : Array.from(transition.reveals(), nodeReveal);
  return { transition: nodes, ...repeatableLoggedRefs(head, applied) };
}

/** Keys of a BatchGet. @throws InvalidArgument - none, or not strictly ascending @throws LimitExceeded */
function keysField(keys: readonly Uint8Array[]): Uint8Array[] {
  if (keys.length === 0) throw invalid("keys", "is empty");
  countWithin(keys.length, { field: "keys", name: "batch_keys", value: MAX_BATCH_KEYS });
  let previous: Uint8Array | undefined;
  return keys.map((bytes, index) => {
    const key = keyField(bytes, `keys[${index}]`);
    if (previous !== undefined && compareBytes(previous, key) >= 0) {
      throw invalid(`keys[${index}]`, "is not above the key before it; keys ascend strictly, bytewise");
    }
    previous = key;
    return key;
  });
}

/**
 * Operations of an Apply. That no key comes twice is the engine's to find: it sorts them.
 * @throws InvalidArgument - none, or one that is wrong
 * @throws LimitExceeded
 */
function operationsField(request: StateServiceApplyRequest): StateOperation[] {
  const { operations } = request;
  if (operations.length === 0) throw invalid("operations", "is empty");
  countWithin(operations.length, { field: "operations", name: "batch_keys", value: MAX_BATCH_KEYS });
  return operations.map((operation, index) => {
    const path = `operations[${index}]`;
    const key = keyField(operation.key, `${path}.key`);
    return { key, change: changeField(operation, path), condition: conditionField(operation, path) };
  });
}

function changeField({ change }: StateOperationMessage, path: string): StateChange {
  switch (change.case) {
    case "value":
      if (change.value.length <= MAX_INLINE_VALUE_BYTES) return { put: change.value };
      throw invalid(
        `${path}.value`,
        `${change.value.length} bytes, and ${MAX_INLINE_VALUE_BYTES} is the most`,
        "send larger values with Upload, then put the blob",
      );
    case "blob": {
      const hash = blobHashField(change.value.hash, `${path}.blob.hash`);
      return { putBlob: { hash, sizeBytes: integerField(change.value.size, `${path}.blob.size`) } };
    }
    case "delete":
      if (change.value) return "delete";
      throw invalid(`${path}.delete`, "is false, which asks for nothing");
    case undefined:
      throw invalid(`${path}.change`, "says nothing of what to do", "set value, blob or delete");
  }
}

function conditionField({ condition }: StateOperationMessage, path: string): KeyCondition | undefined {
  switch (condition.case) {
    case "expectedHash":
      return { expectedHash: blobHashField(condition.value, `${path}.expected_hash`) };
    case "expectedAbsent":
      if (condition.value) return "absent";
      throw invalid(`${path}.expected_absent`, "is false, which states nothing");
    case undefined:
      return undefined;
  }
}
