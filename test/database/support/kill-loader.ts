// A process that loads until it is killed, and says how far it is. The finish takes some seconds.
//
//   node kill-loader.js DIRECTORY
import { writeSync } from "node:fs";
import { utf8 } from "#src/core/bytes.js";
import { Database } from "#src/database/index.js";

const [directory = ""] = process.argv.slice(2);
const db = await Database.open(directory);
const load = await db.states.load("main");
for (let first = 0; first < 100_000; first += 1_000) {
  const keys = Array.from({ length: 1_000 }, (_, index) => utf8(`key/${((first + index) * 7_919) % 100_000}`));
  await load.add({ keys, values: keys });
  writeSync(1, `added ${load.count}\n`);
}
writeSync(1, "finishing\n");
await load.finish();
writeSync(1, "finished\n");
