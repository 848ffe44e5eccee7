// The demo's input: real files that every fresh checkout has, the documentation of the installed packages.
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";

/** Fewer files than this would not show much. */
export const LEAST_FILES = 200;
const MOST_FILES = 400;
/** Files over this size are left to the large-file part of the demo. */
const MOST_BYTES = 256 * 1024;

export interface DocumentationFile {
  /** Path below node_modules, with forward slashes: the key under which it is kept. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** Documentation below `directory`, sorted by path. @throws Error - fewer than 200 files */
export async function readDocumentation(directory: string): Promise<DocumentationFile[]> {
  const names = await readdir(directory, { recursive: true });
  const wanted = names.filter((name) => /\.(md|markdown|txt)$/i.test(name)).sort();
  const files: DocumentationFile[] = [];
  for (const name of wanted) {
    if (files.length === MOST_FILES) break;
    const path = join(directory, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || !found.isFile() || found.size === 0 || found.size > MOST_BYTES) continue;
    files.push({
      path: relative(directory, path).replaceAll("\\", "/"),
      content: new Uint8Array(await readFile(path)),
    });
  }
  if (files.length < LEAST_FILES) {
    throw new Error(
      `only ${files.length} documentation files below ${directory}; the demo wants ${LEAST_FILES}: run npm ci`,
    );
  }
  return files;
}
