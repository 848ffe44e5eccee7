// Writes to the database in a directory until it is killed.
import { Database } from "#src/database/index.js";
import { put } from "../support/database.js";

const db = await Database.open(process.argv[2] ?? "");
for (let step = 0; ; step += 1) {
  await db.states.apply("main", { operations: [put(`other-${step % 300}`, `${step}`)] });
  if (step % 40 === 0) await db.commits.create({ head: "main", author: "b", message: "m" });
}
