// Cosignatures of witnesses (C2SP tlog-cosignature): taken from whoever collects them, and given to clients that require some.
//
//   meta  cosignatures   dag_cbor([1, [[key of the witness, origin, size, root, seconds ‖ signature], …]])
//
// Of each witness the one of the largest log, of at most MAX_WITNESSES. They are not in the log, and nothing hangs on them
// here: what they are worth a client decides by the keys that it names.
import { equalBytes, readU64be, utf8 } from "../core/bytes.js";
import { decode, encode } from "../core/codec/index.js";
import { InvalidArgument, LimitExceeded, Malformed } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import { MAX_WITNESSES } from "../core/limits.js";
import { findCosignature, formatNote, formatWitnessKey, parseNote, parseWitnessKey } from "../core/log/index.js";
import type { Checkpoint, Cosignature, Note } from "../core/log/index.js";
import { ConditionFailed } from "../store/contract.js";
import type { Condition, RowName, Store, SyncReader } from "../store/contract.js";
import { fromRequest, fromStore } from "./boundary.js";
import { Turns } from "./turns.js";

const ROW: RowName = { space: "meta", key: utf8("cosignatures") };
const VERSION = 1;

/** What one witness has cosigned last. */
export interface StoredCosignature {
  /** Text of its key. */
  readonly witness: string;
  readonly origin: string;
  readonly size: number;
  readonly root: Digest;
  /** Time and signature, as in its line. */
  readonly value: Uint8Array;
}

/**
 * The cosignatures under a checkpoint by these witnesses.
 * @throws InvalidArgument - no key, too many, a malformed one, one of the log's own name, one that has not signed it, or not
 *   validly
 * @throws Unsupported - a key of another type
 */
export async function cosignaturesUnder(
  note: Note,
  keys: readonly string[],
  origin: string,
): Promise<readonly Cosignature[]> {
  if (keys.length === 0 || keys.length > MAX_WITNESSES) {
    throw new InvalidArgument(`witness_keys: 1 to ${MAX_WITNESSES} keys, not ${keys.length}`, {
      field: "witness_keys",
    });
  }
  const found: Cosignature[] = [];
  const turns = new Turns();
  for (const [index, text] of keys.entries()) {
    await turns.giveWay();
    found.push(cosignatureUnder(note, { keys, index, text, origin }));
  }
  return found;
}

function cosignatureUnder(
  note: Note,
  named: { readonly keys: readonly string[]; readonly index: number; readonly text: string; readonly origin: string },
): Cosignature {
  const { keys, index, text, origin } = named;
  const field = `witness_keys[${index}]`;
  if (keys.indexOf(text) !== index) throw new InvalidArgument(`${field}: named before`, { field });
  const witness = fromRequest(field, () => parseWitnessKey(text));
  if (witness.name === origin) throw ownName(field);
  const found = findCosignature(note, witness);
  if (typeof found === "object") return found;
  const what = found === "absent" ? "has not cosigned this checkpoint" : "has no valid signature under this checkpoint";
  throw new InvalidArgument(`${field}: ${witness.name} ${what}`, { field });
}

export class Cosignatures {
  readonly #store: Store;
  readonly #rows: SyncReader;

  constructor(options: { readonly store: Store; readonly rows: SyncReader }) {
    this.#store = options.store;
    this.#rows = options.rows;
  }

  /** @throws Corrupt */
  list(): readonly StoredCosignature[] {
    const row = this.#rows.get(ROW.space, ROW.key);
    return row === undefined ? [] : fromStore('the row "cosignatures"', () => decodeRow(row));
  }

  /**
   * Keeps what is newer than what there is of a witness; where there are too many, those of the largest logs, so that nobody
   * holds a place for good. Durable when it resolves.
   * @throws LimitExceeded - MAX_WITNESSES others have cosigned as much or more
   * @throws ConditionFailed - `sameEpoch` no longer holds: of another epoch none is kept
   */
  async add(
    checkpoint: Checkpoint,
    cosignatures: readonly Cosignature[],
    options: { readonly sameEpoch: Condition },
  ): Promise<void> {
    const { origin, size, root } = checkpoint;
    for (;;) {
      const before = this.#rows.get(ROW.space, ROW.key);
      const kept = new Map(this.list().map((stored) => [stored.witness, stored]));
      for (const { witness, timeMs, signature } of cosignatures) {
        const key = formatWitnessKey(witness);
        const known = kept.get(key);
        const isNewer =
          known?.origin !== origin || size > known.size || (size === known.size && timeMs > timeOf(known));
        if (isNewer) kept.set(key, { witness: key, origin, size, root, value: signature.value });
      }
      // Of an epoch that has ended nobody asks any more.
      const current = [...kept.values()].filter((stored) => stored.origin === origin);
      const stored = current.sort((a, b) => b.size - a.size).slice(0, MAX_WITNESSES);
      const names = new Set(stored.map(({ witness }) => witness));
      if (cosignatures.some(({ witness }) => !names.has(formatWitnessKey(witness)))) throw tooMany();
      const value = encode([
        VERSION,
        stored.map((entry) => [entry.witness, entry.origin, entry.size, entry.root, entry.value]),
      ]);
      if (before !== undefined && equalBytes(before, value)) return;
      try {
        const conditions = [options.sameEpoch, { ...ROW, expected: before ?? "absent" }] as const;
        await this.#store.write({ conditions, puts: [{ ...ROW, value }] });
        return;
      } catch (error) {
        // Another process was first: again, on top of what it wrote.
        if (!(error instanceof ConditionFailed) || error.condition === options.sameEpoch) throw error;
      }
    }
  }
}

/** A checkpoint with what witnesses have put under it: the lines of all that cosigned this very one. */
export function cosignedNote(note: string, cosignatures: readonly StoredCosignature[]): string {
  const { text, signatures } = parseNote(note);
  const lines = cosignatures.map(({ witness, value }) => {
    const { name, keyId } = parseWitnessKey(witness);
    return { name, keyId, value };
  });
  return formatNote({ text, signatures: [...signatures, ...lines] });
}

/** As its line says, in milliseconds since 1970. */
function timeOf({ value }: StoredCosignature): number {
  return readU64be(value) * 1000;
}

function decodeRow(row: Uint8Array): readonly StoredCosignature[] {
  const parts = decode(row);
  if (!Array.isArray(parts) || parts.length !== 2) throw new Malformed("not a list of two");
  const [version, entries] = parts as unknown[];
  if (version !== VERSION || !Array.isArray(entries)) throw new Malformed("unknown version");
  return (entries as unknown[]).map((entry) => {
    if (!Array.isArray(entry)) throw new Malformed("not a list");
    const [witness, origin, size, root, value] = entry as unknown[];
    const isRight = typeof witness === "string" && typeof origin === "string" && typeof size === "number";
    if (!isRight || !(root instanceof Uint8Array) || !(value instanceof Uint8Array)) {
      throw new Malformed("not [key, origin, size, root, signature]");
    }
    return { witness, origin, size, root, value };
  });
}

/** An id has four bytes: one made to be the log's own would have clients take the line for a false signature of the log. */
function ownName(field: string): InvalidArgument {
  return new InvalidArgument(`${field}: has the name of the log itself`, { field });
}

function tooMany(): LimitExceeded {
  return new LimitExceeded(`${MAX_WITNESSES} other witnesses have cosigned this log as far or further`, {
    hint: "hand it in under a later checkpoint",
    facts: { limit: "witnesses", value: String(MAX_WITNESSES) },
  });
}
