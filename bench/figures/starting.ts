// How long until the first answer: opening a database, and the command line from start to exit.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Database } from "#src/database/index.js";
import { loadedDatabase, numberedKey } from "../databases.js";
import { inTurns, median, shown, type Bench } from "../harness.js";

const run = promisify(execFile);
const program = join(process.cwd(), "bin", "neleus.js");

export const starting: Bench = {
  name: "starting",
  about: "opening a database, and the command line from start to answer",
  figures: ["open", "cli-start"],
  // Processes and files, whose times on a busy machine are no ground to fail a build on.
  isInShortForm: false,
  async run(context) {
    const { directory, keys } = await loadedDatabase(context, context.isShort ? 20_000 : 1_000_000);
    const opens: number[] = [];
    for (let round = 0; round < Math.max(context.rounds, 5); round += 1) {
      const startedMs = performance.now();
      const database = await Database.open(directory);
      await (await database.view()).head("main");
      opens.push(performance.now() - startedMs);
      await database.close();
    }
    const key = Buffer.from(numberedKey(1)).toString();
    const env = { ...process.env, NELEUS_TRUST_FILE: join(context.scratch, "trust.json") };
    const timed = async (command: readonly string[]): Promise<number> => {
      const startedMs = performance.now();
      await run(process.execPath, command, { env });
      return performance.now() - startedMs;
    };
    const started = await inTurns(
      Math.max(context.rounds, 5),
      () => timed([program, "--db", directory, "state", "get", "main", key]),
      () => timed(["-e", "0"]),
    );
    return [
      {
        name: "open",
        what: `open and look up a head, ${keys.toLocaleString("en")} keys`,
        measured: shown(median(opens), "ms"),
        result: median(opens),
        goal: { atMost: 50, unit: "ms" },
      },
      {
        name: "cli-start",
        what: "command line: one verified get",
        measured: shown(started.ours, "ms"),
        baseline: `${shown(started.baseline, "ms")}: node -e 0`,
        result: started.ours - started.baseline,
        goal: { atMost: 150, unit: "ms more" },
      },
    ];
  },
};
