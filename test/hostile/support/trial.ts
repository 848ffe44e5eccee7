// One operation of the client against every wrong answer: each is refused with a typed error, or the client comes to the
// very same result, which may only happen where a field carries nothing that the client relies on.
import assert from "node:assert/strict";
import { toJson, type Message } from "@bufbuild/protobuf";
import { openOver } from "#src/client/database.js";
import type { Database } from "#src/client/contract.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Transport } from "#src/client/transport.js";
import { NeleusError, type ErrorCode } from "#src/core/errors.js";
import { toHex } from "#src/core/bytes.js";
import { NATIVE } from "../../client/support/fixture.js";
import { byteMutants, fieldMutants, streamMutants, type Thoroughness } from "./mutations.js";
import { recorder, replay, type RecordedCall } from "./replay.js";

/** What a client may say of an answer that is wrong. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  "VERIFICATION_FAILED",
  "INCOMPLETE_PROOF",
  "FORKED",
  "ROLLED_BACK",
  "NEW_EPOCH",
  "UNSUPPORTED",
  "LIMIT_EXCEEDED",
]);

export interface Trial {
  readonly options: DatabaseOptions;
  /** What is done, and what comes of it: everything that a caller could rely on, and nothing else. */
  readonly run: (db: Database) => Promise<unknown>;
  /** Number of the call whose answer is mutated, from 0; the first is the client's own GetCapabilities. */
  readonly call: number;
  /**
   * Fields that carry nothing, as `0.position.root`: number of the message, then names. A mutant of these alone may be
   * accepted, with the same result.
   */
  readonly harmless: RegExp;
  /** True where the operation leaves the client as it was: then one client serves all mutants, which is quicker. */
  readonly isStateless: boolean;
  readonly thoroughness: Thoroughness;
}

export interface TrialResult {
  readonly refused: number;
  /** Accepted with the same result. */
  readonly same: number;
}

/** The result as text, so that results can be compared. */
export function asText(result: unknown): string {
  return JSON.stringify(result, (_, value: unknown) => {
    if (value instanceof Uint8Array) return toHex(value);
    return typeof value === "bigint" ? String(value) : value;
  });
}

/** Records the operation once over an honest transport, then runs it against every mutant of one answer. */
export async function tryMutants(honest: Transport, trial: Trial): Promise<TrialResult> {
  const { transport, recording } = recorder(honest);
  const db = await openOver(transport, trial.options, NATIVE);
  const truth = asText(await trial.run(db));
  const { calls } = recording();
  const target = calls[trial.call];
  assert.ok(target !== undefined && target.answers.length > 0, "the operation makes the call");
  const attempt = await attempts(calls, trial);
  assert.equal(asText(await attempt(calls)), truth, "the recording replays");
  let refused = 0;
  let same = 0;
  for (const mutant of mutantsOf(target, trial)) {
    const changed = calls.with(trial.call, { method: target.method, answers: mutant.answers as Message[] });
    const label: string = `${target.method.name} ${mutant.path} ${mutant.what}`;
    try {
      const result = asText(await attempt(changed));
      assert.equal(result, truth, `${label}: accepted, with another result`);
      for (const path of changedPaths(target, mutant.answers)) {
        assert.match(path, trial.harmless, `${label}: accepted, though ${path} matters`);
      }
      same += 1;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.ok(error instanceof NeleusError, `${label}: ${error instanceof Error ? error.stack : String(error)}`);
      assert.ok(REFUSALS.has(error.code), `${label}: ${error.code} ${error.message}`);
      refused += 1;
    }
  }
  assert.ok(refused > 0);
  return { refused, same };
}

/** The fields in which two lists of answers differ, messages by their number first: `0.snapshot.commit`. */
function changedPaths(target: RecordedCall, answers: readonly (Message | undefined)[]): string[] {
  const schema = target.method.output;
  const asJson = (messages: readonly (Message | undefined)[]): unknown =>
    messages.map((message) => (message === undefined ? undefined : toJson(schema, message)));
  return [...differences(asJson(target.answers), asJson(answers), "")];
}

function* differences(a: unknown, b: unknown, path: string): Generator<string> {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    if (a !== b) yield path;
    return;
  }
  const before = a as Record<string, unknown>;
  const after = b as Record<string, unknown>;
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    yield* differences(before[name], after[name], path === "" ? name : `${path}.${name}`);
  }
}

/** Runs the operation over a replay: with a client of its own, or with one for all. */
async function attempts(
  calls: readonly RecordedCall[],
  trial: Trial,
): Promise<(answers: readonly RecordedCall[]) => Promise<unknown>> {
  if (!trial.isStateless) return async (answers) => trial.run(await openOver(replay(answers), trial.options, NATIVE));
  let current = replay(calls);
  const switching: Transport = {
    address: "replay",
    unary: (method, request) => current.unary(method, request),
    serverStream: (method, request) => current.serverStream(method, request),
    clientStream: (method, requests) => current.clientStream(method, requests),
    close: async () => undefined,
  };
  const db = await openOver(switching, trial.options, NATIVE);
  return async (answers) => {
    // The client's own first call has been made.
    current = replay(answers.slice(1));
    return trial.run(db);
  };
}

function* mutantsOf(
  { method, answers }: RecordedCall,
  trial: Trial,
): Generator<{ path: string; what: string; answers: readonly (Message | undefined)[] }, void, undefined> {
  if (method.methodKind === "server_streaming") {
    for (const { what, messages } of streamMutants(answers)) yield { path: "stream", what, answers: messages };
  }
  const positions = new Set([0, 1, answers.length - 1].filter((index) => index >= 0 && index < answers.length));
  for (const index of positions) {
    const message = answers[index]!;
    const { thoroughness } = trial;
    for (const mutate of [fieldMutants, byteMutants]) {
      const mutants = mutate(method.output, message, thoroughness);
      for (const { path, what, message: wrong } of mutants)
        yield { path, what, answers: answers.with(index, wrong as Message) };
    }
  }
}
