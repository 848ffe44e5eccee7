// Puts `neleus/verify` into one file that a browser loads as it is, without a bundler and without a network: its own modules,
// @noble/curves and @noble/hashes, the hash kernel as base 64. Prints nothing.
//
//   node tools/bundle-verifier.js      after `tsc -b`; tools/check-verifier-size.js holds it against its budget
import { readFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

// An error says its class by the class's name, which minifying would take. Keeping all names costs 4 KB compressed, these 0.2.
const ENTRY = `
import * as errors from "./dist/src/core/errors.js";
for (const [name, value] of Object.entries(errors)) Object.defineProperty(value, "name", { value: name });
export * from "./dist/src/client/verify/index.js";
`;

/** The bundle, as the package has it. @returns esbuild's account of what is in it */
export async function bundleVerifier(outfile = `${root}dist/verify/neleus-verify.js`) {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
  const { metafile } = await build({
    absWorkingDir: root,
    stdin: { contents: ENTRY, resolveDir: root },
    outfile,
    bundle: true,
    format: "esm",
    // Nothing that is not in every browser: an import from Node would not resolve, and fails the build.
    platform: "browser",
    target: ["chrome100", "firefox100", "safari16.4"],
    minify: true,
    // What a bundle must say of the code in it is in the file itself, since it is copied alone.
    legalComments: "eof",
    banner: {
      js: `/*! neleus verifier ${version}, MIT License: see LICENSE and THIRD_PARTY_NOTICES.md of the package neleus */`,
    },
    metafile: true,
    logLevel: "warning",
  });
  return metafile;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await bundleVerifier();
