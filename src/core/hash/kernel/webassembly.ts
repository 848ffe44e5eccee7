// The little of the WebAssembly API that the kernel needs. It is a global of every browser and of Node, but in the
// types of neither of the libraries that core is compiled against.

/** The kernel's exports: functions of assembly/index.ts, and the addresses of its memory areas. */
export interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly INPUT: { readonly value: number };
  readonly INPUT_BYTES: { readonly value: number };
  readonly OUTPUT: { readonly value: number };
  readonly LENGTHS: { readonly value: number };
  readonly MAX_MESSAGES: { readonly value: number };
  readonly MAX_TREES: { readonly value: number };
  readonly HEADS: { readonly value: number };
  readonly HEAD_SLOT_BYTES: { readonly value: number };
  readonly HEAD_LENGTHS: { readonly value: number };
  readonly ROOTS: { readonly value: number };
  readonly JOINS: { readonly value: number };
  readonly PREFIX: { readonly value: number };
  readonly PREFIX_MASK: { readonly value: number };
  group(length: number, counter: number, rootFlag: number): void;
  groups(count: number, counter: number): void;
  prefixed(length: number): void;
  messages(count: number): void;
  packedMessages(count: number, packedBytes: number, prefixBytes: number): void;
  packedTree(count: number, packedBytes: number, prefixBytes: number): void;
  partialTrees(
    count: number,
    packedBytes: number,
    prefixBytes: number,
    given: number,
    joins: number,
    trees: number,
  ): void;
  parent(rootFlag: number): void;
  taggedPairs(count: number): void;
}

interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: KernelExports };
  readonly instantiate: (bytes: Uint8Array) => Promise<{ readonly instance: { readonly exports: KernelExports } }>;
}

function webAssembly(): WebAssemblyApi | undefined {
  return (globalThis as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;
}

/**
 * A running module, or undefined where that cannot be: no WebAssembly, no SIMD, or a policy against either (a page's
 * Content-Security-Policy, `--jitless`). Which of them does not matter to the caller, who has a fallback.
 */
export function instantiate(bytes: Uint8Array): KernelExports | undefined {
  const api = webAssembly();
  if (api === undefined) return undefined;
  try {
    return new api.Instance(new api.Module(bytes)).exports;
  } catch {
    return undefined;
  }
}

/** The same without blocking, which some browsers insist on for more than 4 KiB on their main thread. */
export async function instantiateLater(bytes: Uint8Array): Promise<KernelExports | undefined> {
  try {
    return (await webAssembly()?.instantiate(bytes))?.instance.exports;
  } catch {
    return undefined;
  }
}
