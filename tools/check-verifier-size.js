// Holds the verifier for browsers, with its WASM, against its budget: what a page has to load, compressed as servers do.
//
//   node tools/check-verifier-size.js      after a build; prints the size and the largest parts, fails over the budget
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bundleVerifier } from "./bundle-verifier.js";

const BUDGET_BYTES = 60_000;
const PARTS_SHOWN = 8;
// Whatever pulls one of these in made a mistake: they are large, or not for browsers.
const UNWANTED = /node_modules\/(?!@noble\/(curves|hashes)\/)|^dist\/gen\/|^dist\/src\/(?!core\/|client\/)/;

const place = mkdtempSync(join(tmpdir(), "neleus-verifier-"));
try {
  // Made anew, so that it is of what was compiled last.
  const outfile = join(place, "neleus-verify.js");
  const metafile = await bundleVerifier(outfile);
  const bundle = readFileSync(outfile);
  const compressedBytes = gzipSync(bundle, { level: 9 }).length;
  const inputs = Object.entries(Object.values(metafile.outputs)[0].inputs)
    .map(([name, { bytesInOutput }]) => ({ name: name.replace(/^(\.\.\/)+.*?(?=node_modules)/, ""), bytesInOutput }))
    .filter(({ bytesInOutput }) => bytesInOutput > 0)
    .sort((a, b) => b.bytesInOutput - a.bytesInOutput);
  for (const { name, bytesInOutput } of inputs.slice(0, PARTS_SHOWN))
    console.log(`${String(bytesInOutput).padStart(7)} ${name}`);
  console.log(`neleus/verify: ${bundle.length} bytes, ${compressedBytes} gzipped, of ${BUDGET_BYTES}`);
  const unwanted = inputs.filter(({ name }) => UNWANTED.test(name)).map(({ name }) => name);
  if (unwanted.length > 0) throw new Error(`the verifier holds what it should not: ${unwanted.join(", ")}`);
  if (compressedBytes > BUDGET_BYTES) throw new Error(`over the budget by ${compressedBytes - BUDGET_BYTES} bytes`);
} finally {
  rmSync(place, { recursive: true, force: true });
}
