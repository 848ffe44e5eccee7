// npm run conformance:make: writes the kit into test/conformance/. test/conformance/kit.test.ts fails where what lies there is not
// what this makes.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeKit } from "./kit.js";

const place = join(process.cwd(), "test", "conformance");
mkdirSync(join(place, "cases"), { recursive: true });
let sizeBytes = 0;
const files = makeKit();
for (const [path, text] of files) {
  writeFileSync(join(place, path), text);
  sizeBytes += Buffer.byteLength(text);
}
console.log(`${files.size} files, ${sizeBytes} bytes`);
