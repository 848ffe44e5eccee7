// neleus state: keys and values of a head's staged state.
import type { Command } from "commander";
import type { Applied, StagedView, StateEntry, StateValue } from "../client/contract.js";
import { hashBlob } from "../core/blob/index.js";
import { concatBytes, toHex } from "../core/bytes.js";
import { NotFound } from "../core/errors.js";
import { MAX_INLINE_VALUE_BYTES } from "../core/limits.js";
import { repeatableContent } from "./blob.js";
import {
  freshOption,
  group,
  idempotencyOption,
  leaf,
  pageOptions,
  textOption,
  withFreshness,
  withIdempotencyKey,
} from "./command.js";
import { formatKey, keyMembers, parseKey } from "./encoding.js";
import { counted, printableText, toJsonText, type Printable } from "./output.js";
import { writeOutput } from "./output-file.js";
import type { Session } from "./session.js";
import { registerStateCompact } from "./state-compact.js";
import { rangeOptions, registerStateDiff } from "./state-diff.js";
import { registerStateLoad } from "./state-load.js";

export function registerState(program: Command): void {
  const state = group(program, "state", "keys and values of a head");
  withIdempotencyKey(
    leaf(state, "set <head> <key> <value-file>", "put a file's content (- for stdin) under a key", setKey),
  );
  withFreshness(
    leaf(state, "get <head> <key> [more-keys...]", "read keys, each present or proved absent", getKeys),
  ).option("--out-file <path>", "write the value to a file");
  withIdempotencyKey(leaf(state, "del <head> <key>", "delete a key", deleteKey));
  withFreshness(leaf(state, "scan <head>", "every key of a range in order, provably complete", scanKeys))
    .option("--prefix <key>", "only keys that start so")
    .option("--from <key>", "first key, included")
    .option("--to <key>", "end, excluded")
    .option("--limit <n>", "at most this many keys")
    .option("--max-bytes <n>", "end behind the key with which keys, cells and printed values reach this many bytes")
    .option("--values", "print the values too (JSON: base64)");
  registerStateDiff(state);
  registerStateLoad(state);
  registerStateCompact(state);
}

function appliedResult(head: string, applied: Applied): Record<string, Printable> {
  return { head, root: applied.root, log_index: applied.receipt.logIndex };
}

async function setKey(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [head = "", keyText = "", path = ""] = args;
  const key = parseKey(keyText, session.keyEncoding);
  const { applied, hash, size } = await putValue(session, { head, key, path, ...idempotencyOption(options) });
  await session.output.result(
    {
      head,
      ...keyMembers(key, session.keyEncoding),
      root: applied.root,
      hash,
      size,
      log_index: applied.receipt.logIndex,
    },
    () =>
      `${keyText} = ${toHex(hash)} (${counted(size, "byte")}), root ${toHex(applied.root)}, log index ${applied.receipt.logIndex}`,
  );
}

/** The value is uploaded as it is read, in bounded memory whatever its size, and then put by its hash. */
async function putValue(
  session: Session,
  put: {
    readonly head: string;
    readonly key: Uint8Array;
    readonly path: string;
    readonly idempotencyKey?: string;
  },
): Promise<{ applied: Applied; hash: Uint8Array; size: number }> {
  const client = await session.client();
  const options = { signal: session.signal, idempotencyKey: put.idempotencyKey };
  const source = await repeatableContent(put.path, session);
  const isLarge = source.size !== undefined && source.size > MAX_INLINE_VALUE_BYTES;
  const content = isLarge ? source : await smallOrStream(source.stream());
  const state = client.state(put.head);
  if (content instanceof Uint8Array) {
    const applied = await state.put(put.key, content, options);
    return { applied, hash: hashBlob(content), size: content.length };
  }
  const blob = await client.putBlob(content, { signal: session.signal });
  const applied = await state.apply([{ key: put.key, blob }], options);
  return { applied, hash: blob.hash, size: blob.sizeBytes };
}

/** The whole content where it is small enough to travel with the operation; else a stream of it. */
async function smallOrStream(source: AsyncIterable<Uint8Array>): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const content = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let sizeBytes = 0;
  for (;;) {
    const step = await content.next();
    if (step.done === true) return concatBytes(...first);
    first.push(step.value);
    sizeBytes += step.value.length;
    if (sizeBytes > MAX_INLINE_VALUE_BYTES) break;
  }
  return (async function* () {
    yield* first;
    yield* { [Symbol.asyncIterator]: () => content };
  })();
}

async function getKeys(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [head = "", ...keyTexts] = args;
  const keys = keyTexts.map((text) => parseKey(text, session.keyEncoding));
  const client = await session.client();
  const { staged } = await client.snapshot(head, { signal: session.signal, ...freshOption(options) });
  const [key] = keys;
  if (keys.length === 1 && key !== undefined) {
    await getOne(session, staged, { head, key, keyText: keyTexts[0] ?? "", outFile: textOption(options, "outFile") });
    return;
  }
  for await (const found of staged.getMany(keys, { signal: session.signal })) {
    const members = keyMembers(found.key, session.keyEncoding);
    const text = formatKey(found.key, session.keyEncoding);
    await session.output.result(
      found.value === undefined
        ? { head, ...members, present: false, root: staged.stateRoot }
        : { head, ...members, present: true, ...valueMembers(found.value), root: staged.stateRoot },
      () =>
        found.value === undefined ? `${text}  absent` : `${text}  ${toHex(found.value.hash)}  ${found.value.sizeBytes}`,
    );
  }
}

function valueMembers(value: StateValue): Record<string, Printable> {
  return { value: Buffer.from(value.bytes).toString("base64"), hash: value.hash, size: value.sizeBytes };
}

async function getOne(
  session: Session,
  staged: StagedView,
  wanted: {
    readonly head: string;
    readonly key: Uint8Array;
    readonly keyText: string;
    readonly outFile: string | undefined;
  },
): Promise<void> {
  const { head, key, keyText, outFile } = wanted;
  const client = await session.client();
  const options = { signal: session.signal };
  const entry = await staged.entry(key, options);
  if (entry === undefined) {
    throw new NotFound(`key "${keyText}" is not in the staged state of head "${head}" (proved absent)`, {
      field: "key",
      hint: `see: neleus state scan ${head}`,
      facts: { kind: "key", head, root: toHex(staged.stateRoot) },
    });
  }
  const described = {
    head,
    ...keyMembers(key, session.keyEncoding),
    hash: entry.hash,
    size: entry.sizeBytes,
    root: staged.stateRoot,
  };
  if (outFile !== undefined) {
    await writeOutput(outFile, client.blob(entry.hash).stream(options), session.output);
    await session.output.result(described, () => `${entry.sizeBytes} bytes written to ${outFile}`);
  } else if (session.output.json) {
    const bytes = await client.blob(entry.hash).bytes(options);
    await session.output.write(`${toJsonText({ ...described, value: Buffer.from(bytes).toString("base64") })}\n`);
  } else {
    await writeOutput("-", client.blob(entry.hash).stream(options), session.output);
  }
}

async function deleteKey(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [head = "", keyText = ""] = args;
  const key = parseKey(keyText, session.keyEncoding);
  const client = await session.client();
  const applied = await client.state(head).delete(key, { signal: session.signal, ...idempotencyOption(options) });
  await session.output.result(
    { ...appliedResult(head, applied), ...keyMembers(key, session.keyEncoding) },
    () => `deleted ${keyText}, root ${toHex(applied.root)}, log index ${applied.receipt.logIndex}`,
  );
}

async function scanKeys(
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const [head = ""] = args;
  const range = rangeOptions(session, options);
  const withValues = options["values"] === true;
  const client = await session.client();
  const { staged } = await client.snapshot(head, { signal: session.signal, ...freshOption(options) });
  const entries = staged.scan({
    ...range,
    ...pageOptions(options),
    ...(withValues ? { values: true } : {}),
    signal: session.signal,
  });
  for await (const entry of entries) await printEntry(session, entry, withValues);
}

async function printEntry(session: Session, entry: StateEntry, withValues: boolean): Promise<void> {
  const value = withValues ? (entry as StateValue).bytes : undefined;
  await session.output.result(
    {
      ...keyMembers(entry.key, session.keyEncoding),
      hash: entry.hash,
      size: entry.sizeBytes,
      ...(value === undefined ? {} : { value: Buffer.from(value).toString("base64") }),
    },
    () => {
      const line = `${formatKey(entry.key, session.keyEncoding)}  ${toHex(entry.hash)}  ${entry.sizeBytes}`;
      return value === undefined
        ? line
        : `${line}  ${printableText(JSON.stringify(Buffer.from(value).toString("utf8")))}`;
    },
  );
}
