// Which engine hashes: chosen at the first hash, once for the whole program.
import type { HashEngine, KernelName } from "./engine.js";
import { loadWasmEngine } from "./kernel/wasm-engine.js";
import { PortableEngine } from "./portable.js";

const portable = new PortableEngine();
/** The kernel's engine, `portable` where it cannot run, undefined until it has been tried. */
let best: HashEngine | undefined;
let current: HashEngine | undefined;

/** The engine in use: the kernel, or the portable one where the kernel cannot run. */
export function engine(): HashEngine {
  current ??= bestEngine();
  return current;
}

/**
 * Makes the program hash with the engine of that name from here on; returns the name of the one that it got, which is
 * `portable` where the kernel cannot run. For tests and comparisons: both give the same bytes.
 */
export function selectKernel(name: KernelName): KernelName {
  current = name === "portable" ? portable : bestEngine();
  return current.name;
}

function bestEngine(): HashEngine {
  best ??= loadWasmEngine() ?? portable;
  return best;
}
