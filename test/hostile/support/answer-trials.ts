// Each operation of the client once over an honest server, recorded; then again and again over a replay in which one
// message is mutated: every field by reflection, bytes of its encoding, whole messages of streams.
import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import type { Database, StateView } from "#src/client/contract.js";
import type { DatabaseOptions } from "#src/client/options.js";
import type { Receipt } from "#src/client/records.js";
import type { Transport } from "#src/client/transport.js";
import { hashBlob } from "#src/core/blob/index.js";
import { fromUtf8, toHex, utf8 } from "#src/core/bytes.js";
import { cosign, formatNote, formatWitnessKey, parseNote, witnessKey } from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";
import { patternBytes } from "../../database/support/bytes.js";
import { all, openFixture, type Fixture } from "../../client/support/fixture.js";
import { signerOf } from "../../client/support/signers.js";
import type { CommitToVerify } from "#src/client/signing.js";
import type { Thoroughness } from "./mutations.js";
import { withoutTransitions } from "./lying-apply.js";
import { tryMutants, type Trial } from "./trial.js";

const NOTHING = /^$/;
const WITNESS = { name: "witness.example", signer: signerFromSeed(new Uint8Array(32).fill(31)) };
const [ada, bob] = [signerOf(1), signerOf(2)];

/** What callers rely on in a view's entries. */
async function entries(
  items: AsyncIterable<{ key: Uint8Array; hash: Uint8Array; bytes?: Uint8Array }>,
): Promise<unknown> {
  return (await all(items)).map(({ key, hash, bytes }) => [key, hash, bytes]);
}

/** Defines the tests, each of one operation. */
export function defineAnswerTrials(thoroughness: Thoroughness): void {
  describe("mutated answers", () => {
    let fixture: Fixture;
    let options: DatabaseOptions;
    let root: Uint8Array;
    let older: Uint8Array;
    let document: Uint8Array;
    let blob: Uint8Array;
    let commits: string[];
    let cosignedSize: string | undefined;

    before(async () => {
      fixture = await openFixture("in process");
      const db = await fixture.client();
      await db.state("main").put("first", "1");
      // What an earlier run has seen, so that every answer must prove that it extends it.
      options = { ...db.trust.state, checkpoint: (await db.checkpoint()).checkpoint.note, clock: fixture.clock.read };
      const operations = Array.from({ length: 400 }, (_, index) => ({
        key: `key/${index * 7}`,
        value: `value ${index}`,
      }));
      await db.state("main").apply(operations);
      commits = [];
      for (const message of ["one", "two", "three"]) {
        commits.unshift(toHex((await db.commit("main", { author: "a", message })).hash));
      }
      await db.heads.create("other", { commit: commits[0]! });
      await db.heads.create("guarded", { commit: commits[0]! });
      await db.heads.setKeys("guarded", [ada.publicKey, bob.publicKey]);
      await db.commit("guarded", { author: "a", message: "guarded" }, { signer: ada });
      await db.tags.create("v1", commits[0]!);
      await db.tags.create("v1.1", commits[1]!);
      await db.tags.create("w", commits[1]!);
      await db.state("main").put("key/late", "late");
      const stored = await db.putDocument(patternBytes(40_000, 1), {
        source: "s",
        head: "main",
        chunking: { sizeBytes: 3_000 },
      });
      document = stored.hash;
      blob = (await db.putBlob(patternBytes(70_000, 2))).hash;
      await db.putBlob(patternBytes(300_000, 3));
      older = (await db.snapshot("main")).staged.stateRoot;
      await db.state("main").apply([
        { key: "key/14", delete: true },
        { key: "key/1400", value: "changed" },
        { key: "key/15", value: "new" },
        { key: "key/2100", value: "changed too" },
      ]);
      root = (await db.snapshot("main")).staged.stateRoot;
      const signed = cosign(parseNote(await fixture.engine.log.checkpoint()), {
        ...WITNESS,
        seconds: 1_763_800_000,
      });
      const witnessKeys = [formatWitnessKey(witnessKey(WITNESS.name, WITNESS.signer.publicKey))];
      cosignedSize = signed.text.split("\n")[1];
      await db.submitCosignatures({ checkpoint: formatNote(signed), witnessKeys });
      // So that what was cosigned is owed a proof.
      await db.state("main").put("first", "1");
      await db.tags.create("later", commits[2]!);
    });
    after(() => fixture.close());

    type Making = Pick<Trial, "run" | "harmless"> & Partial<Trial> & { wrap?: (inner: Transport) => Transport };
    const trial = (name: string, make: () => Making): void => {
      it(name, async (context) => {
        const { wrap, ...made } = make();
        const honest = fixture.transport();
        const { refused, same } = await tryMutants(wrap?.(honest) ?? honest, {
          options,
          call: 1,
          isStateless: true,
          thoroughness,
          ...made,
        });
        context.diagnostic(`${refused} refused, ${same} the same`);
      });
    };
    const view = (db: Database): StateView => db.at({ root });

    trial("a snapshot", () => ({
      run: async (db) => {
        const { commitHash, stateRoot, ledgerRoot, staged, checkpoint, logTimeMs } = await db.snapshot("main");
        return {
          commitHash,
          stateRoot,
          ledgerRoot,
          staged: staged.stateRoot,
          ledger: staged.ledgerRoot,
          size: checkpoint.size,
          root: checkpoint.root,
          logTimeMs,
        };
      },
      isStateless: false,
      harmless: NOTHING,
    }));

    trial("a key that is present", () => ({
      run: async (db) => (await view(db).get("key/700"))?.bytes,
      harmless: /^0\.position/,
    }));

    trial("a key that is absent", () => ({
      run: async (db) => ({ value: await view(db).get("key/701") }),
      harmless: /^0\.position/,
    }));

    trial("a key before the first", () => ({
      run: async (db) => ({ value: await view(db).get("a") }),
      harmless: /^0\.position/,
    }));

    trial("a key behind the last", () => ({
      run: async (db) => ({ value: await view(db).get("z") }),
      harmless: /^0\.position/,
    }));

    trial("many keys", () => ({
      run: async (db) => {
        const keys = Array.from({ length: 40 }, (_, index) => `key/${index * 5}`);
        return (await all(view(db).getMany(keys))).map(({ key, value }) => [key, value?.bytes]);
      },
      harmless: /^0\.position/,
    }));

    trial("a scan", () => ({ run: (db) => entries(view(db).scan()), harmless: /^0\.header\.position/ }));
    trial("a scan with values", () => ({
      run: (db) => entries(view(db).scan({ prefix: "key/1", values: true })),
      harmless: /^0\.header\.position/,
    }));
    trial("a scan with a limit", () => ({
      run: (db) => entries(view(db).scan({ from: "key/2", limit: 20, values: true })),
      // Any end that cuts off the same entries proves the same.
      harmless: /^0\.header\.(position|next)/,
    }));

    trial("a count", () => ({ run: (db) => view(db).count({ prefix: "key/2" }), harmless: /^0\.position/ }));
    trial("a count of everything", () => ({ run: (db) => view(db).count(), harmless: /^0\.position/ }));
    const changes = async (db: Database, values: boolean): Promise<unknown> =>
      (await all(db.diff({ root: older }, { root }, { values }))).map(({ key, before, after }) => [
        key,
        before?.hash,
        after?.hash,
        after !== undefined && "bytes" in after ? after.bytes : undefined,
      ]);
    trial("a difference", () => ({ run: (db) => changes(db, false), harmless: /^0\.header\.(before|after)/ }));
    trial("a difference with values", () => ({
      run: (db) => changes(db, true),
      harmless: /^0\.header\.(before|after)/,
    }));

    trial("a whole blob", () => ({ run: (db) => db.blob(blob).bytes(), harmless: NOTHING }));
    trial("a part of a blob", () => ({
      run: (db) => db.blob(blob).bytes({ start: 20_000, end: 50_000 }),
      // A claim, which a slice that ends before the last group does not prove (FORMATS §5).
      harmless: /^0\.header\.size$/,
    }));
    trial("a blob that is checked at its end", () => ({
      run: async (db) => toHex(Buffer.concat(await all(db.blob(blob).streamUnverifiedUntilEnd()))),
      harmless: NOTHING,
    }));
    trial("the size of a blob", () => ({ run: (db) => db.blob(blob).stat(), harmless: NOTHING }));

    trial("a commit", () => ({ run: async (db) => (await db.commits.get(commits[1]!)).bytes, harmless: NOTHING }));
    trial("the log of a commit", () => ({
      run: async (db) => (await all(db.commits.log({ commit: commits[0]! }))).map(({ bytes }) => bytes),
      harmless: NOTHING,
    }));
    trial("the log of a head", () => ({
      run: async (db) => (await all(db.commits.log({ head: "main" }, { limit: 2 }))).map(({ bytes }) => bytes),
      isStateless: false,
      harmless: NOTHING,
      call: 2,
    }));

    trial("the list of heads", () => ({ isStateless: false, run: (db) => db.heads.list(), harmless: NOTHING }));
    trial("the list of tags", () => ({ isStateless: false, run: (db) => all(db.tags.list()), harmless: NOTHING }));
    trial("the tags whose names start alike", () => ({
      isStateless: false,
      run: (db) => all(db.tags.list({ prefix: "v1" })),
      harmless: NOTHING,
    }));
    trial("a tag", () => ({
      run: async (db) => {
        const { commit, stateRoot, ledgerRoot } = await db.tag("v1");
        return [commit.hash, stateRoot, ledgerRoot];
      },
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("a proof under a tag", () => ({
      run: async (db) => (await db.proofs.state({ tag: "v1" }, "key/70")).root,
      isStateless: false,
      harmless: /^0\.proof\.value$/,
    }));
    trial("the newest checkpoint", () => ({
      run: async (db) => {
        const { checkpoint, logTimeMs, refsRoot } = await db.checkpoint();
        return { size: checkpoint.size, root: checkpoint.root, logTimeMs, refsRoot };
      },
      isStateless: false,
      // Not asked for here, and not looked at; where it is: test/hostile/witnesses.test.ts.
      harmless: /^0\.cosigned/,
    }));

    trial("a leaf of the log", () => ({
      run: async (db) => (await db.logEntries.get(2)).bytes,
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("leaves of the log", () => ({
      run: async (db) => (await all(db.logEntries.list())).map(({ bytes }) => bytes),
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("some leaves of the log", () => ({
      run: async (db) => (await all(db.logEntries.list({ start: 3, end: 7 }))).map(({ bytes }) => bytes),
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("a manifest", () => ({ run: async (db) => (await db.manifest(document)).bytes, harmless: NOTHING }));
    trial("a list of chunks", () => ({
      run: async (db) => (await all(db.chunks(document))).map(({ index, hash, offset }) => [index, hash, offset]),
      harmless: NOTHING,
    }));
    trial("a page of chunks", () => ({
      run: async (db) =>
        (await all(db.chunks(document, { first: 3, limit: 4 }))).map(({ index, hash }) => [index, hash]),
      harmless: NOTHING,
    }));
    trial("a chunk's bytes", () => ({
      run: async (db) => (await all(db.chunks(document)))[5]?.bytes(),
      harmless: NOTHING,
      call: 2,
    }));

    trial("a proof of a key", () => ({
      run: async (db) => (await db.proofs.state({ head: "main" }, "key/70")).root,
      isStateless: false,
      harmless: /^0\.proof\.value$/,
    }));
    trial("a proof of a range", () => ({
      run: async (db) => (await db.proofs.range({ staged: "main" }, { prefix: "key/3" })).root,
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("a proof of a chunk", () => ({
      run: async (db) => {
        const proof = await db.proofs.chunk({ manifest: document, index: 7, place: { staged: "main" } });
        return [proof.ledgerRoot, proof.manifest, proof.index];
      },
      isStateless: false,
      harmless: /^0\.proof\.slice$/,
    }));

    trial("a proof of a manifest", () => ({
      run: async (db) => {
        const proof = await db.proofs.manifest(document, { staged: "main" });
        return [proof.ledgerRoot, proof.manifest];
      },
      isStateless: false,
      harmless: NOTHING,
    }));
    for (const of of [{ head: "main" }, { tag: "v1" }, { head: "nobody" }]) {
      trial(`a proof of ${JSON.stringify(of)}`, () => ({
        run: async (db) => {
          const { present, chain } = await db.proofs.ref(of);
          return [present, chain?.commit];
        },
        isStateless: false,
        harmless: NOTHING,
      }));
    }

    for (const [of, steps] of [
      [{ head: "main" }, 0],
      [{ head: "main" }, 2],
      [{ tag: "v1" }, 1],
    ] as const) {
      trial(`a proof of a commit ${steps} below ${JSON.stringify(of)}`, () => ({
        run: async (db) => {
          const { path, chain } = await db.proofs.commit(of, commits[steps]!);
          return [path, chain?.commit];
        },
        isStateless: false,
        harmless: NOTHING,
      }));
    }

    trial("a proof with what witnesses cosigned", () => ({
      run: async (db) => {
        const { chain } = await db.proofs.ref({ head: "main" }, { withCosignatures: true });
        return [chain?.commit, chain?.cosigned.every(({ note }) => note.split("\n")[1] === cosignedSize)];
      },
      isStateless: false,
      // Left out, which a server may; and lines of witnesses, which only who names one can judge.
      harmless: /^0\.proof\.chain\.cosigned(\.\d+(\.note)?)?$/,
    }));

    const receipt = ({ checkpoint }: Receipt): unknown => [checkpoint.size, checkpoint.root];
    /** The number of the leaf is the server's word, and a receipt's checkpoint is owed its proof: tried by itself. */
    const WORD = /^0\.receipt\.logIndex$/;
    const writing = async (db: Database): Promise<unknown> => {
      const written = await db.state("main").apply([
        { key: "newer", value: "n" },
        { key: "key/7", delete: true },
        { key: "first", value: "2", condition: { hash: hashBlob(utf8("1")) } },
        { key: "key/701", delete: true, condition: { absent: true } },
      ]);
      return [written.beforeRoot, written.root, written.loggedRoot, receipt(written.receipt)];
    };
    const rewriting = async (db: Database): Promise<unknown> => {
      const result = await writing(db);
      // The engine is as it was, for the next trial.
      await db.state("main").apply([
        { key: "newer", delete: true },
        { key: "key/7", value: "value 1" },
        { key: "first", value: "1" },
      ]);
      return result;
    };
    trial("a write", () => ({ run: rewriting, isStateless: false, harmless: NOTHING }));
    const compared = { wrap: withoutTransitions, run: rewriting, isStateless: false };
    trial("a write whose nodes are too many", () => ({ ...compared, harmless: NOTHING }));
    trial("the comparison after a write", () => ({ ...compared, harmless: /^0\.header\.(before|after)/, call: 2 }));
    trial("what has not changed by a write", () => ({ ...compared, harmless: /^0\.position/, call: 3 }));
    trial("a write that is not checked", () => ({
      run: async (db) => {
        const { root, beforeRoot, receipt: written } = await db.state("main").put("first", "1", { unverified: true });
        return [root.length, beforeRoot.length, receipt(written)];
      },
      isStateless: false,
      // Nothing is asked for, so nothing is looked at; the roots are the server's word.
      harmless: /^0\.(root|beforeRoot|transition|leaf|inclusion|refs|receipt\.logIndex)/,
    }));
    const making = async (db: Database): Promise<unknown> => {
      const made = await db.commit("main", { author: "a", message: "made", meta: { m: "1" }, manifests: [document] });
      return [made.commit, receipt(made.receipt)];
    };
    trial("the head before a commit", () => ({ run: making, isStateless: false, harmless: NOTHING }));
    trial("a commit that is made", () => ({ run: making, isStateless: false, harmless: WORD, call: 2 }));
    trial("the head after a commit", () => ({ run: making, isStateless: false, harmless: NOTHING, call: 3 }));
    trial("that a commit's ledger holds a document", () => ({
      run: making,
      isStateless: false,
      harmless: NOTHING,
      call: 4,
    }));
    const signing = { author: "a", message: "signed", timeMs: 5, meta: { m: "1" } };
    const preparing = async (db: Database): Promise<unknown> => {
      const { bytes, message } = await db.commits.prepare("main", { ...signing, manifests: [document] });
      return [bytes, message];
    };
    trial("a commit that is prepared", () => ({ run: preparing, isStateless: false, harmless: NOTHING }));
    trial("a manifest of a commit that is prepared", () => ({
      run: preparing,
      isStateless: false,
      harmless: NOTHING,
      call: 2,
    }));
    const submitting = async (db: Database): Promise<unknown> => {
      const made = await db.commit("main", signing, { signer: ada });
      return [made.commit, receipt(made.receipt)];
    };
    trial("a signed commit that is made", () => ({ run: submitting, isStateless: false, harmless: WORD, call: 2 }));
    trial("the head after a signed commit", () => ({
      run: submitting,
      isStateless: false,
      harmless: NOTHING,
      call: 3,
    }));
    trial("the keys of a head", () => ({
      run: (db) => db.heads.keys("guarded"),
      isStateless: false,
      harmless: NOTHING,
    }));
    trial("a snapshot with the keys of its head", () => ({
      run: async (db) => {
        let keys: readonly Uint8Array[] | undefined;
        const verify = (commit: CommitToVerify): void => void (keys = commit.headKeys);
        const { commitHash } = await db.snapshot("guarded", { commitVerifier: { wants: "head-keys", verify } });
        return [commitHash, keys];
      },
      isStateless: false,
      harmless: NOTHING,
    }));
    const guarding = async (db: Database): Promise<unknown> =>
      receipt(await db.heads.setKeys("guarded", [bob.publicKey]));
    trial("keys that are set", () => ({ run: guarding, isStateless: false, harmless: WORD }));
    trial("which keys a head has that were set", () => ({
      run: guarding,
      isStateless: false,
      harmless: NOTHING,
      call: 2,
    }));
    trial("a head that is made", () => ({
      run: async (db) => receipt(await db.heads.create("made")),
      isStateless: false,
      harmless: WORD,
    }));
    trial("a head that is made at a commit", () => ({
      run: async (db) => receipt(await db.heads.create("made-at", { commit: commits[0]! })),
      isStateless: false,
      harmless: NOTHING,
      call: 2,
    }));
    const resetting = async (db: Database): Promise<unknown> =>
      receipt(await db.heads.reset("other", { commit: commits[1]! }));
    trial("a head that is reset", () => ({ run: resetting, isStateless: false, harmless: WORD }));
    trial("where a head is that was reset", () => ({ run: resetting, isStateless: false, harmless: NOTHING, call: 2 }));
    const tagging = async (db: Database): Promise<unknown> => receipt(await db.tags.create("made", commits[0]!));
    trial("a tag that is made", () => ({ run: tagging, isStateless: false, harmless: WORD }));
    trial("where a tag is that was made", () => ({
      run: async (db) => receipt(await db.tags.create("made-2", commits[0]!)),
      isStateless: false,
      harmless: NOTHING,
      call: 2,
    }));
    trial("a document that is put", () => ({
      run: async (db) => {
        const chunking = { sizeBytes: 1_000, overlapBytes: 10 };
        const options = { source: "s", title: "t", head: "main", chunking, timeMs: 5, meta: { m: "1" } };
        const stored = await db.putDocument(patternBytes(10_000, 4), options);
        return [stored.manifest.bytes, stored.receipt === undefined ? undefined : receipt(stored.receipt)];
      },
      isStateless: false,
      harmless: WORD,
    }));
    trial("an attestation that is put", () => ({
      run: async (db) => {
        const attested = { head: "main", signer: ada, timeMs: 5 };
        const { hash, receipt: made } = await db.putAttestation({ commit: commits[0]! }, "seen", attested);
        return [hash, made === undefined ? undefined : receipt(made)];
      },
      isStateless: false,
      harmless: WORD,
    }));
    trial("a blob that is put", () => ({ run: (db) => db.putBlob("small"), harmless: NOTHING }));
    trial("a blob that is uploaded", () => ({ run: (db) => db.putBlob(patternBytes(300_000, 5)), harmless: NOTHING }));
    // Nothing of it is proved: what matters is that it is told to be over, or broken off.
    trial("a check", () => ({
      run: async (db) => {
        const events = await all(db.fsck());
        return events.at(-1)?.kind;
      },
      harmless: /./,
    }));
    trial("a collection", () => ({
      run: async (db) => {
        const events = await all(db.collectGarbage({ dryRun: true }));
        return events.at(-1)?.kind;
      },
      harmless: /./,
    }));
    trial("capabilities", () => ({
      run: async (db) => (await db.checkpoint()).checkpoint.size,
      // Nothing of it is proved, and nothing but the key is relied on.
      harmless: /^0\.(version|features|databaseId|origin|limits|nextVerifierKey)/,
      isStateless: false,
      call: 0,
    }));

    it("has looked at what it means to look at", async () => {
      const db = await fixture.client(options);
      assert.equal(fromUtf8((await view(db).get("key/700"))!.bytes), "value 100");
      assert.equal((await db.commits.get(commits[0]!)).message, "three");
      assert.equal((await all(db.chunks(document))).length, 14);
    });
  });
}
