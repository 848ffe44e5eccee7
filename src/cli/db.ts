// neleus db: making a database and looking at one.
import { resolve } from "node:path";
import type { Command } from "commander";
import { InvalidArgument, Unsupported } from "../core/errors.js";
import { group, leaf } from "./command.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerDb(program: Command): void {
  const db = group(program, "db", "databases");
  leaf(db, "init <path>", "make a database with one head, main", initDatabase).option(
    "--encrypt",
    "encrypt at rest (not in this version)",
  );
  leaf(db, "info", "what the database is: its id, its key, its sizes", showInfo);
}

async function initDatabase(session: Session, args: readonly string[], options: Options): Promise<void> {
  if (session.isRemote) throw new InvalidArgument("db init makes a directory: give no --server", { field: "server" });
  if (options["encrypt"] === true) {
    throw new Unsupported("encryption at rest is not in this version; nothing was made", {
      field: "encrypt",
      hint: "keep the directory on an encrypted file system, or wait for the release that has it",
    });
  }
  const path = args[0] ?? "";
  if (path === "") throw new InvalidArgument("the path is empty", { field: "path" });
  const { Database } = await import("../database/index.js");
  const database = await Database.create(path);
  try {
    const { id, log } = database;
    await session.output.result(
      { path: resolve(path), database: id, key: log.verifierKey },
      () => `made ${resolve(path)}, head main\nkey ${log.verifierKey}`,
    );
  } finally {
    await database.close();
  }
}

async function showInfo(session: Session): Promise<void> {
  if (session.isRemote) return showRemoteInfo(session);
  const path = session.localDirectory("db info");
  const { Database } = await import("../database/index.js");
  const { openDirectory } = await import("../store/index.js");
  const { config, store } = await openDirectory(path);
  const database = await Database.open(store, { verifyOnRead: config.verifyOnRead });
  try {
    const usage = await database.usage();
    const rowsText = Object.entries(usage.rows)
      .filter(([, count]) => count > 0)
      .map(([space, count]) => `${space} ${count}`)
      .join(", ");
    await session.output.result(
      {
        path: resolve(path),
        database: database.id,
        key: database.log.verifierKey,
        schema_version: config.schemaVersion,
        encryption: config.encryption.enabled,
        verify_on_read: database.verifyOnRead,
        sizes: {
          rows: usage.rows,
          row_files_bytes: usage.rowFilesBytes,
          large_blobs: usage.largeBlobs,
          large_blobs_bytes: usage.largeBlobsBytes,
          uploads: usage.uploads,
        },
      },
      () =>
        [
          `path            ${resolve(path)}`,
          `database        ${database.id}`,
          `key             ${database.log.verifierKey}`,
          `schema version  ${config.schemaVersion}`,
          // Always off in this version: a directory that asks for it is not opened.
          "encryption      off",
          `verify on read  ${database.verifyOnRead ? "on" : "off"}`,
          `rows            ${rowsText}; ${usage.rowFilesBytes} bytes on disk`,
          `large blobs     ${usage.largeBlobs}; ${usage.largeBlobsBytes} bytes`,
          `uploads         ${usage.uploads} in progress`,
        ].join("\n"),
    );
  } finally {
    await database.close();
  }
}

/** A server tells less: what it says is not proved, but for the key, which every checkpoint is held against. */
async function showRemoteInfo(session: Session): Promise<void> {
  const client = await session.client();
  const capabilities = await client.capabilities({ signal: session.signal });
  await session.output.result(
    {
      path: client.address,
      database: capabilities.databaseId,
      key: capabilities.verifierKey,
      origin: capabilities.origin,
      server_version: capabilities.version,
      features: capabilities.features,
      limits: capabilities.limits,
    },
    () =>
      [
        `server    ${client.address}, version ${capabilities.version}`,
        `database  ${capabilities.databaseId}`,
        `key       ${capabilities.verifierKey}`,
        ...Object.entries(capabilities.limits).map(([name, value]) => `limit     ${name} ${value}`),
      ].join("\n"),
  );
}
