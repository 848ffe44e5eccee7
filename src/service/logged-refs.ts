// Where the log contains a write, and what the refs there say of its head: for the writer, behind a batch that is durable.
import { get, type MapAt } from "../core/map/index.js";
import { stagedKey } from "../core/object/index.js";
import type { Applied, View } from "../database/index.js";
import { afterWrite } from "./receipt.js";
import { readWithWitness, type NodeRevealInit } from "./reveal-message.js";

/** Fields of an answer to a write. */
export interface LoggedRefs {
  readonly leaf: Uint8Array;
  readonly inclusion: Uint8Array[];
  readonly refs: NodeRevealInit[];
}

/** `view` is the database as the batch left it. @throws NeleusError - with the fact that the write was applied */
export async function loggedRefs(head: string, view: View): Promise<LoggedRefs> {
  try {
    // At once: what others write next may replace these nodes.
    const refs = readWithWitness(view, get(view.refs, stagedKey(head))).nodes;
    const { leaf, inclusion } = await view.logProof();
    return { leaf, inclusion: [...inclusion], refs };
  } catch (error) {
    throw afterWrite(error);
  }
}

/**
 * The same of a write that may have been made by an earlier request. Then the leaf is the one of then, and the refs that it
 * names may be kept no longer: they are left out.
 */
export function repeatableLoggedRefs(head: string, applied: Applied): LoggedRefs {
  try {
    const logged = applied.logged();
    const { leaf, inclusion } = logged;
    return { leaf, inclusion: [...inclusion], refs: refsOf(head, { applied, refs: logged.refs }) };
  } catch (error) {
    throw afterWrite(error);
  }
}

function refsOf(head: string, write: { readonly applied: Applied; readonly refs: MapAt }): NodeRevealInit[] {
  try {
    return readWithWitness(write.applied.view, get(write.refs, stagedKey(head))).nodes;
  } catch (error) {
    if (write.applied.isRepeated) return [];
    throw error;
  }
}
