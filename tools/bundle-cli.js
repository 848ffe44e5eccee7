// Puts the compiled command line into a few files, dist/cli/: Node takes about a millisecond to find, read and link each
// module, of which a command needs over three hundred. The library is not bundled; its modules stay as they are.
//
//   node tools/bundle-cli.js      after `tsc -b`; bin/neleus.js runs what is newer
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const outdir = `${root}dist/cli`;

rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: ["dist/src/cli/main.js"],
  outdir,
  bundle: true,
  // What a command does not need is not loaded: the server, the engine, the transport.
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // Native, or CommonJS: they stay packages.
  external: ["lmdb", "commander", "@grpc/grpc-js", "@grpc/reflection"],
  minifyWhitespace: true,
  keepNames: false,
  legalComments: "none",
  logLevel: "warning",
});
