// Where the log contains a write, and what the refs there say of its head: for the writer, behind a batch that is durable.
import { get, type MapAt } from "../core/map/index.js";
import { stagedKey } from "../core/object/index.js";
import type { Applied } from "../database/index.js";
import { afterWrite } from "./receipt.js";
import { readWithWitness, type NodeRevealInit } from "./reveal-message.js";

/** Fields of an answer to a write. */
export interface LoggedRefs {
  readonly leaf: Uint8Array;
  readonly inclusion: Uint8Array[];
  readonly refs: NodeRevealInit[];
}

/** A write that is durable, as the engine answers it. */
export type LoggedWrite = Pick<Applied, "isRepeated" | "view" | "logged">;

/**
 * Where a write may have been made by an earlier request, the leaf is the one of then, and the refs that it names may be
 * kept no longer: they are left out. @throws NeleusError - with the fact that the write was applied
 */
export function repeatableLoggedRefs(head: string, applied: LoggedWrite): LoggedRefs {
  try {
    const logged = applied.logged();
    const { leaf, inclusion } = logged;
    return { leaf, inclusion: [...inclusion], refs: refsOf(head, { applied, refs: logged.refs }) };
  } catch (error) {
    throw afterWrite(error);
  }
}

function refsOf(head: string, write: { readonly applied: LoggedWrite; readonly refs: MapAt }): NodeRevealInit[] {
  try {
    return readWithWitness(write.applied.view, get(write.refs, stagedKey(head))).nodes;
  } catch (error) {
    if (write.applied.isRepeated) return [];
    throw error;
  }
}
