// Writing a verified stream to a file: to a temporary name beside it, renamed after the last check. A failed read leaves
// nothing behind, and never a half-written file under the wanted name.
import { randomBytes } from "node:crypto";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InvalidArgument } from "../core/errors.js";
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
  const target = await outputTarget(path);
  if (target === undefined) {
    const device = await open(path, "w");
    try {
      for await (const part of parts) {
        await device.writeFile(part);
        written += part.length;
      }
    } finally {
      await device.close();
    }
    return written;
  }
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.tmp`);
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
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") {
      throw new InvalidArgument(`${dirname(target)} is no directory: ${path} cannot be written`, {
        field: "out_file",
        facts: { path },
      });
    }
    throw fileError(error, { path, field: "out_file" });
  } finally {
    output.progressDone();
  }
  return written;
}

/**
 * The file to replace, behind any symbolic link. Undefined where there is a device or a pipe, such as /dev/null: that is
 * written to and never replaced. @throws InvalidArgument - a directory, or a path that may not be looked at
 */
async function outputTarget(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) {
      throw new InvalidArgument(`${path} is a directory, not a file`, { field: "out_file", facts: { path } });
    }
    return found.isFile() ? await realpath(path) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") return path;
    throw fileError(error, { path, field: "out_file" });
  }
}
