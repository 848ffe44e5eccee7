// Goal: 100,000 single sets, one after the other, leave at most twice the disk of a bulk load of the same content, with
// nobody calling anything.
// Method: both into directories of their own; the file as it is after some seconds of quiet. Keys of 13 bytes and values of
// about 20: with small content the rest weighs most. Prints what each space holds.
import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { bulkLoad, singleSets } from "../database/support/space.js";
import { inDirectory } from "../database/support/database.js";

const KEYS = 100_000;

it("single sets leave at most twice the disk of a bulk load", { timeout: 30 * 60_000 }, (t) =>
  inDirectory(async ({ location }) => {
    const bulk = await bulkLoad(join(location, "..", "bulk"), KEYS);
    const single = await singleSets(join(location, "..", "single"), KEYS);
    const ratio = single.fileBytes / bulk.fileBytes;
    t.diagnostic(`bulk ${bulk.fileBytes} bytes, ${JSON.stringify(bulk.rows)}`);
    t.diagnostic(
      `single ${single.fileBytes} bytes, ${JSON.stringify(single.rows)}; ${ratio.toFixed(2)} times the bulk load`,
    );
    assert.ok(ratio <= 2, `${ratio} times the bulk load`);
  }),
);
