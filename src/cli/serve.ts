// neleus serve: one directory over gRPC, on a loopback address or a Unix socket.
import type { Command } from "commander";
import { NotFound } from "../core/errors.js";
import { PROGRAM_VERSION } from "../core/version.js";
import type { Database, LostLeaves, Recovery } from "../database/index.js";
import { leaf, textOption } from "./command.js";
import { parseSeconds } from "./encoding.js";
import { toJsonText } from "./output.js";
import { recoveryFields } from "./recovery.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export const DEFAULT_LISTEN = "127.0.0.1:7117";

export function registerServe(program: Command): void {
  leaf(program, "serve", "serve the database over gRPC; prints one line of JSON once it listens", serve)
    .option("--listen <address>", "HOST:PORT on loopback (port 0: any), or unix:PATH", DEFAULT_LISTEN)
    .option("--exit-when-idle <seconds>", "end after so long without calls or connections")
    .option("--grace <seconds>", "on SIGTERM or Ctrl-C, wait so long for calls in progress", "10");
}

async function serve(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const directory = session.localDirectory("serve");
  const idle = textOption(options, "exitWhenIdle");
  const exitWhenIdleMs = idle === undefined ? undefined : parseSeconds(idle, "exit-when-idle", 1);
  const graceMs = parseSeconds(textOption(options, "grace") ?? "10", "grace");
  const [{ Database }, { createServices }, { jsonLinesLogger, startServer }] = await Promise.all([
    import("../database/index.js"),
    import("../service/index.js"),
    import("../server/index.js"),
  ]);
  const logger = jsonLinesLogger();
  const onRolledBack = ({ shown, own }: LostLeaves): void =>
    logger.log("error", "rolled back: nothing is signed until a new epoch begins", { shown, own });
  const onRecovered = (recovery: Recovery): void =>
    logger.log("warn", "recovered: a process had ended without closing the database", recoveryFields(recovery));
  const database = await Database.open(directory, { onRolledBack, onRecovered });
  const idleReached = new AbortController();
  try {
    const { lost } = database.log;
    if (lost !== undefined) onRolledBack(lost);
    const services = createServices({ version: PROGRAM_VERSION, database: async (name) => only(name, database) });
    const server = await startServer({
      services,
      logger,
      isFit: () => isFit(database),
      listen: textOption(options, "listen") ?? DEFAULT_LISTEN,
      ...(exitWhenIdleMs === undefined ? {} : { idle: { afterMs: exitWhenIdleMs, onIdle: () => idleReached.abort() } }),
    });
    await session.output.write(
      `${toJsonText({ address: server.address, database: database.id, key: database.log.verifierKey, pid: process.pid })}\n`,
    );
    await aborted(AbortSignal.any([session.signal, idleReached.signal]));
    await server.close({ graceMs });
  } finally {
    await database.close();
  }
}

/** Whether the database signs what it is asked for. What cannot be read of it shows in calls. */
function isFit({ log }: Database): boolean {
  try {
    return log.lost === undefined;
  } catch {
    return false;
  }
}

/** This server has one database. */
function only<T>(name: string, database: T): T {
  if (name !== "default") {
    throw new NotFound(`this server has no database "${name}"; it serves one, named "default"`, {
      field: "database",
      facts: { kind: "database", database: name },
    });
  }
  return database;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
