// Runs the benchmarks and prints a table of figure, baseline of the same run, ratio and goal.
//
//   npm run bench                      all of them; some minutes, and 2 GB of disk
//   npm run bench -- gets writes       only these
//   npm run bench -- --list            what there is
//   npm run bench -- --short           small and quick: what CI runs
//   npm run bench -- --json FILE       the figures as JSON too, - for standard output
//   npm run bench -- --check           fails where a ratio is below 70 % of the one committed in bench/ratios.json, and
//                                      still is when it is measured again, twice
//   npm run bench -- --commit          writes the ratios of this run there
//
// The servers and the load client run in processes of their own; all share the machine's cores.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { blobs } from "./figures/blobs.js";
import { chain } from "./figures/chain.js";
import { encryption } from "./figures/encryption.js";
import { kernel } from "./figures/kernel.js";
import { loading } from "./figures/loading.js";
import { batches, gets, verification } from "./figures/reads.js";
import { starting } from "./figures/starting.js";
import { writes } from "./figures/writes.js";
import { isMet, type Bench, type Figure } from "./harness.js";

const BENCHES: readonly Bench[] = [
  kernel,
  verification,
  gets,
  batches,
  writes,
  loading,
  blobs,
  starting,
  chain,
  encryption,
];
const RATIOS = join(process.cwd(), "bench", "ratios.json");
/** Below this share of the committed ratio, something has become slower. */
const LEAST_SHARE = 0.7;
/** A busy moment is no regression: what looks slower is measured again this often. */
const SECOND_LOOKS = 2;

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    json: { type: "string" },
    check: { type: "boolean", default: false },
    commit: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    directory: { type: "string", default: tmpdir() },
  },
});

/** True for a ratio to something measured in the same run; what is absolute belongs to one machine. */
function isRatio({ baseline, goal }: Figure): boolean {
  return baseline !== undefined && goal.unit === "×";
}

/** How good a ratio is: larger is better, whatever the figure. */
function merit({ result, goal }: Figure): number {
  return goal.atLeast === undefined ? 1 / result : result;
}

function goalText({ goal }: Figure): string {
  const bound = goal.atLeast === undefined ? `≤ ${goal.atMost ?? 0}` : `≥ ${goal.atLeast}`;
  return `${bound} ${goal.unit}`;
}

function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    figure.what,
    figure.measured,
    figure.baseline ?? "",
    `${figure.result.toPrecision(3)} ${figure.goal.unit}`,
    goalText(figure),
    isMet(figure) ? "met" : "MISSED",
  ]);
  const header = ["name", "figure", "measured", "baseline of the same run", "result", "goal", ""];
  const widths = header.map((title, column) =>
    Math.max(...[header, ...rows].map((row) => (row[column] ?? "").length, title.length)),
  );
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Figures that became slower than the committed ones allow. */
function slower(figures: readonly Figure[]): { readonly name: string; readonly text: string }[] {
  const committed = JSON.parse(readFileSync(RATIOS, "utf8")) as Record<string, number>;
  return figures.filter(isRatio).flatMap((figure) => {
    const before = committed[figure.name];
    const now = merit(figure);
    if (before === undefined || now >= LEAST_SHARE * before) return [];
    return [{ name: figure.name, text: `${((now / before) * 100).toFixed(0)} % of the committed ratio` }];
  });
}

/** Measures again what looks slower, and fails where it stays so. */
async function check(figures: readonly Figure[], benches: readonly Bench[], scratch: string): Promise<void> {
  let suspects = slower(figures);
  const benchOf = new Map<string, Bench>();
  for (const bench of benches) for (const name of bench.figures) benchOf.set(name, bench);
  for (let look = 0; look < SECOND_LOOKS && suspects.length > 0; look += 1) {
    for (const { name, text } of suspects) console.error(`${name}: ${text}; measuring it again`);
    const again = new Set(suspects.flatMap(({ name }) => benchOf.get(name) ?? []));
    const names = new Set(suspects.map(({ name }) => name));
    suspects = slower(await runAll([...again], scratch)).filter(({ name }) => names.has(name));
  }
  for (const { name, text } of suspects) console.error(`slower than before: ${name}: ${text}`);
  if (suspects.length > 0) process.exitCode = 1;
}

async function runAll(benches: readonly Bench[], scratch: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const bench of benches) {
    const progress = (text: string): void => console.error(`${bench.name}: ${text}`);
    progress(bench.about);
    const context = { isShort: options.short, scratch, rounds: Number(options.rounds), progress };
    figures.push(...(await bench.run(context)));
  }
  return figures;
}

async function main(): Promise<void> {
  if (options.list) {
    for (const { name, about } of BENCHES) console.log(`${name.padEnd(14)} ${about}`);
    return;
  }
  const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new Error(`no benchmark is called ${unknown.join(", ")}; see --list`);
  const benches = BENCHES.filter(({ name, isInShortForm }) =>
    names.length === 0 ? isInShortForm || !options.short : names.includes(name),
  );
  const scratch = mkdtempSync(join(options.directory, "neleus-bench-"));
  try {
    const figures = await runAll(benches, scratch);
    report(figures);
    if (options.check) await check(figures, benches, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function report(figures: readonly Figure[]): void {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, node ${process.version}, ${process.platform}`;
  if (options.json !== "-") console.log(`${machine}\n\n${table(figures)}`);
  if (options.json !== undefined) {
    const text = `${JSON.stringify({ machine, isShort: options.short, figures }, null, 2)}\n`;
    if (options.json === "-") process.stdout.write(text);
    else writeFileSync(options.json, text);
  }
  if (options.commit) {
    const named = figures.filter(isRatio).map((figure) => [figure.name, Number(merit(figure).toPrecision(3))] as const);
    const ratios = Object.fromEntries(named);
    writeFileSync(RATIOS, `${JSON.stringify(ratios, null, 2)}\n`);
  }
}

await main();
