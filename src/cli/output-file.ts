// Writing a verified stream to a file: to a temporary name beside it, renamed after the last check. A failed read leaves
// nothing behind, and never a half-written file under the wanted name.
import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError } from "./encoding.js";
import type { Output } from "./output.js";

/** Writes all parts to `path`, or to stdout for `-`. @returns bytes written */
export async function writeOutput(path: string, parts: AsyncIterable<Uint8Array>, output: Output): Promise<number> {
  let written = 0;
  if (path === "-") {
    for await (const part of parts) {
      await output.write(part);
      written += part.length;
    }
    return written;
  }
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx");
    try {
      for await (const part of parts) {
        await file.writeFile(part);
        written += part.length;
        output.progress(`${written} bytes`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw fileError(error, { path, field: "out_file" });
  } finally {
    output.progressDone();
  }
  return written;
}
