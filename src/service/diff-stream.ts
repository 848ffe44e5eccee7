// The witnesses of a difference between two states, cut into messages as the comparison goes.
//
// The comparison runs no further than the reader has taken: memory is a node a level of either map and one message. What
// a message shows needs no later one, so its reader is never left with nodes that it cannot check yet.
import { Pruned } from "../core/errors.js";
import { proveDiffSync, type NodeSource } from "../core/map/index.js";
import type { ReadPoint, StreamMemory } from "../database/index.js";
import type { Pace } from "./pace.js";
import { RevealMessage, type InlineValueInit, type NodeRevealInit } from "./reveal-message.js";

export interface DiffStreamOptions {
  readonly before: ReadPoint;
  readonly after: ReadPoint;
  readonly pace: Pace;
  readonly memory: StreamMemory | undefined;
  /** The value to send along with a cell of the state after; undefined: none. */
  readonly loadValue?: ((cell: Uint8Array) => Promise<Uint8Array | undefined>) | undefined;
}

export interface DiffContent {
  readonly before: NodeRevealInit[];
  readonly after: NodeRevealInit[];
  readonly values: InlineValueInit[];
}

/** No message where the maps are equal. */
export async function* diffStream(options: DiffStreamOptions): AsyncGenerator<DiffContent, void, undefined> {
  const { pace, memory, loadValue } = options;
  const pair = { before: options.before.state, after: options.after.state };
  const message = new RevealMessage(memory);
  let ordinal = 0;
  for (const { changes, before, after } of proveDiffSync(nodesOfBoth(options), pair)) {
    if (pace.isDue) await pace.rest();
    for (const reveal of before) message.addReveal(reveal, 0);
    for (const reveal of after) message.addReveal(reveal, 1);
    for (const { after: cell } of loadValue === undefined ? [] : changes) {
      if (cell === undefined) continue;
      if (pace.isDue) await pace.rest();
      const value = await loadValue?.(cell);
      if (value !== undefined) {
        if (message.isTooFullFor(value.length)) yield taken(message);
        message.addValue(ordinal, value);
      }
      ordinal += 1;
    }
    if (message.isFull) yield taken(message);
  }
  if (!message.isEmpty) yield taken(message);
}

function taken(message: RevealMessage): DiffContent {
  const { nodes, nodesOfSecond, values } = message.take();
  return { before: nodes, after: nodesOfSecond, values };
}

/** A node that neither has is damage only where neither state was freed meanwhile. */
function nodesOfBoth({ before, after }: DiffStreamOptions): NodeSource {
  return {
    load(digest, kind) {
      try {
        return before.nodesInPassing.load(digest, kind);
      } catch (error) {
        if (error instanceof Pruned) throw error;
        return after.nodesInPassing.load(digest, kind);
      }
    },
  };
}
