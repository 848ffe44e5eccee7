// Checks the database in a directory, also where its engine would not open it.
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { Corrupt, InvalidArgument } from "../../core/errors.js";
import { examineFiles, examineRowsFile, openDirectory } from "../../store/index.js";
import type { DatabaseDirectory, FileFault } from "../../store/index.js";
import { checkStore } from "./check-store.js";
import type { FsckEvent, FsckOptions } from "./finding.js";
import { REPAIR_RESTORE } from "./finding.js";
import { repairStore } from "./repair.js";
import type { RepairEvent } from "./repair.js";

/**
 * The last event is the summary. Where the files do not let the rows be read, that is the one finding.
 * @throws NotFound, InvalidArgument - no database @throws Unsupported - of another version
 */
export async function* checkDirectory(
  path: string,
  options: FsckOptions = {},
): AsyncGenerator<FsckEvent, void, undefined> {
  let directory: DatabaseDirectory;
  try {
    for await (const fault of examineRowsFile(path)) {
      yield* cannotOpen(fault);
      return;
    }
    directory = await openDirectory(path);
  } catch (error) {
    if (!(error instanceof Corrupt)) throw error;
    yield* cannotOpen({ path: error.facts["path"] ?? path, message: error.message });
    return;
  }
  try {
    const files = examineFiles(path);
    yield* checkStore({ store: directory.store, clock: Date.now, files }, options);
  } finally {
    await directory.store.close();
  }
}

function* cannotOpen({ path, message }: Pick<FileFault, "path" | "message">): Generator<FsckEvent, void, undefined> {
  const finding = { kind: "damaged", subject: "file", place: { path }, message, repair: REPAIR_RESTORE } as const;
  yield { kind: "finding", finding: { ...finding, affects: [{ name: "everything" }], affectedCount: 1 } };
  const leftOut = ["everything else: the database cannot be opened like this"];
  yield {
    kind: "summary",
    summary: { findings: 1, counts: [], bytes: 0, logSize: 0, refsRoot: undefined, leftOut },
  };
}

/**
 * Mends the database in a directory with what another copy of it has (repair.ts). Neither needs to be left alone.
 * @throws NotFound, InvalidArgument, Unsupported - either is no database @throws Corrupt - either cannot be opened at all
 */
export async function* repairDirectory(
  path: string,
  from: string,
  options: Pick<FsckOptions, "signal"> = {},
): AsyncGenerator<RepairEvent, void, undefined> {
  if (resolve(path) === resolve(from)) {
    throw new InvalidArgument("a database cannot be repaired from itself", { field: "repair-from" });
  }
  const source = await openDirectory(from);
  try {
    const { store } = await openDirectory(path);
    const newUploadId = (): string => `t-${randomBytes(16).toString("hex")}`;
    try {
      yield* repairStore({ store, clock: Date.now }, source.store, { signal: options.signal, newUploadId });
    } finally {
      await store.close();
    }
  } finally {
    await source.store.close();
  }
}
