// What a refusal leaves behind, in the one form that can be kept and shown: neleus.evidence.v1 (FORMATS §10).
//
// An error holds what its check had at hand: notes, a proof of consistency, the bytes or message that were wrong. Here that becomes
// a list of exhibits, in JSON, which `neleus verify` and `verifyEvidence` read. Nobody has to believe the file: what it shows are
// signatures, and the rest is the word of who kept it. It holds no token and no request that writes; what an answer held it holds.
import { Forked, NewEpoch, RolledBack, VerificationFailed, type ErrorCode } from "../core/errors.js";
import { toBase64 } from "../core/log/base64.js";
import { parseCheckpointUnverified } from "../core/log/index.js";
import type { RecentAnswers } from "./recent-answers.js";
import { EVIDENCE_TYPE } from "./verify/evidence-file.js";

/** Longest text of one odd value; what is larger is named by its size. */
const MAX_VALUE_CHARACTERS = 1 << 20;
/** Entries of an object or list that are looked at, and how deep: what a check had at hand is small, what a server sent may not be. */
const MAX_VALUE_ENTRIES = 4_096;
const MAX_VALUE_DEPTH = 16;

/** One thing that was received or seen. JSON: bytes in base 64. */
export type Exhibit =
  /** A signed note; `seen`: by this client before, `answered`: now, `previous`: named by the first leaf of an epoch. */
  | { readonly kind: "checkpoint"; readonly role: "seen" | "answered" | "previous"; readonly note: string }
  /** The proof that was to lead from the `seen` checkpoint to the `answered` one. */
  | { readonly kind: "consistency"; readonly hashes: readonly string[] }
  /** The verifier key that the log has now, by its own word. */
  | { readonly kind: "key"; readonly key: string }
  /** An answer among the last that came before the refusal, and what had asked for it. Absent bytes: too large to keep. */
  | {
      readonly kind: "answer";
      readonly method: string;
      readonly message: string;
      readonly size: number;
      readonly bytes?: string;
      readonly request?: string;
    }
  /** What the check refused: bytes, or a value as JSON in which `{"base64": …}` stands for bytes. */
  | { readonly kind: "bytes"; readonly bytes: string }
  | { readonly kind: "value"; readonly value: unknown };

/** The form of the file. */
export interface Evidence {
  readonly type: typeof EVIDENCE_TYPE;
  readonly refused: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly facts: Readonly<Record<string, string>>;
    /** Milliseconds since 1970, by the clock of who kept it. */
    readonly time: number;
    /** Where: an address and a database's name, or a directory. */
    readonly place?: string;
  };
  /** The key that the client trusted. */
  readonly verifier_key?: string;
  readonly exhibits: readonly Exhibit[];
}

/** What the error does not know of itself. */
export interface EvidenceContext {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly place?: string | undefined;
  /** The key that was trusted: `db.trust.state.verifierKey`. */
  readonly verifierKey?: string | undefined;
  /** What the client was opened with as its option `answers`. */
  readonly answers?: RecentAnswers | undefined;
}

/**
 * The evidence of a refusal, to be kept as JSON; undefined for errors that refuse nothing (not found, unavailable, …). `verifyEvidence`
 * says what it shows to others.
 */
export function evidenceOf(error: unknown, context: EvidenceContext): Evidence | undefined {
  if (!isRefusal(error)) return undefined;
  const { code, message, facts, evidence } = error;
  const { timeMs, place, answers } = context;
  const found = exhibitsOf(error instanceof VerificationFailed ? "answer" : "history", evidence);
  const verifierKey = textIn(evidence, "trustedKey") ?? context.verifierKey;
  const received = (answers?.list() ?? []).map(({ method, messageType, bytes, sizeBytes, request }): Exhibit => ({
    kind: "answer",
    method,
    message: messageType,
    size: sizeBytes,
    ...(bytes === undefined ? {} : { bytes: toBase64(bytes) }),
    ...(request === undefined ? {} : { request: toBase64(request) }),
  }));
  return {
    type: EVIDENCE_TYPE,
    refused: { code, message, facts, time: timeMs, ...(place === undefined ? {} : { place }) },
    ...(verifierKey === undefined ? {} : { verifier_key: verifierKey }),
    exhibits: [...found, ...received],
  };
}

function isRefusal(error: unknown): error is VerificationFailed | RolledBack | Forked | NewEpoch {
  return (
    error instanceof VerificationFailed ||
    error instanceof RolledBack ||
    error instanceof Forked ||
    error instanceof NewEpoch
  );
}

function exhibitsOf(kind: "answer" | "history", evidence: unknown): Exhibit[] {
  if (evidence === undefined) return [];
  if (typeof evidence === "string" && isCheckpoint(evidence)) return [answered(evidence)];
  if (evidence instanceof Uint8Array) return [{ kind: "bytes", bytes: toBase64(evidence) }];
  if (kind === "answer") return [{ kind: "value", value: boundedValue(evidence) }];
  return historyExhibits(evidence);
}

/** Of `RolledBack` and `Forked`: `older`, `newer`, `consistency`; of `NewEpoch`: `NewEpochEvidence`. */
function historyExhibits(evidence: unknown): Exhibit[] {
  const exhibits: Exhibit[] = [];
  const seen = textIn(evidence, "older") ?? textIn(evidence, "seen") ?? textIn(evidence, "shown");
  const newer = textIn(evidence, "newer") ?? textIn(evidence, "checkpoint") ?? textIn(evidence, "own");
  const previous = textIn(evidence, "previous");
  const key = textIn(evidence, "verifierKey");
  const hashes = (evidence as { readonly consistency?: unknown }).consistency;
  if (seen !== undefined) exhibits.push({ kind: "checkpoint", role: "seen", note: seen });
  if (newer !== undefined) exhibits.push(answered(newer));
  if (Array.isArray(hashes)) {
    exhibits.push({ kind: "consistency", hashes: hashes.map((hash) => toBase64(hash as Uint8Array)) });
  }
  if (previous !== undefined) exhibits.push({ kind: "checkpoint", role: "previous", note: previous });
  if (key !== undefined) exhibits.push({ kind: "key", key });
  return exhibits;
}

function answered(note: string): Exhibit {
  return { kind: "checkpoint", role: "answered", note };
}

function textIn(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const member = (value as Readonly<Record<string, unknown>>)[name];
  return typeof member === "string" ? member : undefined;
}

function isCheckpoint(text: string): boolean {
  try {
    parseCheckpointUnverified(text);
    return true;
  } catch {
    return false;
  }
}

/** A value as JSON; what is not small enough is named by its size. */
function boundedValue(value: unknown): unknown {
  const budget = { entries: MAX_VALUE_ENTRIES, characters: MAX_VALUE_CHARACTERS };
  return plainValue(value, budget, 0);
}

function plainValue(value: unknown, budget: { entries: number; characters: number }, depth: number): unknown {
  if (value instanceof Uint8Array) {
    budget.characters -= value.length * 2;
    return budget.characters < 0 ? { left_out_bytes: value.length } : { base64: toBase64(value) };
  }
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") {
    budget.characters -= value.length;
    return budget.characters < 0 ? { left_out_characters: value.length } : value;
  }
  if (typeof value !== "object" || value === null) return typeof value === "function" ? undefined : value;
  if (depth >= MAX_VALUE_DEPTH) return { left_out: "too deep" };
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const items = Array.from(value as ArrayLike<unknown>).slice(0, Math.max(0, budget.entries));
    budget.entries -= items.length;
    return items.map((item) => plainValue(item, budget, depth + 1));
  }
  const members = Object.entries(value).slice(0, Math.max(0, budget.entries));
  budget.entries -= members.length;
  return Object.fromEntries(members.map(([name, member]) => [name, plainValue(member, budget, depth + 1)]));
}
