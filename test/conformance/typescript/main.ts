// The runner of the TypeScript library: a question a line on stdin, an answer a line on stdout.
//
//   node tools/conformance.js -- node build/test/conformance/typescript/main.js
import { createInterface } from "node:readline";
import type { Question } from "../case.js";
import { answer } from "./adapter.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...question } = JSON.parse(line) as Question;
  process.stdout.write(`${JSON.stringify({ id, ...answer(question) })}\n`);
}
