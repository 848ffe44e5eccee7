// Repairs the database in one directory from that in another, unless it is killed before.
import { repairDirectory } from "#src/database/index.js";

const [path = "", from = ""] = process.argv.slice(2);
for await (const event of repairDirectory(path, from)) if (event.kind === "summary") process.exitCode = 0;
