// What differs between two states whose roots are known: the witnesses of both are checked as they arrive, so each change
// is certain when it is handed on, and none was left out between it and the one before.
import { equalBytes } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import type { MapRoot } from "../core/hashes.js";
import { DiffVerifier, MapKind, type MapChange } from "../core/map/index.js";
import { StateService } from "../../gen/neleus/v1/state_pb.js";
import type { Connection } from "./connection.js";
import type { StateChange, StateEntry } from "./contract.js";
import { receivedReveals, requireNoValues } from "./received.js";
import { stateEntry } from "./state-entry.js";
import type { CallOptions } from "./transport.js";
import { ValueQueue } from "./value-queue.js";

/** Two roots that the caller trusts. */
export interface RootPair {
  readonly before: MapRoot;
  readonly after: MapRoot;
}

/** The changes, in order of key, without values. */
export async function* diffRoots(
  connection: Connection,
  roots: RootPair,
  options: CallOptions,
): AsyncGenerator<StateChange, void, undefined> {
  const pieces = diffPieces(connection, roots, { withValues: false, call: options });
  for await (const { changes, values } of pieces) {
    requireNoValues(values);
    for (const change of changes) yield stateChange(change);
  }
}

/** The changes with the values that they put; of values too large to travel along, the entries. */
export async function* diffRootsWithValues(
  connection: Connection,
  roots: RootPair,
  options: CallOptions,
): AsyncGenerator<StateChange, void, undefined> {
  const queue = new ValueQueue();
  const waiting: StateChange[] = [];
  for await (const { changes, values } of diffPieces(connection, roots, { withValues: true, call: options })) {
    for (const found of changes) {
      const change = stateChange(found);
      waiting.push(change);
      queue.add({ key: change.key, entry: change.after });
    }
    for (const { value } of queue.accept(values)) {
      // The queue hands out in the order in which it was given.
      const change = waiting.shift();
      if (change !== undefined) yield value === undefined ? change : new Change(change.key, change.before, value);
    }
  }
  queue.finish();
}

async function* diffPieces(
  connection: Connection,
  roots: RootPair,
  how: { readonly withValues: boolean; readonly call: CallOptions },
): AsyncGenerator<
  { readonly changes: readonly MapChange[]; readonly values: Parameters<ValueQueue["accept"]>[0] },
  void,
  undefined
> {
  if (equalBytes(roots.before, roots.after)) return;
  const { database } = connection;
  const [before, after] = [selectorOf(roots.before), selectorOf(roots.after)];
  const verifier = new DiffVerifier({
    before: { kind: MapKind.state, root: roots.before },
    after: { kind: MapKind.state, root: roots.after },
  });
  let hasHeader = false;
  const request = { database, before, after, withValues: how.withValues };
  for await (const message of connection.serverStream(StateService.method.diff, request, how.call)) {
    if (hasHeader === (message.header !== undefined)) {
      throw new VerificationFailed(hasHeader ? "the answer has a second header" : "the answer has no header");
    }
    hasHeader = true;
    const piece = { before: receivedReveals(message.before), after: receivedReveals(message.after) };
    for (const changes of verifier.steps(piece)) yield { changes, values: [] };
    yield { changes: [], values: message.values };
  }
  verifier.finish();
}

function selectorOf(root: MapRoot): { readonly at: { readonly case: "root"; readonly value: Uint8Array } } {
  return { at: { case: "root", value: root } };
}

class Change implements StateChange {
  readonly key: Uint8Array;
  readonly before: StateEntry | undefined;
  readonly after: StateEntry | undefined;

  constructor(key: Uint8Array, before: StateEntry | undefined, after: StateEntry | undefined) {
    this.key = key;
    this.before = before;
    this.after = after;
  }
}

function stateChange({ key, before, after }: MapChange): StateChange {
  return new Change(
    new Uint8Array(key),
    before === undefined ? undefined : stateEntry(key, before),
    after === undefined ? undefined : stateEntry(key, after),
  );
}
