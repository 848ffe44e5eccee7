// The workload in one file: these tests start it hundreds of times, and Node reads one file in a third of the time.
import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

/** Bundles a compiled program of this folder, below the checkout so that it finds its packages. Returns the bundle's path. */
export function bundled(name: string): string {
  const root = process.cwd();
  const folder = `${root}/build/crash`;
  mkdirSync(folder, { recursive: true });
  const outfile = `${folder}/${name}-${process.pid}.mjs`;
  buildSync({
    absWorkingDir: root,
    entryPoints: [fileURLToPath(new URL(`./${name}.js`, import.meta.url))],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["lmdb", "@grpc/grpc-js", "@grpc/reflection"],
    logLevel: "warning",
  });
  process.once("exit", () => rmSync(outfile, { force: true }));
  return outfile;
}
