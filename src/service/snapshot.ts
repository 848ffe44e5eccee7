// The upper chain of an answer: checkpoint, newest log leaf, refs, commit. All of it from one View, so it is one instant.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LogProofSchema, SnapshotSchema } from "../../gen/neleus/v1/proof_pb.js";
import { parseCheckpointUnverified } from "../core/log/index.js";
import { get, getMany } from "../core/map/index.js";
import { headKey, stagedKey, tagKey } from "../core/object/index.js";
import type { Database, Head, LogProof, Tag, View } from "../database/index.js";
import { checkField, textField } from "./request.js";
import { readWithWitness } from "./reveal-message.js";

/** The last checkpoint that a caller has seen, as far as it matters here: its signature is the caller's to check. */
export interface KnownCheckpoint {
  readonly origin: string;
  readonly size: number;
}

/** The field `known_checkpoint`; undefined where it is empty. @throws InvalidArgument - it does not parse */
export function knownCheckpointField(request: { readonly knownCheckpoint: string }): KnownCheckpoint | undefined {
  const field = "known_checkpoint";
  if (request.knownCheckpoint === "") return undefined;
  const text = textField(request.knownCheckpoint, field);
  return checkField(field, () => parseCheckpointUnverified(text));
}

/**
 * From the checkpoint to the refs root of the view. A checkpoint of another origin belongs to another log, to which
 * there is no consistency: the caller sees the origin and decides.
 */
export async function logProofMessage(
  database: Database,
  view: View,
  known: KnownCheckpoint | undefined,
): Promise<MessageInitShape<typeof LogProofSchema>> {
  const knownSize = known?.origin === database.log.origin ? known.size : undefined;
  const proof: LogProof = await view.logProof({ knownSize });
  return {
    checkpoint: proof.checkpoint,
    consistency: [...proof.consistency],
    leaf: proof.leaf,
    inclusion: [...proof.inclusion],
  };
}

export interface SnapshotOptions {
  readonly database: Database;
  readonly view: View;
  /** As the view has it. */
  readonly of: { readonly head: Head } | { readonly tag: Tag };
  readonly known: KnownCheckpoint | undefined;
}

/** The chain above one head or tag. Errors as of `View.logProof` and `Commits.get`. */
export async function snapshotMessage(options: SnapshotOptions): Promise<MessageInitShape<typeof SnapshotSchema>> {
  const { database, view, of, known } = options;
  const log = await logProofMessage(database, view, known);
  const commitBytes = async (hash: Uint8Array): Promise<Uint8Array> => (await database.commits.get(hash)).bytes;
  if ("tag" in of) {
    const { name, commit } = of.tag;
    const { nodes } = readWithWitness(view, get(view.refs, tagKey(name)));
    return { tag: name, log, refs: nodes, commit: await commitBytes(commit) };
  }
  const { name, commit } = of.head;
  // Read strictly ascending: "heads/…" is below "states/…".
  const keys = [headKey(name), stagedKey(name)];
  const { nodes } = readWithWitness(
    view,
    getMany(view.refs, keys, () => undefined),
  );
  return { head: name, log, refs: nodes, commit: commit === undefined ? new Uint8Array(0) : await commitBytes(commit) };
}
