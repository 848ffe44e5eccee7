// Goal: in a real browser the page of examples/verify-page says of a proof what Node says of it, whatever kind it is of, however it
// is written and handed over; it says so honestly where the proof is wrong, incomplete, unknown or held against nothing; it
// works where WebAssembly is refused; and it opens no connection.
// Method: headless Chromium with the page from a loopback port; proofs of a small database, as JSON and as bytes, chosen by the
// input and by dropping. What `neleus/verify` reports in this process is the oracle.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { toBinary, toJsonString, type DescMessage } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  CommitProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
} from "#gen/neleus/v1/proof_pb.js";
import { verifyProofFile, type Anchors, type Proof } from "#src/client/verify/index.js";
import { toHex } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import { inlinedPage } from "../../examples/verify-page/inline.js";
import { servePage, type ServedPage } from "../../examples/verify-page/serve.js";
import { openFixture } from "../client/support/fixture.js";
import { ModelLog } from "../client/support/model-log.js";
import { patternBytes } from "../database/support/bytes.js";
import { Chromium } from "./support/chromium.js";
import { Tab } from "./support/tab.js";

const SCHEMAS: readonly DescMessage[] = [
  StateProofSchema,
  RangeProofSchema,
  ChunkProofSchema,
  ManifestProofSchema,
  RefProofSchema,
  CommitProofSchema,
];
const STATE_OF_CODE: Readonly<Record<string, string>> = {
  VERIFICATION_FAILED: "failed",
  INCOMPLETE_PROOF: "incomplete",
  FORKED: "forked",
  NEW_EPOCH: "forked",
  UNSUPPORTED: "unknown",
  INVALID_ARGUMENT: "question",
};
const HEADINGS: Readonly<Record<string, RegExp>> = {
  shown: /^✓ Shown: /,
  "not-anchored": /^\? Consistent, but not anchored: /,
  incomplete: /^… Incomplete: /,
  failed: /^✗ Failed: /,
  forked: /^✗ Two histories: /,
  unknown: /^\? Not known to this page: /,
  question: /^! Not checked: /,
};

/** What the page says. */
interface Said {
  readonly state: string;
  readonly verdict: string;
  readonly lists: Readonly<Record<string, readonly string[]>>;
  readonly engine: string;
}

/** What it should say: a state, and the sentences of each list. */
async function expected(bytes: Uint8Array, anchors: Anchors): Promise<Pick<Said, "state" | "lists">> {
  try {
    const { verdict, shown, anchoredTo, notShown } = await verifyProofFile(bytes, anchors);
    const held = anchoredTo.length > 0 ? anchoredTo : ["Nothing."];
    const lists = {
      "What is shown": shown,
      "What of yours it was held against": held,
      "What is not shown": notShown,
    };
    return { state: verdict === "shown" ? "shown" : "not-anchored", lists };
  } catch (error) {
    assert.ok(error instanceof NeleusError);
    return { state: STATE_OF_CODE[error.code] ?? error.code, lists: { Why: [error.message] } };
  }
}

describe("the page that checks proofs", () => {
  let browser: Chromium;
  let page: ServedPage;
  let place: string;
  let verifierKey: string;
  let older: string;
  let proofs: Readonly<Record<string, Proof>>;
  let tab: Tab;

  before(async () => {
    place = await mkdtemp(join(tmpdir(), "neleus-proofs-"));
    ({ proofs, verifierKey, older } = await madeProofs());
    page = await servePage({ port: 0 });
    browser = await Chromium.start();
    tab = await opened(page.url);
  });
  after(async () => {
    await browser.close();
    await page.close();
    await rm(place, { recursive: true, force: true });
  });

  async function opened(url: string): Promise<Tab> {
    const made = await Tab.open(browser, url);
    await made.until(`document.getElementById("result")?.dataset.ready === "true"`);
    return made;
  }

  async function file(name: string, content: Uint8Array | string): Promise<string> {
    const path = join(place, name);
    await writeFile(path, content);
    return path;
  }

  async function said(by: Tab, name: string): Promise<Said> {
    // The verdict names the file, so an older one is not mistaken for it.
    await by.until(
      `!["waiting", "checking"].includes(result.dataset.state) && verdict.textContent.endsWith(${JSON.stringify(`: ${name}`)})`,
    );
    return (await by.evaluate(`({
      state: result.dataset.state,
      verdict: verdict.textContent,
      engine: engine.textContent,
      lists: Object.fromEntries([...details.children].map((part) => [
        part.querySelector("h3").textContent,
        [...part.querySelectorAll("li")].map((item) => item.textContent),
      ])),
    })`)) as Said;
  }

  async function give(to: Tab, anchors: Readonly<Record<string, string>>): Promise<void> {
    for (const name of ["verifierKey", "checkpoint", "root"]) {
      await to.evaluate(
        `document.getElementById(${JSON.stringify(name)}).value = ${JSON.stringify(anchors[name] ?? "")}`,
      );
    }
  }

  /** Hands a file over and holds what the page says against what is said here. */
  async function requireSame(
    by: Tab,
    given: {
      readonly name: string;
      readonly content: Uint8Array | string;
      readonly anchors: Readonly<Record<string, string>>;
    },
  ): Promise<Said> {
    const { name, content, anchors } = given;
    await give(by, anchors);
    await by.chooseFiles("#file", [await file(name, content)]);
    const answer = await said(by, name);
    const wanted = await expected(typeof content === "string" ? Buffer.from(content) : content, anchors);
    assert.equal(answer.state, wanted.state, `${name}: ${JSON.stringify(answer.lists)}`);
    assert.match(answer.verdict, HEADINGS[wanted.state]!);
    for (const [title, lines] of Object.entries(wanted.lists)) assert.deepEqual(answer.lists[title], lines, name);
    return answer;
  }

  const schemaOf = (proof: Proof): DescMessage => SCHEMAS.find(({ typeName }) => typeName === proof.$typeName)!;

  async function requireAllKinds(by: Tab, engine: RegExp): Promise<void> {
    let count = 0;
    for (const [kind, proof] of Object.entries(proofs)) {
      const schema = schemaOf(proof);
      const forms = { json: toJsonString(schema, proof), bin: toBinary(schema, proof) };
      for (const [ending, content] of Object.entries(forms)) {
        for (const anchors of [{}, { verifierKey }]) {
          count += 1;
          const name = `${count}-${kind}.${ending}`;
          const answer = await requireSame(by, { name, content, anchors });
          assert.match(answer.engine, engine);
          assert.equal(answer.state, "verifierKey" in anchors ? "shown" : "not-anchored");
        }
      }
    }
    assert.ok(count >= 28);
  }

  it("says of every kind of proof what Node says, with WebAssembly", () => requireAllKinds(tab, /WebAssembly/));

  it("says the same where the page's policy refuses WebAssembly", async () => {
    const strict = await servePage({ port: 0, policy: "script-src 'self'" });
    try {
      await requireAllKinds(await opened(strict.url), /JavaScript alone/);
    } finally {
      await strict.close();
    }
  });

  it("is one file as well, which opens from a disk", async () => {
    const html = await file("verify.html", await inlinedPage());
    const opening = await opened(pathToFileURL(html).href);
    await requireAllKinds(opening, /WebAssembly/);
    assert.deepEqual(opening.requests, [pathToFileURL(html).href]);
    assert.deepEqual(opening.complaints, []);
  });

  it("holds a proof against a checkpoint and a root as well", async () => {
    const { state } = proofs;
    assert.ok(state?.$typeName === "neleus.v1.StateProof");
    const content = toJsonString(StateProofSchema, state);
    const { checkpoint } = state.chain!.log!;
    const root = toHex(state.root);
    const same = await requireSame(tab, { name: "same.json", content, anchors: { checkpoint } });
    assert.equal(same.state, "shown");
    const both = await requireSame(tab, {
      name: "both.json",
      content,
      anchors: { verifierKey, checkpoint: older, root },
    });
    assert.equal(both.lists["What of yours it was held against"]?.length, 3);
    const onlyOlder = await requireSame(tab, { name: "older.json", content, anchors: { checkpoint: older } });
    assert.equal(onlyOlder.state, "not-anchored");
    // The last line feed of a note is lost in pasting.
    const pasted = { verifierKey, checkpoint: older.trimEnd() };
    await give(tab, pasted);
    await tab.chooseFiles("#file", [await file("pasted.json", content)]);
    assert.equal((await said(tab, "pasted.json")).state, "shown");
  });

  it("refuses what is wrong, and says how", async () => {
    const { state, range } = proofs;
    assert.ok(state?.$typeName === "neleus.v1.StateProof" && range?.$typeName === "neleus.v1.RangeProof");
    const json = (proof: Proof): string => toJsonString(schemaOf(proof), proof);
    const otherValue = json({ ...state, value: Buffer.from("other") });
    const flipped = toBinary(StateProofSchema, state);
    // Within the root, which is the second field.
    flipped[40]! ^= 1;
    const { origin } = new ModelLog();
    const nextKey = new ModelLog({ origin: verifierKey.replace(/\/1\+.*/s, "/2") }).verifierKey;
    const cases: [name: string, state: string, content: Uint8Array | string, anchors: Record<string, string>][] = [
      ["value.json", "failed", otherValue, { verifierKey }],
      ["flipped.bin", "failed", flipped, { verifierKey }],
      ["absent.json", "failed", json({ ...state, present: false, value: undefined as never }), { verifierKey }],
      ["short.json", "incomplete", json({ ...range, nodes: range.nodes.slice(0, -1) }), { verifierKey }],
      ["key.json", "failed", json(state), { verifierKey: new ModelLog({ origin }).verifierKey }],
      ["epoch.json", "forked", json(state), { verifierKey: nextKey }],
      ["root.json", "failed", json(state), { root: "00".repeat(32) }],
      ["type.json", "unknown", '{"type":"neleus.state-proof.v9"}', {}],
      ["text.txt", "failed", "<img src=x onerror=alert(1)>", {}],
      ["empty", "failed", "", {}],
      ["noise.bin", "failed", patternBytes(5_000), {}],
    ];
    for (const [name, wanted, content, anchors] of cases) {
      const answer = await requireSame(tab, { name, content, anchors });
      assert.equal(answer.state, wanted, name);
      assert.equal(answer.lists["What is shown"], undefined);
    }
  });

  it("shows what a proof holds as text, never as markup", async () => {
    const { markup } = proofs;
    assert.ok(markup !== undefined);
    const content = toJsonString(schemaOf(markup), markup);
    await requireSame(tab, { name: "<b>markup<b>.json", content, anchors: { verifierKey } });
    assert.equal(await tab.evaluate(`details.querySelector("pre").textContent`), "<img src=x onerror=alert(1)>");
    assert.equal(await tab.evaluate(`document.querySelectorAll("img, b").length`), 0);
  });

  it("asks again for an anchor that is none, and leads there", async () => {
    const { state } = proofs;
    const content = toJsonString(StateProofSchema, state as never);
    for (const [name, value] of Object.entries({ verifierKey: "abc", checkpoint: "nonsense", root: "xyz" })) {
      const answer = await requireSame(tab, { name: `bad-${name}`, content, anchors: { [name]: value } }).catch(
        async (error: unknown) => {
          // A checkpoint is completed by its last line feed before it is read.
          if (name !== "checkpoint") throw error;
          return said(tab, `bad-${name}`);
        },
      );
      assert.equal(answer.state, "question");
      assert.equal(await tab.evaluate(`document.activeElement.id`), name);
      assert.equal(await tab.evaluate(`document.activeElement.getAttribute("aria-invalid")`), "true");
      assert.deepEqual([await tab.evaluate(`problem.textContent`)], answer.lists["Why"]);
    }
    await requireSame(tab, { name: "good-again", content, anchors: { verifierKey } });
    assert.equal(await tab.evaluate(`document.querySelectorAll('[aria-invalid="true"]').length`), 0);
  });

  it("takes a file that is dropped, anywhere", async () => {
    const { state, range } = proofs;
    await give(tab, { verifierKey });
    const onField = await file("dropped.json", toJsonString(StateProofSchema, state as never));
    await tab.evaluate(`window.scrollTo(0, 0)`);
    await tab.dropFile(onField, { x: 300, y: 200 });
    assert.equal((await said(tab, "dropped.json")).state, "shown");
    const beside = await file("beside.bin", toBinary(RangeProofSchema, range as never));
    await tab.dropFile(beside, { x: 5, y: 5 });
    assert.equal((await said(tab, "beside.bin")).state, "shown");
    assert.equal(await tab.evaluate(`drop.classList.contains("over")`), false);
    assert.equal(await tab.evaluate(`location.href`), page.url);
  });

  it("works by keyboard alone, and tells those who do not see it", async () => {
    const content = toJsonString(StateProofSchema, proofs["state"] as never);
    await give(tab, {});
    await tab.chooseFiles("#file", [await file("keyboard.json", content)]);
    assert.equal((await said(tab, "keyboard.json")).state, "not-anchored");
    await tab.evaluate(`document.getElementById("file").focus()`);
    await tab.press("Tab", { keyCode: 9 });
    assert.equal(await tab.evaluate(`document.activeElement.id`), "verifierKey");
    await tab.type(verifierKey);
    await tab.press("Enter", { keyCode: 13, text: "\r" });
    await tab.until(`result.dataset.state === "shown"`);
    const unnamed = `[...document.querySelectorAll("input, textarea")].filter((field) => field.labels.length === 0).length`;
    assert.equal(await tab.evaluate(unnamed), 0);
    const { nodes } = (await tab.call("Accessibility.getFullAXTree", {})) as {
      readonly nodes: readonly {
        readonly role?: { readonly value: string };
        readonly properties?: readonly AxProperty[];
      }[];
    };
    const status = nodes.find(({ role }) => role?.value === "status");
    const live = status?.properties?.find(({ name }) => name === "live");
    assert.equal(live?.value.value, "polite");
  });

  it("has asked for its own files and nothing else, and could not ask for more", async () => {
    const own = ["", "page.css", "page.js", "neleus-verify.js"].map((name) => page.url + name);
    assert.deepEqual([...new Set(tab.requests)].sort(), own.sort());
    assert.deepEqual(tab.complaints, []);
    const refused = await tab.evaluate(`fetch(location.href).then(() => "sent", () => "refused")`);
    assert.equal(refused, "refused");
  });
});

interface AxProperty {
  readonly name: string;
  readonly value: { readonly value: unknown };
}

/** Proofs of every kind, of one small database. */
async function madeProofs(): Promise<{
  readonly proofs: Readonly<Record<string, Proof>>;
  readonly verifierKey: string;
  readonly older: string;
}> {
  const fixture = await openFixture("in process");
  try {
    const db = await fixture.client();
    const { verifierKey } = db.trust.state;
    const older = (await db.checkpoint()).checkpoint.note;
    const content = Array.from({ length: 50 }, (_, index) => ({ key: `k/${index}`, value: `v${index}` }));
    await db.state("main").apply([...content, { key: "markup", value: "<img src=x onerror=alert(1)>" }]);
    const document = await db.putDocument(patternBytes(30_000), {
      source: "a document",
      head: "main",
      chunking: { sizeBytes: 9_000 },
    });
    const { commit: first } = await db.commit("main", { author: "a", message: "first" });
    const { commit } = await db.commit("main", { author: "a", message: "m" });
    await db.tags.create("v1", commit.hash);
    const { hash } = document;
    // Made for one who had seen `older`, so that they extend it.
    const again = await fixture.client({ verifierKey, checkpoint: older });
    const proofs = {
      state: await again.proofs.state({ head: "main" }, "k/7"),
      staged: await db.proofs.state({ staged: "main" }, "k/8"),
      absent: await db.proofs.state({ tag: "v1" }, "k/none"),
      markup: await db.proofs.state({ head: "main" }, "markup"),
      range: await db.proofs.range({ head: "main" }, { prefix: "k/1" }),
      chunk: await db.proofs.chunk({ manifest: hash, index: 2, place: { head: "main" } }),
      manifest: await db.proofs.manifest(hash, { head: "main" }),
      ref: await db.proofs.ref({ head: "main" }),
      noRef: await db.proofs.ref({ tag: "nothing" }),
      commit: await db.proofs.commit({ tag: "v1" }, first.hash),
    };
    return { proofs, verifierKey, older };
  } finally {
    await fixture.close();
  }
}
