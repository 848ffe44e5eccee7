// The witness for many keys of a map, cut into messages.
//
// A later key may touch a node that was read for an earlier one, the root above all, so the reveals are final only when
// every key has been read: unlike a scan the read runs to its end first. What it holds then is bounded by
// MAX_BATCH_KEYS, and it lets others run between nodes; reveals and values are made as the messages go.
import { getMany, readAsync, Recorder, type AsyncNodeSource, type MapAt, type NodeSource } from "../core/map/index.js";
import type { StreamMemory } from "../database/index.js";
import type { Pace } from "./pace.js";
import { RevealMessage, type InlineValueInit, type NodeRevealInit } from "./reveal-message.js";

export interface KeysStreamOptions {
  readonly nodes: NodeSource;
  readonly map: MapAt;
  /** Strictly ascending. */
  readonly keys: readonly Uint8Array[];
  readonly pace: Pace;
  readonly memory: StreamMemory | undefined;
  /** The value to send along with a cell; undefined: none. */
  readonly loadValue?: ((cell: Uint8Array) => Promise<Uint8Array | undefined>) | undefined;
}

/** At least one message. All reveals come before the first value. */
export async function* keysStream(
  options: KeysStreamOptions,
): AsyncGenerator<{ nodes: NodeRevealInit[]; values: InlineValueInit[] }, void, undefined> {
  const { nodes, map, keys, pace, memory, loadValue } = options;
  const recorder = new Recorder();
  const cells: Uint8Array[] = [];
  const onAnswer = ({ cell }: { cell: Uint8Array | undefined }): void => {
    if (cell !== undefined) cells.push(cell);
  };
  await readAsync(getMany(map, keys, onAnswer), pacedNodes(nodes, pace), recorder);
  const message = new RevealMessage(memory);
  for (const reveal of recorder.reveals()) {
    if (pace.isDue) await pace.rest();
    message.addReveal(reveal);
    if (message.isFull) yield message.take();
  }
  for (const [entry, cell] of loadValue === undefined ? [] : cells.entries()) {
    if (pace.isDue) await pace.rest();
    const value = await loadValue?.(cell);
    if (value === undefined) continue;
    if (message.isTooFullFor(value.length)) yield message.take();
    message.addValue(entry, value);
  }
  if (!message.isEmpty) yield message.take();
}

/** Nodes at the pace of a call. */
function pacedNodes(nodes: NodeSource, pace: Pace): AsyncNodeSource {
  return {
    async loadMany(digests, kind) {
      if (pace.isDue) await pace.rest();
      return digests.map((digest) => nodes.load(digest, kind));
    },
  };
}
