// neleus state count and state diff: how many keys a range of a head holds, and what differs between two states.
import type { Command } from "commander";
import type { StateChange, StateEntry } from "../client/contract.js";
import { compareBytes } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { freshOption, leaf, textOption, withFreshness } from "./command.js";
import { decodeText, formatKey, keyMembers } from "./encoding.js";
import { printableText, type Printable } from "./output.js";
import { placeArgument } from "./place.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerStateDiff(state: Command): void {
  withFreshness(leaf(state, "count <head>", "how many keys a range holds", countKeys))
    .option("--prefix <key>", "only keys that start so")
    .option("--from <key>", "first key, included")
    .option("--to <key>", "end, excluded");
  leaf(state, "diff <before> <after>", "what differs between two states, provably all of it", diffStates)
    .option("--values", "print the values after the change too, of at most 256 KiB (JSON: base64)")
    .addHelpText(
      "after",
      "\nA state is a head as it is staged (main, staged:main), its newest commit (head:main), a tag's (tag:NAME), a\n" +
        "commit (commit:HASH) or a state root (root:HASH).",
    );
}

/** The range that a command names. @throws InvalidArgument - it holds nothing */
export function rangeOptions(
  session: Session,
  options: Options,
): { readonly prefix?: Uint8Array; readonly from?: Uint8Array; readonly to?: Uint8Array } {
  const bound = (name: "prefix" | "from" | "to"): { readonly [K in typeof name]?: Uint8Array } => {
    const text = textOption(options, name);
    return text === undefined ? {} : { [name]: decodeText(text, session.keyEncoding, name) };
  };
  const range = { ...bound("prefix"), ...bound("from"), ...bound("to") };
  if (range.from !== undefined && range.to !== undefined && compareBytes(range.from, range.to) >= 0) {
    throw new InvalidArgument("--from is not below --to: the range holds nothing", { field: "to" });
  }
  return range;
}

async function countKeys(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const range = rangeOptions(session, options);
  const { signal } = session;
  const { staged } = await (await session.client()).snapshot(head, { signal, ...freshOption(options) });
  const count = await staged.count({ ...range, signal });
  await session.output.result({ head, count, root: staged.stateRoot }, () => String(count));
}

async function diffStates(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [beforeText = "", afterText = ""] = args;
  const [before, after] = [placeArgument(beforeText, "before"), placeArgument(afterText, "after")];
  const { signal, output } = session;
  const values = options["values"] === true;
  let changes = 0;
  for await (const change of (await session.client()).diff(before, after, { values, signal })) {
    changes += 1;
    if (changes % 1_000 === 0) output.progress(`${changes} changes`);
    await printChange(session, change);
  }
  output.progressDone();
}

async function printChange(session: Session, change: StateChange): Promise<void> {
  const { before, after } = change;
  const kind = before === undefined ? "added" : after === undefined ? "removed" : "changed";
  const bytes = after !== undefined && "bytes" in after ? after.bytes : undefined;
  await session.output.result(
    {
      ...keyMembers(change.key, session.keyEncoding),
      change: kind,
      before: described(before),
      after: described(after),
      value: bytes === undefined ? undefined : Buffer.from(bytes).toString("base64"),
    },
    () => {
      const mark = { added: "+", removed: "-", changed: "~" }[kind];
      const line = `${mark} ${formatKey(change.key, session.keyEncoding)}  ${sizes(before, after)}`;
      return bytes === undefined ? line : `${line}  ${printableText(JSON.stringify(Buffer.from(bytes).toString()))}`;
    },
  );
}

function described(entry: StateEntry | undefined): Printable {
  return entry === undefined ? undefined : { hash: entry.hash, size: entry.sizeBytes };
}

function sizes(before: StateEntry | undefined, after: StateEntry | undefined): string {
  const parts = [before, after].flatMap((entry) => (entry === undefined ? [] : [`${entry.sizeBytes}`]));
  return `${parts.join(" -> ")} bytes`;
}
