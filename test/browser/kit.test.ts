// Goal: the verifier in one file answers in a browser as the conformance kit wants it, with WebAssembly and where the page's policy
// refuses it.
// Method: every case of the kit's topic of proofs, in headless Chromium, through the module that the package ships. Errors are
// told by code and by class name, which minifying must leave alone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { servePage, type ServedPage } from "../../examples/verify-page/serve.js";
import type { Case, Topic } from "../conformance/case.js";
import { Chromium } from "./support/chromium.js";
import { Tab } from "./support/tab.js";

const { cases } = JSON.parse(readFileSync(join(process.cwd(), "test/conformance/cases/proofs.json"), "utf8")) as Topic;

/** What the module made of one case. */
interface Outcome {
  readonly verdict?: string;
  readonly kind?: string;
  readonly code?: string;
  readonly name?: string;
}

/** Runs in the page. */
const SCRIPT = `async (inputs) => {
  const { kernelName, verifyProofFile } = await import("/neleus-verify.js");
  const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (digits) => parseInt(digits, 16));
  const outcomes = [];
  for (const { proof, binary, anchors } of inputs) {
    try {
      const file = binary === undefined ? JSON.stringify(proof) : bytesOf(binary);
      const { verdict, claim } = await verifyProofFile(file, anchors);
      outcomes.push({ verdict, kind: claim.kind });
    } catch (error) {
      outcomes.push({ code: error.code, name: error.name });
    }
  }
  return { outcomes, kernel: kernelName() };
}`;

/** VERIFICATION_FAILED is thrown as VerificationFailed. */
function className(code: string): string {
  return code.toLowerCase().replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase());
}

function wanted({ expect }: Case): Outcome {
  if ("error" in expect) return { code: expect.error, name: className(expect.error) };
  const { verdict, claim } = expect.output as { verdict: string; claim: { kind: string } };
  return { verdict, kind: claim.kind };
}

describe("the conformance kit in a browser", () => {
  let browser: Chromium;
  before(async () => {
    browser = await Chromium.start();
  });
  after(() => browser.close());

  for (const [kernel, policy] of [
    ["wasm-simd", undefined],
    ["portable", "script-src 'self'"],
  ] as const) {
    it(`all ${cases.length} proofs, hashed by ${kernel}`, async () => {
      const page: ServedPage = await servePage({ port: 0, ...(policy === undefined ? {} : { policy }) });
      try {
        const tab = await Tab.open(browser, page.url);
        await tab.until(`document.getElementById("result")?.dataset.ready === "true"`);
        const inputs = JSON.stringify(cases.map(({ input }) => input));
        const found = (await tab.evaluate(`(${SCRIPT})(${inputs})`)) as { outcomes: Outcome[]; kernel: string };
        assert.equal(found.kernel, kernel);
        for (const [index, one] of cases.entries()) assert.deepEqual(found.outcomes[index], wanted(one), one.id);
      } finally {
        await page.close();
      }
    });
  }
});
