// Joins entries, which are proved first, with their values, which follow them in the same stream.
//
// Values come ascending by ordinal among the present entries, small ones only. An entry leaves the queue, in order, once
// its value has come and hashes to what its cell says; an absent key and an entry with a large value leave at once. What
// waits is bounded: a server that shows entries and keeps their values back is refused.
import { toHex } from "../core/bytes.js";
import { IncompleteProof, VerificationFailed } from "../core/errors.js";
import { MAX_BATCH_KEYS, MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import type { InlineValue } from "../../gen/neleus/v1/state_pb.js";
import type { StateEntry, StateValue } from "./contract.js";
import { receivedInteger } from "./received.js";
import { checkedValue } from "./state-entry.js";

/** What is known of one key: absent, present with its value, or present with a value too large to travel along. */
export interface Proved {
  readonly key: Uint8Array;
  readonly entry: StateEntry | undefined;
  readonly value: StateValue | undefined;
  /** What it counts where the answer is limited in bytes. */
  readonly countedBytes?: number | undefined;
}

type Waiting = Omit<Proved, "value">;

/** True where values of this size travel with their entries. */
export function travelsInline(entry: StateEntry): boolean {
  return entry.sizeBytes <= MAX_INLINE_VALUE_BYTES;
}

export class ValueQueue {
  #waiting: Waiting[] = [];
  #first = 0;
  /** Ordinal of the first present entry that waits. */
  #ordinal = 0;

  /** Adds what a witness has shown next. @throws VerificationFailed - too many wait for their values */
  add(waiting: Waiting): void {
    if (this.#waiting.length - this.#first >= MAX_BATCH_KEYS) {
      throw new VerificationFailed(`the answer shows over ${MAX_BATCH_KEYS} entries before their values`);
    }
    this.#waiting.push(waiting);
  }

  /**
   * Takes the next values and hands out what is settled.
   * @throws VerificationFailed - a value of no entry that waits, of another length, or of another hash than its cell says
   * @throws IncompleteProof - the value of an entry was left out
   */
  *accept(values: readonly InlineValue[]): Generator<Proved, void, undefined> {
    for (const { entry: ordinal, data } of values) {
      yield* this.#settled();
      const next = this.#waiting[this.#first];
      const wanted = receivedInteger(ordinal, "the ordinal of a value");
      if (next?.entry === undefined || wanted < this.#ordinal) {
        throw new VerificationFailed(`the answer holds a value for entry ${wanted}, which does not wait for one`);
      }
      if (wanted > this.#ordinal) throw leftOut(next.entry);
      this.#take();
      yield { ...next, value: checkedValue(next.entry, data) };
    }
    yield* this.#settled();
  }

  /** @throws IncompleteProof - the stream ended before the value of an entry had come */
  finish(): void {
    const next = this.#waiting[this.#first];
    if (next?.entry !== undefined) throw leftOut(next.entry);
  }

  *#settled(): Generator<Proved, void, undefined> {
    for (;;) {
      const next = this.#waiting[this.#first];
      if (next === undefined || (next.entry !== undefined && travelsInline(next.entry))) return;
      this.#take();
      yield { ...next, value: undefined };
    }
  }

  #take(): void {
    if (this.#waiting[this.#first]?.entry !== undefined) this.#ordinal += 1;
    this.#first += 1;
    if (this.#first < this.#waiting.length) return;
    this.#waiting = [];
    this.#first = 0;
  }
}

function leftOut(entry: StateEntry): IncompleteProof {
  return new IncompleteProof(`the answer leaves out the value of key ${toHex(entry.key)}`, {
    facts: { key: toHex(entry.key), hash: toHex(entry.hash) },
  });
}
