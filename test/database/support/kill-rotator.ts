// A process that announces keys, begins epochs and writes until it is killed, and prints a line once each is acknowledged.
//
//   node kill-rotator.js DIRECTORY
import { writeSync } from "node:fs";
import { Database } from "#src/database/index.js";
import { put } from "./database.js";

const [directory = ""] = process.argv.slice(2);
const db = await Database.open(directory);

for (;;) {
  await db.epochs.announceKey();
  const key = `${db.log.origin} ${process.pid}`;
  await db.states.apply("main", { operations: [put(key, key)] });
  writeSync(1, `write ${key}\n`);
  const { epoch } = await db.epochs.begin({ reason: "rekeyed" });
  writeSync(1, `${epoch}\n`);
}
