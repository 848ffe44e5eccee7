// Goal: a client accepts checkpoints of one history under one key and nothing else, in whatever order they arrive, and
// says which lie it met.
// Method: a model log that can sign several histories; one checkpoint after the other, then calls that overlap.
import test from "node:test";
import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ReceiptSchema, type Receipt } from "#gen/neleus/v1/proof_pb.js";
import { Connection } from "#src/client/connection.js";
import { nativeSignatureCheck } from "#src/client/native-signature.js";
import { FollowedLog } from "#src/client/log.js";
import type { TrustState } from "#src/client/options.js";
import { LogKey, LogTrust } from "#src/client/trust/index.js";
import { Forked, InvalidArgument, NewEpoch, RolledBack, Unavailable, VerificationFailed } from "#src/core/errors.js";
import { checkpointTransport, ModelLog, ORIGIN, statedSize } from "../support/model-log.js";

function trustIn(log: ModelLog, checkpoint?: string): LogTrust {
  return new LogTrust(LogKey.parse(log.verifierKey, nativeSignatureCheck), {
    checkpoints: checkpoint === undefined ? [] : [checkpoint],
  });
}

function receipt(log: ModelLog, size = log.leaves.length): Receipt {
  return create(ReceiptSchema, { logIndex: BigInt(size - 1), checkpoint: log.note(size) });
}

const FRESHNESS = { clock: Date.now, clockToleranceMs: 0 };

function following(
  log: ModelLog,
  answer: (known: string) => ReturnType<ModelLog["proof"]> = (known) => log.proof({ knownSize: statedSize(known) }),
): { followed: FollowedLog; trust: LogTrust; asked: string[] } {
  const transport = checkpointTransport(answer);
  const trust = trustIn(log);
  return {
    followed: new FollowedLog({ connection: new Connection(transport, "default"), trust, freshness: FRESHNESS }),
    trust,
    asked: transport.asked,
  };
}

test("a log that grows is accepted, and the newest checkpoint is what to remember", () => {
  const states: TrustState[] = [];
  const log = new ModelLog().append(1);
  const trust = new LogTrust(LogKey.parse(log.verifierKey, nativeSignatureCheck), {
    onTrustChanged: (state) => states.push(state),
  });
  assert.equal(trust.origin, ORIGIN);
  assert.equal(trust.state.checkpoint, undefined);
  for (const count of [0, 1, 1, 5, 20]) {
    log.append(count);
    const known = trust.known;
    const seen = trust.extend(known, log.proof({ knownSize: known?.size ?? 0 }));
    assert.equal(seen.size, log.leaves.length);
    assert.equal(trust.state.checkpoint, log.note());
  }
  assert.equal(trust.pendingCheckpoints, 0);
  assert.deepEqual(
    states.map(({ checkpoint }) => statedSize(checkpoint ?? "")),
    [1, 2, 3, 8, 28],
  );
});

test("an earlier run's checkpoint is held against the first answer", () => {
  const log = new ModelLog().append(9);
  const trust = trustIn(log, log.note(5));
  assert.throws(() => trust.extend(trust.known, log.proof({ size: 4 })), RolledBack);
  assert.equal(trust.extend(trust.known, log.proof({ knownSize: 5 })).size, 9);
  assert.throws(() => trustIn(log, new ModelLog({ seed: 2 }).append(5).note()), InvalidArgument);
  assert.throws(() => trustIn(log, "no note"), InvalidArgument);
  assert.throws(() => LogKey.parse("no key"), InvalidArgument);
});

test("what does not extend the known checkpoint names the lie and keeps both notes", () => {
  const log = new ModelLog().append(8);
  const fork = log.fork(6).append(4, 9);
  const fresh = (): LogTrust => trustIn(log, log.note(8));
  assert.throws(
    () => fresh().extend(fresh().known, log.proof({ size: 7 })),
    (error) => {
      assert.ok(error instanceof RolledBack);
      assert.deepEqual(error.evidence, { older: log.note(8), newer: log.note(7) });
      return true;
    },
  );
  const lies = [
    fork.proof({ size: 8 }),
    fork.proof({ knownSize: 8 }),
    log.fork(8).append(2).proof({ knownSize: 7 }),
    { ...log.fork(8).append(2).proof({ knownSize: 8 }), consistency: [] },
  ];
  for (const lie of lies) {
    assert.throws(
      () => fresh().extend(fresh().known, lie),
      (error) => {
        assert.ok(error instanceof Forked, String(error));
        // With the proof, where there was one: it may show others that these are two histories.
        const consistency = lie.consistency.length === 0 ? {} : { consistency: [...lie.consistency] };
        assert.deepEqual(error.evidence, { older: log.note(8), newer: lie.checkpoint, ...consistency });
        return true;
      },
    );
  }
});

test("another key, another database, another epoch", () => {
  const log = new ModelLog().append(3);
  const refused = (other: ModelLog, kind: typeof VerificationFailed | typeof NewEpoch): void => {
    assert.throws(() => trustIn(log).extend(undefined, other.append(3).proof()), kind);
  };
  refused(new ModelLog({ seed: 2 }), VerificationFailed);
  refused(new ModelLog({ origin: "neleus/ffffffffffffffffffffffffffffffff/1" }), VerificationFailed);
  refused(new ModelLog({ origin: "neleus/00112233445566778899aabbccddeeff/2", seed: 2 }), NewEpoch);
  refused(new ModelLog({ origin: "no-origin" }), VerificationFailed);
  const surplus = { ...log.proof(), consistency: [new Uint8Array(32)] };
  assert.throws(() => trustIn(log).extend(undefined, surplus), VerificationFailed);
  assert.throws(() => trustIn(log, log.note()).extend(trustIn(log, log.note()).known, surplus), VerificationFailed);
  const [text = "", signature = ""] = log.note().split("\n\n");
  const repeated = { ...log.proof(), checkpoint: `${text}\n\n${signature}${signature}` };
  assert.throws(() => trustIn(log).extend(undefined, repeated), VerificationFailed);
});

test("receipts wait for their proof, and one answer settles them where it meets them", async () => {
  const log = new ModelLog().append(5);
  const { followed, trust, asked } = following(log);
  await followed.checkpoint();
  log.append(1);
  const first = await followed.beginWrite().receipt(receipt(log), {});
  assert.equal(first.logIndex, 5);
  assert.equal(trust.pendingCheckpoints, 1);
  assert.equal(statedSize(trust.state.checkpoint ?? ""), 5);
  // One request: it carries 5 and is answered at 6, which is the receipt's.
  assert.equal((await followed.checkpoint()).checkpoint.size, 6);
  assert.deepEqual(asked.map(statedSize), [0, 5]);
  assert.equal(trust.pendingCheckpoints, 0);
  for (let written = 0; written < 3; written += 1) await followed.beginWrite().receipt(receipt(log.append(1)), {});
  log.append(2);
  assert.equal((await followed.checkpoint()).checkpoint.size, 11);
  assert.deepEqual(asked.map(statedSize).slice(2), [6, 7, 8, 9]);
  assert.deepEqual(trust.state.checkpoint, log.note(11));
});

test("an answer that lacks a write whose receipt came before the question is a rollback", async () => {
  const log = new ModelLog().append(5);
  const replayed: { size?: number } = {};
  const { followed } = following(log, (known) =>
    log.proof({ knownSize: statedSize(known), size: log.leaves.length, ...replayed }),
  );
  await followed.checkpoint();
  await followed.beginWrite().receipt(receipt(log.append(1)), {});
  // The very answer of before: signed, and consistent with the checkpoint that the request carries.
  replayed.size = 5;
  await assert.rejects(followed.checkpoint(), (error) => {
    assert.ok(error instanceof RolledBack, String(error));
    assert.deepEqual(error.evidence, { older: log.note(6), newer: log.note(5) });
    return true;
  });
});

test("a receipt of a fork is found out at the next occasion, whichever side it is on", async () => {
  for (const receiptFirst of [true, false]) {
    const log = new ModelLog().append(5);
    const fork = log.fork(4).append(4, 9);
    const { followed } = following(log);
    if (receiptFirst) {
      await followed.beginWrite().receipt(receipt(fork), {});
    } else {
      await followed.checkpoint();
      await followed.beginWrite().receipt(receipt(fork), {});
    }
    log.append(5);
    await assert.rejects(followed.checkpoint(), Forked);
    // It stays so: nothing that was seen is forgotten.
    await assert.rejects(followed.checkpoint(), Forked);
  }
});

test("a server that keeps two growing histories apart does not get away with it", async () => {
  // Each known checkpoint is answered from its own history, at sizes that never meet.
  const left = new ModelLog().append(6, 1);
  const right = left.fork(3).append(4, 2);
  const { followed } = following(left, (known) => {
    const isRight = right.leaves.length >= statedSize(known) && right.note(statedSize(known)) === known;
    const history = isRight && statedSize(known) > 3 ? right : left;
    return history.append(2).proof({ knownSize: statedSize(known) });
  });
  await followed.beginWrite().receipt(receipt(left), {});
  await followed.beginWrite().receipt(receipt(right), {});
  await assert.rejects(followed.checkpoint(), (error) => error instanceof Forked || error instanceof Unavailable);
});

test("a log that grows between any two requests is settled all the same", async () => {
  const log = new ModelLog().append(3);
  let calls = 0;
  // It grows after every third answer: two that are asked for together mostly meet.
  const { followed, trust } = following(log, (known) => {
    calls += 1;
    if (calls % 3 === 0) log.append(1);
    return log.proof({ knownSize: statedSize(known) });
  });
  for (let written = 0; written < 40; written += 1) await followed.beginWrite().receipt(receipt(log.append(1)), {});
  await followed.checkpoint();
  assert.equal(trust.open.length, 1);
});

test("answers that overtake each other are no rollback", async () => {
  const log = new ModelLog().append(4);
  const waiting: (() => void)[] = [];
  const transport = checkpointTransport(async (known) => {
    const proof = log.proof({ knownSize: statedSize(known) });
    if (log.leaves.length < 10) log.append(1);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return proof;
  });
  const trust = trustIn(log);
  const followed = new FollowedLog({ connection: new Connection(transport, "default"), trust, freshness: FRESHNESS });
  const sizes: number[] = [];
  const calls = Array.from({ length: 6 }, () =>
    followed.checkpoint().then(({ checkpoint }) => sizes.push(checkpoint.size)),
  );
  let pending = calls.length;
  for (const call of calls) void call.finally(() => (pending -= 1));
  // The newest answer first; whatever is asked for meanwhile is let through at once.
  while (pending > 0) {
    waiting.pop()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(calls);
  assert.deepEqual([...sizes].sort(), [4, 5, 6, 7, 8, 9]);
  assert.equal(trust.open.length, 1);
});

test("receipts say where the write is, under a checkpoint that covers it", async () => {
  const log = new ModelLog().append(5);
  const { followed } = following(log);
  await assert.rejects(followed.beginWrite().receipt(undefined, {}), VerificationFailed);
  const early = create(ReceiptSchema, { logIndex: 5n, checkpoint: log.note() });
  await assert.rejects(followed.beginWrite().receipt(early, {}), VerificationFailed);
  const huge = create(ReceiptSchema, { logIndex: 2n ** 63n, checkpoint: log.note() });
  await assert.rejects(followed.beginWrite().receipt(huge, {}), VerificationFailed);
  const unsigned = create(ReceiptSchema, { logIndex: 4n, checkpoint: new ModelLog({ seed: 3 }).append(5).note() });
  await assert.rejects(followed.beginWrite().receipt(unsigned, {}), VerificationFailed);
});

test("the receipt of an earlier write is no receipt of this one", async () => {
  const log = new ModelLog().append(5);
  const { followed } = following(log);
  await followed.checkpoint();
  const write = followed.beginWrite();
  await assert.rejects(write.receipt(receipt(log, 4), {}), (error) => {
    assert.ok(error instanceof RolledBack, String(error));
    assert.deepEqual(error.evidence, { older: log.note(5), newer: log.note(4) });
    return true;
  });
  // The checkpoint may be of now, and the leaf of before.
  const replayed = create(ReceiptSchema, { logIndex: 3n, checkpoint: log.append(1).note() });
  await assert.rejects(write.receipt(replayed, {}), VerificationFailed);
  // A write that changed nothing appends no leaf; and two that overlap may be answered in any order.
  const first = followed.beginWrite();
  const second = followed.beginWrite();
  const older = receipt(log);
  await second.receipt(receipt(log.append(1)), {});
  assert.equal((await first.receipt(older, {})).logIndex, 5);
  assert.equal((await followed.beginWrite().receipt(receipt(log), {})).logIndex, 6);
});

test("a writer that never reads settles as it goes, and a passing failure does not undo a write", async () => {
  const log = new ModelLog().append(1);
  let isDown = false;
  const { followed, trust, asked } = following(log, (known) => {
    if (isDown) throw new Unavailable("down");
    return log.proof({ knownSize: statedSize(known) });
  });
  for (let written = 0; written < 100; written += 1) await followed.beginWrite().receipt(receipt(log.append(1)), {});
  assert.ok(trust.open.length <= 65, `${trust.open.length} open`);
  assert.ok(asked.length >= 60);
  isDown = true;
  for (let written = 0; written < 40; written += 1) await followed.beginWrite().receipt(receipt(log.append(1)), {});
  await assert.rejects(async () => {
    for (let written = 0; written < 250; written += 1) await followed.beginWrite().receipt(receipt(log.append(1)), {});
  }, Unavailable);
  isDown = false;
  await followed.checkpoint();
  assert.equal(trust.open.length, 1);
});

test("the newest leaf is the last one, under the checkpoint's root, and time does not run backwards", async () => {
  const log = new ModelLog().append(6);
  const older = log.proof({ size: 5 });
  const answers = [
    { ...log.proof(), leaf: older.leaf },
    { ...log.proof(), inclusion: older.inclusion },
    { ...log.proof(), inclusion: [] },
    { ...log.proof(), leaf: new Uint8Array(0) },
  ];
  for (const answer of answers) {
    await assert.rejects(following(log, () => answer).followed.checkpoint(), VerificationFailed);
  }
  const { followed } = following(log);
  assert.equal((await followed.checkpoint()).logTimeMs, 1_005);
  log.append(1, 7, 900);
  await assert.rejects(followed.checkpoint(), VerificationFailed);
});
