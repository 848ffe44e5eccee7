// A process that counts a shared key up so many times, on condition of what it was, and writes keys of its own besides.
//
//   node counter.js DIRECTORY NAME TIMES
//
// Prints the size and root of each checkpoint that it was given, a line each.
import { toHex, utf8 } from "#src/core/bytes.js";
import { Conflict } from "#src/core/errors.js";
import { parseCheckpointUnverified } from "#src/core/log/index.js";
import { get, readSync } from "#src/core/map/index.js";
import { stateCell } from "#src/core/object/index.js";
import { Database } from "#src/database/index.js";
import { put } from "../../database/support/database.js";
import { COUNT_EVERY, COUNTER } from "./report.js";

const [directory = "", name = "", times = "0"] = process.argv.slice(2);
const db = await Database.open(directory);
const told: string[] = [];
const tell = ({ receipt }: { readonly receipt: { readonly checkpoint: string } }): void => {
  const { size, root } = parseCheckpointUnverified(receipt.checkpoint);
  told.push(`${size} ${toHex(root)}`);
};
for (let done = 0; done < Number(times);) {
  if (done % COUNT_EVERY !== 0) {
    const operations = [put(`${name}/${done}`, "x"), put(`${name}/${done}/more`, "y")];
    tell(await db.states.apply("main", { operations }));
    done += 1;
    continue;
  }
  const { state } = await (await db.view()).resolve({ staged: "main" });
  const cell = readSync(get(state, utf8(COUNTER)), db.nodes);
  if (cell === undefined) throw new Error("there is no counter");
  const { hash } = stateCell.decode(cell);
  const found = await db.blobs.find(hash, { atMostBytes: 100 });
  const next = Number(Buffer.from(found?.bytes ?? []).toString()) + 1;
  try {
    const condition = { expectedHash: hash };
    const operations = [{ ...put(COUNTER, String(next)), condition }, put(`${name}/${done}`, `${next}`)];
    tell(await db.states.apply("main", { operations }));
    done += 1;
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
  }
}
await db.close();
console.log(told.join("\n"));
