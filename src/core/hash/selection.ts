// Which engine hashes: chosen at the first hash, once for the whole program.
import type { HashEngine, KernelName } from "./engine.js";
import { loadWasmEngine } from "./kernel/wasm-engine.js";
import { PortableEngine } from "./portable.js";

let current: HashEngine | undefined;

/** The engine in use: the kernel, or the portable one where the kernel cannot run. */
export function engine(): HashEngine {
  current ??= loadWasmEngine() ?? new PortableEngine();
  return current;
}

/**
 * Makes the program hash with the engine of that name from here on; returns the name of the one that it got, which is
 * `portable` where the kernel cannot run. For tests and comparisons: both give the same bytes.
 */
export function selectKernel(name: KernelName): KernelName {
  current = (name === "wasm-simd" ? loadWasmEngine() : undefined) ?? new PortableEngine();
  return current.name;
}
