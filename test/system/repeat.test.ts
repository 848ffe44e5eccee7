// Goal: with two servers on one directory, a link that is cut at any moment and a server that is killed with SIGKILL, each
// commit that a client asked for is made exactly once.
// Method: real server processes behind a link that leads now to one, now to the other and is cut every few milliseconds;
// several clients commit through it; in the middle one server is killed; then the chain of commits is read.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import test from "node:test";
import { connect } from "#src/client/remote.js";
import { LossyLink } from "../rpc/support/lossy-link.js";
import { makeDatabase, startServerProcess } from "./server-process.js";

const quiet = { onTrustOnFirstUse: () => undefined, maxAttempts: 30 };
const CLIENTS = 4;
const COMMITS = 8;

test("each commit is made once, whatever breaks", { timeout: 120_000 }, async (t) => {
  const directory = await makeDatabase(t);
  const servers = [await startServerProcess(t, directory), await startServerProcess(t, directory)];
  let alive = servers;
  let turn = 0;
  const link = await LossyLink.to(() => alive[(turn += 1) % alive.length]?.address ?? "");
  t.after(() => link.close());

  const work = { isDone: false, made: 0 };
  const cutting = (async () => {
    while (!work.isDone) {
      await sleep(40 + Math.random() * 80);
      link.cut();
    }
  })();
  const killing = (async () => {
    while (work.made < (CLIENTS * COMMITS) / 2) await sleep(5);
    const [first] = servers;
    alive = servers.slice(1);
    process.kill(first?.pid ?? 0, "SIGKILL");
    link.cut();
  })();

  const first = await connect(servers[0]?.address ?? "", quiet);
  const { verifierKey } = first.trust.state;
  await first.close();
  const wanted: string[] = [];
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, lane) => {
      const db = await connectThrough(link.address, verifierKey);
      for (let number = 0; number < COMMITS; number += 1) {
        const message = `${lane}/${number}`;
        wanted.push(message);
        await db.commit("main", { author: "a", message });
        work.made += 1;
      }
      await db.close();
    }),
  );
  work.isDone = true;
  await Promise.all([cutting, killing]);

  const db = await connect(alive[0]?.address ?? "", quiet);
  const found: string[] = [];
  for await (const { message } of db.commits.log({ head: "main" })) found.push(message);
  await db.close();
  assert.deepEqual(found.sort(), wanted.sort());
  assert.ok(link.connections > CLIENTS, `${link.connections} connections`);
});

/** The first call is made once, so the link may have to be tried again. */
async function connectThrough(address: string, verifierKey: string): ReturnType<typeof connect> {
  for (;;) {
    try {
      return await connect(address, { ...quiet, verifierKey });
    } catch {
      await sleep(20);
    }
  }
}
