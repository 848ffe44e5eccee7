// Which engine hashes: chosen at the first hash, or by `loadKernel` before it, once for the whole program.
import type { HashEngine, KernelName } from "./engine.js";
import { loadWasmEngine, startWasmEngine } from "./kernel/wasm-engine.js";
import { PortableEngine } from "./portable.js";

const portable = new PortableEngine();
/** The kernel's engine, `portable` where it cannot run, undefined until it has been tried. */
let best: HashEngine | undefined;
/** What `selectKernel` asked for. */
let selected: HashEngine | undefined;

/** The engine in use: the kernel, or the portable one where the kernel cannot run. */
export function engine(): HashEngine {
  return selected ?? bestEngine();
}

/**
 * Loads the kernel without blocking: browsers may refuse to compile it while their main thread waits, and then a first hash
 * would settle for the portable engine. Does nothing where it runs already. @returns the engine in use from here on
 */
export async function loadKernel(): Promise<KernelName> {
  if (best === undefined || best === portable) {
    const started = await startWasmEngine();
    // A hash that came in between may have loaded one.
    if (best === undefined || best === portable) best = started ?? portable;
  }
  return engine().name;
}

/**
 * Makes the program hash with the engine of that name from here on; returns the name of the one that it got, which is
 * `portable` where the kernel cannot run. For tests and comparisons: both give the same bytes.
 */
export function selectKernel(name: KernelName): KernelName {
  selected = name === "portable" ? portable : bestEngine();
  return selected.name;
}

function bestEngine(): HashEngine {
  best ??= loadWasmEngine() ?? portable;
  return best;
}
