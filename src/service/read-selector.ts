// What a read of state or ledger names, and where it is answered: the messages ReadSelector and ReadPosition.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReadPositionSchema, ReadSelector as ReadSelectorMessage } from "../../gen/neleus/v1/proof_pb.js";
import type { Database, ReadPoint, ReadSelector, View } from "../database/index.js";
import { endedBy } from "./pace.js";
import type { KnownCheckpoint } from "./snapshot.js";
import { commitHashField, forField, headField, integerField, invalid, mapRootField, tagField } from "./request.js";

/** A selector whose form has been checked, and the path of the field that is set. */
export interface CheckedSelector {
  readonly selector: ReadSelector;
  readonly field: string;
  readonly minLogSize: number | undefined;
}

/** @throws InvalidArgument - nothing is set, or no name or hash */
export function selectorField(at: ReadSelectorMessage | undefined, field: string): CheckedSelector {
  const minLogSize = minLogSizeField(at ?? {}, `${field}.min_log_size`);
  const place = at?.at ?? { case: undefined };
  const name = `${field}.${place.case}`;
  const checked = { field: name, minLogSize };
  switch (place.case) {
    case "staged":
      return { selector: { staged: headField(place.value, name) }, ...checked };
    case "head":
      return { selector: { head: headField(place.value, name) }, ...checked };
    case "tag":
      return { selector: { tag: tagField(place.value, name) }, ...checked };
    case "commit":
      return { selector: { commit: commitHashField(place.value, name) }, ...checked };
    case "root":
      return { selector: { root: mapRootField(place.value, name) }, ...checked };
    case undefined:
      throw invalid(field, "says nothing of what to read", "set staged, head, tag, commit or root");
  }
}

/** The field `min_log_size`; absent: any. */
export function minLogSizeField(
  request: { readonly minLogSize?: bigint | undefined },
  field = "min_log_size",
): number | undefined {
  return request.minLogSize === undefined ? undefined : integerField(request.minLogSize, field);
}

/**
 * The newest view that is no older than a caller has seen the log. What a caller has seen of the log of another epoch says
 * nothing of this one's size; a checkpoint of this one that is ahead of it may show, before any waiting, that leaves are lost.
 * @throws RolledBack - there is none, or leaves are lost @throws NeleusError - the call has ended while it waited
 */
export async function viewOf(
  database: Database,
  wanted: {
    readonly minLogSize: number | undefined;
    readonly known?: KnownCheckpoint | undefined;
    readonly signal: AbortSignal;
  },
): Promise<View> {
  const { minLogSize, known, signal } = wanted;
  const view = await database.view();
  if (minLogSize === undefined || view.logSize >= minLogSize) return view;
  if (known !== undefined) {
    if (known.origin !== view.origin) return view;
    if (known.size > view.logSize) await database.log.shown(known.note);
  }
  return endedBy(signal, database.view({ minLogSize, signal }));
}

/**
 * The log that a request names by its epoch, else the one that goes on. Of an epoch that has ended no size is waited for.
 * @throws NotFound - kind `epoch`: it never was here @throws RolledBack, NeleusError - as `viewOf`
 */
export async function logViewOf(
  database: Database,
  wanted: Parameters<typeof viewOf>[1] & { readonly epoch: number | undefined },
): Promise<View> {
  const { epoch } = wanted;
  if (epoch === undefined) return viewOf(database, wanted);
  const view = await forField("epoch", database.epochs.view(epoch));
  return view.origin === database.log.origin ? viewOf(database, wanted) : view;
}

/** The field `epoch`; absent: the one that goes on. */
export function epochField(request: { readonly epoch?: bigint | undefined }): number | undefined {
  return request.epoch === undefined ? undefined : integerField(request.epoch, "epoch");
}

/** Where the view answers a read. Errors as of `View.resolve`; an InvalidArgument names the field that is set. */
export async function resolveAt(view: View, at: CheckedSelector): Promise<ReadPoint> {
  return forField(at.field, view.resolve(at.selector));
}

export function readPosition(point: ReadPoint): MessageInitShape<typeof ReadPositionSchema> {
  return {
    root: point.state.root,
    commit: point.commit?.hash ?? new Uint8Array(0),
    logSize: BigInt(point.logSize),
  };
}
