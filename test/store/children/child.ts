// Programs that the tests of this folder run as processes of their own: `node child.js <program> <database> [argument]`.
// Each writes one line to stdout for every step that is done, synchronously, so that a line which was read is a step
// that had returned.
import { spawnSync } from "node:child_process";
import { writeSync } from "node:fs";
import { readU64be, u64be, utf8 } from "#src/core/bytes.js";
import { NeleusError } from "#src/core/errors.js";
import { ConditionFailed, createDirectory, openDirectory } from "#src/store/index.js";
import type { Store } from "#src/store/index.js";

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

/** The row that the increments compare and swap. */
const COUNTER = { space: "meta", key: utf8("counter") } as const;

async function increment(store: Store, times: number): Promise<void> {
  let conflicts = 0;
  for (let done = 0; done < times;) {
    const [old] = await store.snapshot([COUNTER]);
    const next = utf8(String(old === undefined ? 1 : Number(Buffer.from(old).toString()) + 1));
    try {
      await store.write({
        conditions: [{ ...COUNTER, expected: old ?? "absent" }],
        puts: [{ ...COUNTER, value: next }],
      });
      done += 1;
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      conflicts += 1;
    }
  }
  say(`conflicts ${conflicts}`);
}

/** Opens its directory over and over while it writes to it. */
async function reopen(store: Store, path: string): Promise<void> {
  const endsMs = Date.now() + 1_500;
  const writing = (async () => {
    for (let number = 0; Date.now() < endsMs; number += 1) {
      await store.write({ puts: [{ space: "meta", key: u64be(number), value: new Uint8Array(3_000) }] });
    }
  })();
  while (Date.now() < endsMs) await (await openDirectory(path)).store.close();
  await writing;
  say("done");
}

/** Writes rows from `from` on until it is killed, several batches at a time; each batch is three rows or none. */
async function load(store: Store, from: number): Promise<void> {
  let next = from;
  const writer = async (): Promise<void> => {
    for (;;) {
      const number = next;
      next += 1;
      const value = new Uint8Array(1500).fill(number);
      await store.write({
        puts: [
          { space: "log", key: u64be(number), value },
          { space: "meta", key: u64be(number), value },
          { space: "requests", key: u64be(number), value },
        ],
      });
      say(String(number));
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
}

/** The blob that the upload programs store: 200,000 bytes under a hash of 32 sevens. */
async function upload(store: Store): Promise<void> {
  const content = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 7) & 255);
  const staged = await store.files.stage("upload", { metadata: utf8("owner") });
  say(`staged ${staged.sizeBytes}`);
  for (let offset = staged.sizeBytes; offset < content.length; offset += 50_000) {
    await staged.append(offset, content.subarray(offset, offset + 50_000));
    if (offset !== 100_000) continue;
    await staged.sync();
    say(`synced ${staged.durableSizeBytes}`);
  }
  await staged.appendOutboard(new Uint8Array(800).fill(3));
  await staged.publish(new Uint8Array(32).fill(7));
  say("published");
}

/** Stages two files, of which one is to be gone on with whoever dies, and waits. */
async function stage(store: Store): Promise<void> {
  for (const [id, lifetime] of [
    ["kept", "upload"],
    ["dropped", "process"],
  ] as const) {
    const staged = await store.files.stage(id, { metadata: utf8("owner"), lifetime });
    await staged.append(0, new Uint8Array(1000));
    await staged.sync();
  }
  say("staged");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}

/** What a refused write is to the caller. */
function describe(error: unknown): string {
  return error instanceof NeleusError
    ? `${error.code} ${String(error.facts["system_code"])}`
    : `untyped ${String(error)}`;
}

/** Makes room on the "disk": files may grow again. */
function makeRoom(): void {
  const { status } = spawnSync("prlimit", ["--pid", String(process.pid), "--fsize=unlimited:"]);
  if (status !== 0) throw new Error("prlimit (util-linux) failed");
}

/** Writes rows, or appends to an upload, until the system refuses; and goes on after room was made. */
async function fill(store: Store, what: string): Promise<void> {
  const value = new Uint8Array(60_000).fill(1);
  if (what === "rows") {
    const write = (number: number) =>
      store.write({
        puts: [
          { space: "requests", key: u64be(number), value },
          { ...COUNTER, value: u64be(number) },
        ],
      });
    let rows = 0;
    const refusal = await firstRefusal(() => write(rows).then(() => (rows += 1)));
    say(`refused ${refusal}`);
    say(`still ${await firstRefusal(() => write(rows))}`);
    const [last, counter] = await store.snapshot([{ space: "requests", key: u64be(rows) }, COUNTER]);
    say(`whole ${last === undefined && counter !== undefined && readU64be(counter) === rows - 1}`);
    makeRoom();
    await write(rows);
  } else {
    const staged = await store.files.stage("upload", { metadata: utf8("owner") });
    say(`refused ${await firstRefusal(() => staged.append(staged.sizeBytes, value))}`);
    const size = staged.sizeBytes;
    say(`still ${await firstRefusal(() => staged.append(size, value))}`);
    say(`whole ${staged.sizeBytes === size && size % value.length === 0}`);
    makeRoom();
    // What the refused append left behind the end is no part of the blob.
    await staged.publish(new Uint8Array(32));
    const blob = await store.files.open(new Uint8Array(32));
    if (blob?.sizeBytes !== size) throw new Error("the blob is of another size");
    await blob.close();
  }
  say("again");
}

async function firstRefusal(attempt: () => Promise<unknown>): Promise<string> {
  for (;;) {
    try {
      await attempt();
    } catch (error) {
      return describe(error);
    }
  }
}

const [program, path = "", argument = ""] = process.argv.slice(2);
switch (program) {
  case "init": {
    const initialise = (store: Store) => store.write({ puts: [{ ...COUNTER, value: utf8("first") }] });
    const { store } = await createDirectory(path, { initialise });
    say("made");
    await store.close();
    break;
  }
  case "fill":
  case "increment":
  case "load":
  case "look":
  case "reopen":
  case "stage":
  case "upload":
  case "write": {
    const { store } = await openDirectory(path);
    say("open");
    if (program === "increment") await increment(store, Number(argument));
    else if (program === "reopen") await reopen(store, path);
    else if (program === "load") await load(store, Number(argument));
    else if (program === "upload") await upload(store);
    else if (program === "fill") await fill(store, argument);
    else if (program === "stage") await stage(store);
    else if (program === "look") {
      await store.snapshot([COUNTER]);
      say("looked");
    } else {
      await store.write({ puts: [{ ...COUNTER, value: utf8(argument) }] });
      say("acknowledged");
    }
    await store.close();
    break;
  }
  default:
    throw new Error(`no program ${String(program)}`);
}
