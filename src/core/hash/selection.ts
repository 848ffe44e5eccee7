// Which engine hashes: chosen at the first hash, once for the whole program.
import type { HashEngine } from "./engine.js";
import { PortableEngine } from "./portable.js";

let current: HashEngine | undefined;

/** The engine in use. */
export function engine(): HashEngine {
  current ??= new PortableEngine();
  return current;
}
