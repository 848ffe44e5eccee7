// Goal: what single sets leave on disk stays in proportion to the content, with nobody calling anything; test/slow/space has
// the figure at full size.
// Method: some thousand sets one after the other; rows are counted, since a small file is mostly what waits to be freed.
import assert from "node:assert/strict";
import { it } from "node:test";
import { singleSets } from "./support/space.js";
import { inDirectory } from "./support/database.js";

const SETS = 2_000;

it("single sets leave the nodes of the last state, and those that wait", { timeout: 120_000 }, () =>
  inDirectory(async ({ location }) => {
    const { rows, fileBytes } = await singleSets(location, SETS);
    // 145 nodes hold the content; 256 leaves replaced five nodes each that may wait for a minute more.
    assert.ok(rows.nodes < 2_000, `${rows.nodes} nodes; nothing freed leaves about 10,000`);
    assert.ok(fileBytes < 8_000_000, `${fileBytes} bytes`);
    assert.deepEqual([rows.blobs, rows.log, rows.tiles], [SETS, SETS + 1, SETS / 2]);
  }),
);
