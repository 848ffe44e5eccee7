// What witnesses have to say of a log, for a client that requires k of n of them (C2SP tlog-cosignature).
//
// A witness cosigns a checkpoint once it was shown that it extends the last one it cosigned. So where enough of them have
// cosigned what the log that is shown here extends, nobody was shown another history up to there; what came since, the
// next cosignatures show.
import { toHex } from "../../core/bytes.js";
import { IncompleteProof, InvalidArgument, NeleusError, VerificationFailed } from "../../core/errors.js";
import { MAX_WITNESSES } from "../../core/limits.js";
import {
  findCosignature,
  formatWitnessKey,
  parseNote,
  parseWitnessKey,
  verifyConsistency,
  type Checkpoint,
  type WitnessKey,
} from "../../core/log/index.js";
import { publicKeyFault } from "../../core/signature/index.js";
import { verifying } from "../received.js";
import type { SignedCheckpoint } from "../records.js";
import type { LogKey } from "./log-key.js";

/** Which witnesses must have seen a log. */
export interface WitnessPolicy {
  /** Their verifier keys (C2SP signed-note, type 0x04), 1 to 16, no two of one public key. */
  readonly keys: readonly string[];
  /** How many of them must have cosigned; 1 to all. Default: all. */
  readonly required?: number | undefined;
  /** Greatest age of their cosignatures by this machine's clock, in milliseconds. Absent: any. */
  readonly maxAgeMs?: number | undefined;
}

/** What one witness has seen of the log. */
export interface Witnessed {
  /** Text of its key. */
  readonly witness: string;
  /** Leaves of the log that it cosigned. */
  readonly size: number;
  /** When, by its own clock, in milliseconds since 1970. */
  readonly timeMs: number;
}

/** A checkpoint that was cosigned, as it arrives: nothing of it is verified. */
export interface CosignedClaim {
  readonly note: string;
  readonly consistency: readonly Uint8Array[];
}

/** A checkpoint, and the note that it is in. */
type NotedCheckpoint = Checkpoint & { readonly note: string };

/** Of what log, and now. */
interface WitnessedLog {
  readonly key: LogKey;
  /** The newest one, verified. */
  readonly checkpoint: SignedCheckpoint;
  readonly nowMs: number;
  readonly clockToleranceMs: number;
}

export class Witnesses {
  readonly #keys: readonly WitnessKey[];
  readonly #required: number;
  readonly #maxAgeMs: number;

  /** @throws InvalidArgument - `witnesses`: no keys, too many, malformed or repeated ones, a number that cannot be met */
  constructor({ keys, required = keys.length, maxAgeMs = Infinity }: WitnessPolicy) {
    if (keys.length === 0 || keys.length > MAX_WITNESSES || new Set(keys).size !== keys.length) {
      throw refused(`1 to ${MAX_WITNESSES} different keys are wanted`);
    }
    if (!Number.isInteger(required) || required < 1 || required > keys.length) {
      throw refused(`required is 1 to ${keys.length}, not ${required}`);
    }
    if (!(maxAgeMs > 0)) throw refused(`maxAgeMs is above 0, not ${maxAgeMs}`);
    this.#keys = keys.map(parsedKey);
    // A cosignature does not name its witness: under a second name one would count for two.
    if (new Set(this.#keys.map(({ publicKey }) => toHex(publicKey))).size !== keys.length) {
      throw refused("two names have one public key, and would count as two witnesses");
    }
    this.#required = required;
    this.#maxAgeMs = maxAgeMs;
  }

  /** How many of them must have cosigned. */
  get required(): number {
    return this.#required;
  }

  /** Those that count at an instant: not too old. */
  recent(witnessed: readonly Witnessed[], nowMs: number): readonly Witnessed[] {
    return witnessed.filter(({ timeMs }) => timeMs + this.#maxAgeMs >= nowMs);
  }

  /**
   * Until when enough of them are recent enough: milliseconds since 1970, or Infinity.
   * @throws IncompleteProof - too few have cosigned, or too long ago
   */
  requireEnough(witnessed: readonly Witnessed[], nowMs: number): number {
    const recent = this.recent(witnessed, nowMs);
    const times = recent.map(({ timeMs }) => timeMs).sort((a, b) => b - a);
    const last = times[this.#required - 1];
    if (last !== undefined) return last + this.#maxAgeMs;
    const recently = this.#maxAgeMs === Infinity ? "" : ` in the last ${this.#maxAgeMs} ms`;
    throw new IncompleteProof(
      `${recent.length} of the ${this.#required} witnesses that are required have cosigned this log${recently}`,
      {
        hint: "submit the cosignatures of more of them, or require fewer",
        facts: { required: String(this.#required), cosigned: String(recent.length) },
      },
    );
  }

  /**
   * What these witnesses have cosigned of the log, each the largest size.
   * @throws VerificationFailed - what is said to be cosigned is not of this log, or a line of one of them is invalid
   */
  read(claims: readonly CosignedClaim[], log: WitnessedLog): readonly Witnessed[] {
    const found = new Map<string, Witnessed>();
    const parts = openCosigned(claims, log.checkpoint, (note) => log.key.open(note));
    // The largest first: then a line of each witness is verified once, however often a server repeats it.
    for (const { note: evidence, size } of [...parts].sort((a, b) => b.size - a.size)) {
      const note = parseNote(evidence);
      for (const witness of this.#keys) {
        const text = formatWitnessKey(witness);
        if (found.has(text)) continue;
        const cosignature = findCosignature(note, witness);
        if (cosignature === "absent") continue;
        if (cosignature === "invalid") {
          throw new VerificationFailed(`the cosignature of ${witness.name} is invalid`, { evidence });
        }
        const { timeMs } = cosignature;
        // A time to come would be recent for as long as somebody likes.
        if (timeMs > log.nowMs + log.clockToleranceMs) continue;
        found.set(text, { witness: text, size, timeMs });
      }
    }
    return [...found.values()];
  }
}

/**
 * The checkpoints that are said to be cosigned: of the log of a newer one, which goes on from each. `open` reads a note, and
 * verifies of it what the caller has a key for.
 * @throws VerificationFailed - too many, of no leaves, of more than the newer one has, or of another history; or as `open`
 */
export function openCosigned<C extends NotedCheckpoint>(
  claims: readonly CosignedClaim[],
  newest: NotedCheckpoint,
  open: (note: string) => C,
): readonly C[] {
  if (claims.length > MAX_WITNESSES) {
    throw new VerificationFailed(`${claims.length} cosigned checkpoints, and ${MAX_WITNESSES} is the most`);
  }
  return claims.map(({ note, consistency }) => {
    const part = open(note);
    if (part.size === 0 || part.size > newest.size) {
      throw new VerificationFailed(`witnesses cosigned ${part.size} leaves, and the log has ${newest.size}`, {
        evidence: { older: newest.note, newer: note },
      });
    }
    const sizes = { from: part.size, to: newest.size };
    verifying("the consistency of what witnesses cosigned", () =>
      verifyConsistency({ ...sizes, fromRoot: part.root, toRoot: newest.root, proof: consistency }),
    );
    return part;
  });
}

function parsedKey(text: string, index: number): WitnessKey {
  try {
    const key = parseWitnessKey(text);
    const fault = publicKeyFault(key.publicKey);
    if (fault === undefined) return key;
    throw refused(`keys[${index}]: ${fault}`);
  } catch (cause) {
    if (!(cause instanceof NeleusError) || cause instanceof InvalidArgument) throw cause;
    throw new InvalidArgument(`witnesses: keys[${index}]: ${cause.message}`, { field: "witnesses" }, { cause });
  }
}

function refused(why: string): InvalidArgument {
  return new InvalidArgument(`witnesses: ${why}`, { field: "witnesses" });
}
