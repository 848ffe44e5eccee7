// Collects garbage in a directory again and again until it is killed.
import { Database } from "#src/database/index.js";
import { Unavailable } from "#src/core/errors.js";

const db = await Database.open(process.argv[2] ?? "", { freeing: { afterMs: 200, afterLeaves: 4, atLatestMs: 400 } });
for (;;) {
  try {
    for await (const event of db.collectGarbage()) {
      if (event.kind === "progress" && event.phase === "sweep") process.stdout.write(`${event.done} `);
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
  }
}
