// Goal: what single sets leave on disk stays in proportion to the content, with nobody calling anything; test/slow/space has
// the figure at full size.
// Method: some thousand sets one after the other, beside the same sets while a reader keeps everything. How much waits to be
// freed depends on the machine's pace (what was replaced waits for a second at least), so the file is held against the other.
import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { singleSets, singleSetsFreeingNothing } from "./support/space.js";
import { inDirectory } from "./support/database.js";

const SETS = 3_000;

it("single sets leave the nodes of the last state, and those that wait", { timeout: 120_000 }, () =>
  inDirectory(async ({ location }) => {
    const { rows, fileBytes } = await singleSets(join(location, "freed"), SETS);
    const kept = await singleSetsFreeingNothing(join(location, "kept"), SETS);
    // 145 nodes hold the content; 256 leaves replaced five nodes each that may wait for a minute more.
    assert.ok(rows.nodes < 2_000, `${rows.nodes} nodes; nothing freed leaves about 15,000`);
    assert.ok(fileBytes < kept.fileBytes / 2, `${fileBytes} bytes of ${kept.fileBytes}`);
    assert.deepEqual([rows.blobs, rows.log, rows.tiles], [SETS, SETS + 1, SETS / 2]);
  }),
);
