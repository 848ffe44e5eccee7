// The upper chain of an answer: checkpoint, newest log leaf, refs, commit. All of it from one View, so it is one instant.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CosignedCheckpointSchema, LogProofSchema, SnapshotSchema } from "../../gen/neleus/v1/proof_pb.js";
import { equalBytes } from "../core/bytes.js";
import { parseCheckpointUnverified } from "../core/log/index.js";
import type { Checkpoint } from "../core/log/index.js";
import { get, getMany, scan } from "../core/map/index.js";
import { headKey, headKeysRange, stagedKey, tagKey } from "../core/object/index.js";
import type { Database, Head, LogProof, Tag, View } from "../database/index.js";
import { checkField, textField } from "./request.js";
import { readWithWitness, type NodeRevealInit } from "./reveal-message.js";

/** The last checkpoint that a caller says to have seen. Nothing of it is verified. */
export interface KnownCheckpoint extends Checkpoint {
  readonly note: string;
}

/** The field `known_checkpoint`; undefined where it is empty. @throws InvalidArgument - it does not parse */
export function knownCheckpointField(request: { readonly knownCheckpoint: string }): KnownCheckpoint | undefined {
  const field = "known_checkpoint";
  if (request.knownCheckpoint === "") return undefined;
  const text = textField(request.knownCheckpoint, field);
  return { ...checkField(field, () => parseCheckpointUnverified(text)), note: text };
}

/**
 * From the checkpoint to the refs root of the view. A checkpoint of another origin belongs to another log, to which
 * there is no consistency: the caller sees the origin and decides. One of this origin that does not lead to the view, or
 * behind it, is shown to the database.
 * @throws RolledBack - the database knows by it, or by an earlier one, that its log lost leaves
 */
export async function logProofMessage(
  database: Database,
  view: View,
  known: KnownCheckpoint | undefined,
): Promise<MessageInitShape<typeof LogProofSchema>> {
  const own = known?.origin === view.origin ? known : undefined;
  const proof: LogProof = await view.logProof({ knownSize: own?.size });
  if (own !== undefined && own.size > 0 && !isSameRoot(proof.knownRoot, own.root)) await database.log.shown(own.note);
  return {
    checkpoint: proof.checkpoint,
    consistency: [...proof.consistency],
    leaf: proof.leaf,
    inclusion: [...proof.inclusion],
  };
}

function isSameRoot(ours: Uint8Array | undefined, theirs: Uint8Array): boolean {
  return ours !== undefined && equalBytes(ours, theirs);
}

/** A name that nothing has. */
export interface Unused {
  readonly unused: { readonly head: string } | { readonly tag: string };
}

export interface SnapshotOptions {
  readonly database: Database;
  readonly view: View;
  /** As the view has it. */
  readonly of: { readonly head: Head } | { readonly tag: Tag } | Unused;
  readonly known: KnownCheckpoint | undefined;
  /** Absent: without them. */
  readonly withCosignatures?: boolean | undefined;
}

/** What witnesses have cosigned of the log of a view. @throws RolledBack */
export async function cosignedMessages(view: View): Promise<MessageInitShape<typeof CosignedCheckpointSchema>[]> {
  const cosigned = await view.cosigned();
  return cosigned.map(({ note, consistency }) => ({ note, consistency: [...consistency] }));
}

/** The chain above one head or tag, or that there is none. Errors as of `View.logProof` and `Commits.get`. */
export async function snapshotMessage(options: SnapshotOptions): Promise<MessageInitShape<typeof SnapshotSchema>> {
  const { database, view, of, known, withCosignatures = false } = options;
  const log = await logProofMessage(database, view, known);
  const cosigned = withCosignatures ? await cosignedMessages(view) : [];
  const commitBytes = async (hash: Uint8Array): Promise<Uint8Array> => (await database.commits.get(hash)).bytes;
  if ("unused" in of) return { ...of.unused, log, cosigned, refs: refsOf(view, of.unused) };
  if ("tag" in of) {
    const { name: tag, commit } = of.tag;
    return { tag, log, cosigned, refs: refsOf(view, { tag }), commit: await commitBytes(commit) };
  }
  const { name: head, commit } = of.head;
  const bytes = commit === undefined ? new Uint8Array(0) : await commitBytes(commit);
  return { head, log, cosigned, refs: refsOf(view, { head }), commit: bytes };
}

/** The witness of all keys that may move a head. */
export function headKeysWitness(view: View, head: string): NodeRevealInit[] {
  const reader = scan(view.refs, headKeysRange(head), () => undefined);
  return readWithWitness(view, reader).nodes;
}

/** The witness of what the refs have under a name. */
function refsOf(view: View, named: Unused["unused"]): NodeRevealInit[] {
  if ("tag" in named) return readWithWitness(view, get(view.refs, tagKey(named.tag))).nodes;
  // Read strictly ascending: "heads/…" is below "states/…".
  const keys = [headKey(named.head), stagedKey(named.head)];
  return readWithWitness(
    view,
    getMany(view.refs, keys, () => undefined),
  ).nodes;
}
