// npm run demo: a real server on a loopback port, a separate client process that streams real files in, commits, and checks
// every answer, and proxies between the two that lie. Exits non-zero if anything goes wrong or any lie is accepted.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lies, startLyingProxy, type LieName } from "./lying-proxy.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const program = join(root, "bin", "neleus.js");

/** Runs a program to its end. */
async function run(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit" });
  const code = await ended(child);
  if (code !== 0) throw new Error(`${args.slice(0, 3).join(" ")} … ended with ${String(code)}`);
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}

/** Starts the server and waits for its one line. */
async function serve(directory: string): Promise<{ child: ChildProcess; address: string }> {
  const child = spawn(process.execPath, [program, "serve", "--db", directory, "--listen", "127.0.0.1:0"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const address = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${String(code)} before it listened`)));
    child.stdout.on("data", (data: Buffer) => {
      text += data.toString();
      if (text.includes("\n")) resolve((JSON.parse(text) as { address: string }).address);
    });
  });
  return { child, address };
}

async function demo(): Promise<void> {
  const started = performance.now();
  const place = await mkdtemp(join(tmpdir(), "neleus-demo-"));
  const directory = join(place, "neleus_db");
  let server: ChildProcess | undefined;
  const proxies: { close(): Promise<void> }[] = [];
  try {
    await run([program, "db", "init", directory, "--quiet"]);
    const { child, address } = await serve(directory);
    server = child;
    console.log(`A server on ${address}, a client in a process of its own.\n`);
    const liars: Record<string, { address: string; description: string }> = {};
    for (const [name, lie] of Object.entries(lies()) as [LieName, ReturnType<typeof lies>[LieName]][]) {
      const proxy = await startLyingProxy(address, lie);
      proxies.push(proxy);
      liars[name] = { address: proxy.address, description: lie.description };
    }
    const settings = { address, documentation: join(root, "node_modules"), largeFile: process.execPath, liars };
    await run([fileURLToPath(new URL("client.js", import.meta.url)), JSON.stringify(settings)]);
  } finally {
    for (const proxy of proxies) await proxy.close();
    if (server !== undefined) {
      const end = ended(server);
      server.kill("SIGTERM");
      await end;
    }
    await rm(place, { recursive: true, force: true });
  }
  console.log(`\nAll as it should be, in ${((performance.now() - started) / 1000).toFixed(1)} s. Try next:
  npx neleus db init ./neleus_db
  echo "Ada" | npx neleus state set main user/42/name -
  npx neleus proof state main user/42/name --json > proof.json && npx neleus verify proof.json
  npx neleus serve --db ./neleus_db`);
}

demo().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
