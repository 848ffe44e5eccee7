// Builds the hash kernel (src/core/hash/kernel/): AssemblyScript → kernel.wasm and, so that core needs no I/O, the same
// bytes as base64 in kernel-binary.ts. Both are committed.
//
//   node tools/build-kernel.js            build and write
//   node tools/build-kernel.js --check    build in memory and fail unless the committed files are the same bytes
//
// The compiler has no macros and does not unroll, so the seven rounds of the two compressions (four lanes of vectors,
// and one of integers) are written out here, from one template.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const kernelFolder = fileURLToPath(new URL("../src/core/hash/kernel/", import.meta.url));
const wasmFile = join(kernelFolder, "kernel.wasm");
const moduleFile = join(kernelFolder, "kernel-binary.ts");

const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const COLUMNS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
];
const DIAGONALS = [
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

/** How the two kinds of compression spell the same operations. */
const LANES = {
  name: "compressLanes",
  type: "v128",
  wordBytes: 16,
  load: (pointer, offset) => `v128.load(${pointer}, ${offset})`,
  store: (pointer, value, offset) => `v128.store(${pointer}, ${value}, ${offset})`,
  constant: (name) => `i32x4.splat(${name})`,
  add: (a, b) => `i32x4.add(${a}, ${b})`,
  xor: (a, b) => `v128.xor(${a}, ${b})`,
  rotate: (value, bits) => `rotate${bits}(${value})`,
};
const ONE = {
  name: "compressOne",
  type: "i32",
  wordBytes: 4,
  load: (pointer, offset) => `load<i32>(${pointer}, ${offset})`,
  store: (pointer, value, offset) => `store<i32>(${pointer}, ${value}, ${offset})`,
  constant: (name) => name,
  add: (a, b) => `(${a} + ${b})`,
  xor: (a, b) => `(${a} ^ ${b})`,
  rotate: (value, bits) => `rotr<i32>(${value}, ${bits})`,
};

/** Vector rotations: whole bytes by shuffling, where that is quicker than two shifts. */
const ROTATIONS = `
function rotate16(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}
function rotate12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}
function rotate8(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 8), i32x4.shl(x, 24));
}
function rotate7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}
`;

/** Half a round: four mixes of two message words each, step by step so that they overlap in the processor. */
function halfRound(kind, places, words) {
  const message = (index) => kind.load("block", words[index] * kind.wordBytes);
  const steps = [
    ([a, b], i) => `v${a} = ${kind.add(kind.add(`v${a}`, message(i * 2)), `v${b}`)}`,
    ([a, , , d]) => `v${d} = ${kind.rotate(kind.xor(`v${d}`, `v${a}`), 16)}`,
    ([, , c, d]) => `v${c} = ${kind.add(`v${c}`, `v${d}`)}`,
    ([, b, c]) => `v${b} = ${kind.rotate(kind.xor(`v${b}`, `v${c}`), 12)}`,
    ([a, b], i) => `v${a} = ${kind.add(kind.add(`v${a}`, message(i * 2 + 1)), `v${b}`)}`,
    ([a, , , d]) => `v${d} = ${kind.rotate(kind.xor(`v${d}`, `v${a}`), 8)}`,
    ([, , c, d]) => `v${c} = ${kind.add(`v${c}`, `v${d}`)}`,
    ([, b, c]) => `v${b} = ${kind.rotate(kind.xor(`v${b}`, `v${c}`), 7)}`,
  ];
  return steps.flatMap((step) => places.map((place, index) => `  ${step(place, index)};`));
}

/** The source of one compression: reads and replaces the eight words at `value`, takes sixteen from `block`. */
function compression(kind) {
  const lines = [
    `export function ${kind.name}(value: usize, block: usize, counterLow: ${kind.type}, counterHigh: ${kind.type}, ` +
      `blockBytes: ${kind.type}, flags: ${kind.type}): void {`,
  ];
  for (let word = 0; word < 8; word += 1) {
    lines.push(`  let v${word}: ${kind.type} = ${kind.load("value", word * kind.wordBytes)};`);
  }
  for (let word = 0; word < 4; word += 1) {
    lines.push(`  let v${word + 8}: ${kind.type} = ${kind.constant(`IV${word}`)};`);
  }
  ["counterLow", "counterHigh", "blockBytes", "flags"].forEach((name, word) => {
    lines.push(`  let v${word + 12}: ${kind.type} = ${name};`);
  });
  let order = Array.from({ length: 16 }, (_, index) => index);
  for (let round = 0; round < 7; round += 1) {
    lines.push(...halfRound(kind, COLUMNS, order.slice(0, 8)), ...halfRound(kind, DIAGONALS, order.slice(8)));
    order = PERMUTATION.map((from) => order[from]);
  }
  for (let word = 0; word < 8; word += 1) {
    lines.push(`  ${kind.store("value", kind.xor(`v${word}`, `v${word + 8}`), word * kind.wordBytes)};`);
  }
  return [...lines, "}"].join("\n");
}

function compressSource() {
  return ['import { IV0, IV1, IV2, IV3 } from "./layout";', ROTATIONS, compression(LANES), compression(ONE)].join("\n");
}

/** The compiled module. The compiler is deterministic: the same sources and version give the same bytes. */
async function compile() {
  let binary;
  const diagnostics = [];
  const { error } = await asc.main(
    [
      "index.ts",
      "--outFile=kernel.wasm",
      "--enable=simd",
      "--runtime=stub",
      "--optimizeLevel=3",
      "--shrinkLevel=0",
      "--converge",
      "--noAssert",
      "--use=abort=",
      "--noColors",
      "--initialMemory=7",
      "--maximumMemory=7",
    ],
    {
      readFile(name) {
        if (name === "compress.ts") return compressSource();
        try {
          return readFileSync(join(kernelFolder, "assembly", name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile(name, contents) {
        if (name === "kernel.wasm") binary = contents;
      },
      listFiles: () => [],
      stderr: { write: (text) => diagnostics.push(text) },
      stdout: { write: (text) => diagnostics.push(text) },
    },
  );
  if (error || binary === undefined) throw new Error(`the kernel does not compile:\n${diagnostics.join("")}`);
  return Buffer.from(binary);
}

function moduleSource(binary) {
  const lines = binary.toString("base64").match(/.{1,112}/g) ?? [];
  const text = lines.map((line) => `  "${line}"`).join(" +\n");
  return [
    "// Made by tools/build-kernel.js from assembly/; `node tools/build-kernel.js --check` proves it fresh.",
    "",
    `/** The bytes of kernel.wasm, ${binary.length} of them, in base64. */`,
    `export const KERNEL_BASE64 =\n${text};`,
    "",
  ].join("\n");
}

const binary = await compile();
if (process.argv.includes("--check")) {
  const stale = [
    [wasmFile, binary],
    [moduleFile, Buffer.from(moduleSource(binary))],
  ].filter(([file, expected]) => !readFileSync(file).equals(expected));
  for (const [file] of stale) console.error(`${file} is not what its sources give: run node tools/build-kernel.js`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  writeFileSync(wasmFile, binary);
  writeFileSync(moduleFile, moduleSource(binary));
  console.log(`kernel.wasm: ${binary.length} bytes`);
}
