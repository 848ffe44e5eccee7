// Proves the packed package: what is in it, that it installs with scripts off into an empty folder, and that there it
// opens a database, connects to a server, answers on the command line, and that a consumer's types compile.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const place = mkdtempSync(join(tmpdir(), "neleus-package-"));
const env = { ...process.env, NELEUS_TRUST_FILE: join(place, "trust.json") };
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

function pack() {
  const [report] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", place], root));
  const names = report.files.map((file) => file.path);
  const wanted = [
    "LICENSE",
    "THIRD_PARTY_NOTICES.md",
    "README.md",
    "bin/neleus.js",
    "dist/src/index.js",
    "dist/src/index.d.ts",
    "dist/src/cli/main.js",
    "dist/cli/main.js",
    "dist/verify/neleus-verify.js",
    "dist/gen/neleus/v1/state_pb.js",
    "proto/neleus/v1/state.proto",
    "proto/LICENSE-APACHE-2.0",
  ];
  for (const name of wanted) assert.ok(names.includes(name), `the package lacks ${name}`);
  assert.ok(
    names.some((name) => name.endsWith(".wasm")),
    "the package lacks the kernel",
  );
  const unwanted = names.filter((name) =>
    /(^|\/)(test|build|bench|tools|\.ci)\/|\.tsbuildinfo$|^src\/(?!core\/hash\/kernel\/kernel\.wasm$)|\.map$/.test(
      name,
    ),
  );
  assert.deepEqual(unwanted, [], "the package holds what it should not");
  console.log(
    `packed ${names.length} files, ${Math.round(report.size / 1024)} KiB, unpacked ${Math.round(report.unpackedSize / 1024)} KiB`,
  );
  return join(place, report.filename);
}

function install(tarball) {
  writeFileSync(join(place, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", tarball], place);
}

function compileConsumer() {
  writeFileSync(join(place, "consumer.ts"), readFileSync(join(root, "test/package/consumer.ts")));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const options = [
    "--strict",
    "--noEmit",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--lib",
    "es2023",
    "--types",
    "node",
  ];
  const typeRoots = ["--typeRoots", join(root, "node_modules/@types")];
  run(process.execPath, [compiler, ...options, ...typeRoots, "consumer.ts"], place);
  console.log("a consumer's types compile");
}

async function serveAndConnect() {
  const cli = join(place, "node_modules/.bin/neleus");
  run(cli, ["db", "init", "served"], place);
  const server = spawn(cli, ["serve", "--db", "served", "--listen", "127.0.0.1:0"], {
    cwd: place,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const line = await new Promise((resolve, reject) => {
      server.once("exit", (code) => reject(new Error(`the server ended with ${code} before it listened`)));
      server.stdout.once("data", (data) => resolve(String(data)));
    });
    const { address } = JSON.parse(line);
    writeFileSync(join(place, "consumer.js"), readFileSync(join(root, "test/package/consumer.js")));
    console.log(run(process.execPath, ["consumer.js", address], place).trim());
    console.log(run(cli, ["state", "get", "main", "greeting", "--server", address, "--json"], place).trim());
  } finally {
    server.removeAllListeners("exit");
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }
}

try {
  install(pack());
  console.log(run(join(place, "node_modules/.bin/neleus"), ["version"], place).trim());
  compileConsumer();
  await serveAndConnect();
} finally {
  rmSync(place, { recursive: true, force: true });
}
