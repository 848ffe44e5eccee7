// The shared vectors in test/vectors/, read relative to the repository root, where every test runs.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The parsed content of `test/vectors/<name>.json`. The caller states its shape. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(join(process.cwd(), "test", "vectors", `${name}.json`), "utf8"));
}

/** The vectors' filler: byte i is i mod 251. */
export function patternBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}
