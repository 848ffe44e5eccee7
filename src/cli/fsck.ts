// neleus db fsck: findings a line each as they come, and what was looked at. Exit 8 where there is a finding.
//
// A directory is checked below its engine, so that it is also checked where the engine would not open it.
import type { Command } from "commander";
import type { FsckEvent, FsckFinding, FsckPlace, FsckSummary } from "../client/fsck.js";
import { toHex } from "../core/bytes.js";
import { Corrupt, InvalidArgument } from "../core/errors.js";
import { leaf, textOption } from "./command.js";
import { formatKey, keyMembers, parseCount } from "./encoding.js";
import { counted, printableText, type Printable } from "./output.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;
type Sample = { readonly count: number } | { readonly percent: number };

export function registerFsck(db: Command): void {
  leaf(db, "fsck", "check everything that is stored; exit 8 where something is wrong", checkDatabase)
    .option("--sample <n>", "not everything: some rows and blobs at random, N of each kind or N% of them")
    .option(
      "--repair-from <dir>",
      "fetch content that is missing or damaged from a copy of the database, then check again",
    );
}

async function checkDatabase(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const { output } = session;
  const text = textOption(options, "sample");
  const sample = text === undefined ? undefined : parseSample(text);
  let summary: FsckSummary | undefined;
  const from = textOption(options, "repairFrom");
  if (from !== undefined && sample !== undefined) {
    throw new InvalidArgument("--repair-from looks at everything: leave --sample", { field: "sample" });
  }
  for await (const event of await eventsOf(session, { sample, from })) {
    if (event.kind === "progress") output.progress(progressText(event.progress));
    else output.progressDone();
    if (event.kind === "finding")
      await output.result({ finding: findingJson(event.finding, session) }, () => findingText(event.finding, session));
    if (event.kind === "repaired") {
      const { place } = event;
      await output.result({ repaired: placeJson(place) }, () => `repaired  ${placeText(place)}`);
    }
    if (event.kind === "summary") ({ summary } = event);
  }
  if (summary === undefined) return;
  const { findings } = summary;
  await output.result({ summary: summaryJson(summary) }, () => summaryText(summary));
  if (findings === 0) return;
  throw new Corrupt(findings === 1 ? "1 finding" : `${findings} findings`, {
    hint: "each says what it affects and how to repair it; see docs/OPERATIONS.md",
    facts: { findings: String(findings) },
  });
}

async function eventsOf(
  session: Session,
  { sample, from }: { readonly sample: Sample | undefined; readonly from: string | undefined },
): Promise<AsyncIterable<FsckEvent | { readonly kind: "repaired"; readonly place: FsckPlace }>> {
  const { signal } = session;
  if (from !== undefined) {
    const { repairDirectory } = await import("../database/index.js");
    return repairDirectory(session.localDirectory("db fsck --repair-from"), from, { signal });
  }
  if (session.isRemote) return (await session.client()).fsck({ sample, signal });
  const { checkDirectory } = await import("../database/index.js");
  return checkDirectory(session.localDirectory("db fsck"), { sample, signal });
}

/** `1000` or `2.5%`. @throws InvalidArgument */
function parseSample(text: string): Sample {
  if (!text.endsWith("%")) return { count: parseCount(text, "sample", 1) };
  const percent = /^\d{1,3}(\.\d{1,4})?%$/.test(text) ? Number(text.slice(0, -1)) : NaN;
  if (percent > 0 && percent <= 100) return { percent };
  throw new InvalidArgument(`--sample is a number of rows, or a share of them such as 2.5%, not "${text}"`, {
    field: "sample",
  });
}

function progressText({
  phase,
  done,
  total,
  bytes,
}: {
  phase: string;
  done: number;
  total?: number | undefined;
  bytes: number;
}): string {
  const of = total === undefined ? "" : ` of ${total}`;
  return `${phase} ${done}${of}, ${(bytes / 1e6).toFixed(1)} MB`;
}

function placeText(place: FsckPlace): string {
  if ("path" in place) return place.path;
  if ("largeBlob" in place) return `blob file ${toHex(place.largeBlob)}`;
  return place.key === undefined ? `all of ${place.space}` : `${place.space} ${rowKeyText(place.space, place.key)}`;
}

/** Names of `meta` are words, everything else is bytes. */
function rowKeyText(space: string, key: Uint8Array): string {
  const text = Buffer.from(key).toString();
  return space === "meta" && /^[a-z0-9/-]+$/.test(text) ? text : toHex(key);
}

function findingText(finding: FsckFinding, { keyEncoding }: Session): string {
  const { kind, place, message, affects, affectedCount, repair } = finding;
  const lines = affects.map(({ name, map, key, above, last }) => {
    const whose = map === undefined || map === name ? name : `${name} ${map}`;
    if (key !== undefined) return `${whose}, key ${formatKey(key, keyEncoding)}`;
    if (above === undefined && last === undefined) return whose;
    const from = above === undefined ? "the first key" : `above ${formatKey(above, keyEncoding)}`;
    return `${whose}, ${from} to ${last === undefined ? "the last" : formatKey(last, keyEncoding)}`;
  });
  if (affectedCount > affects.length) lines.push(`and ${affectedCount - affects.length} more`);
  return [
    `${kind}  ${placeText(place)}`,
    `  ${message}`,
    ...lines.map((line) => `  affects ${line}`),
    `  repair: ${repair}`,
  ]
    .map(printableText)
    .join("\n");
}

function findingJson(finding: FsckFinding, { keyEncoding }: Session): Printable {
  const { kind, subject, place, message, affects, affectedCount, repair } = finding;
  return {
    kind,
    subject,
    where: placeJson(place),
    message,
    affects: affects.map(({ name, map, key, above, last }) => ({
      name,
      map,
      ...(key === undefined ? {} : keyMembers(key, keyEncoding)),
      keys_above: above && formatKey(above, keyEncoding),
      keys_to: last && formatKey(last, keyEncoding),
    })),
    affected_count: affectedCount,
    repair,
  };
}

function placeJson(place: FsckPlace): Printable {
  if ("path" in place) return { path: place.path };
  return "largeBlob" in place ? { large_blob: place.largeBlob } : { space: place.space, key: place.key };
}

function summaryJson({ findings, counts, bytes, logSize, refsRoot, leftOut }: FsckSummary): Printable {
  return {
    findings,
    counts: Object.fromEntries(
      counts.map(({ name, checked, total, unreachable }) => [name, { checked, total, unreachable }]),
    ),
    bytes,
    log_size: logSize,
    refs_root: refsRoot,
    left_out: leftOut,
  };
}

function summaryText({ findings, counts, bytes, logSize, leftOut }: FsckSummary): string {
  const lines = counts.map(({ name, checked, total, unreachable }) => {
    const of = checked === total ? String(total) : `${checked} of ${total}`;
    const idle = unreachable === undefined || unreachable === 0 ? "" : `, ${unreachable} reached by nothing`;
    return `${name.padEnd(12)} ${of}${idle}`;
  });
  const verdict = findings === 0 ? "nothing is wrong" : `${findings} found`;
  const ending = `${verdict}: ${(bytes / 1e6).toFixed(1)} MB read, log of ${counted(logSize, "leaf", "leaves")}`;
  return [...lines, ...leftOut.map((what) => `left out     ${what}`), ending].map(printableText).join("\n");
}
