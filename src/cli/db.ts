// neleus db: making a database and looking at one.
import { resolve } from "node:path";
import type { Command } from "commander";
import { fileTrustStore } from "../client/file-trust-store.js";
import { InvalidArgument, Unavailable } from "../core/errors.js";
import { parseOrigin } from "../core/log/index.js";
import type { EpochReason } from "../database/index.js";
import type { Algorithm } from "../store/index.js";
import { recoveryFields, recoveryNotice } from "./recovery.js";
import { group, leaf, requiredOption, textOption } from "./command.js";
import { parseCount, readInput } from "./encoding.js";
import { registerFsck } from "./fsck.js";
import { registerGc } from "./gc.js";
import type { Session } from "./session.js";

/** As the store has them, which is loaded only where it is needed. */
const ALGORITHM_NAMES: readonly Algorithm[] = ["aes-256-gcm", "chacha20-poly1305"];

type Options = Readonly<Record<string, unknown>>;

export function registerDb(program: Command): void {
  const db = group(program, "db", "databases");
  leaf(db, "init <path>", "make a database with one head, main", initDatabase)
    .option(
      "--encrypt",
      "encrypt it at rest; the password is that of NELEUS_DB_ENCRYPTION_PASSWORD, or of its _FILE or _COMMAND",
    )
    .option("--algorithm <name>", `with --encrypt: ${ALGORITHM_NAMES.join(" or ")}`)
    .option("--kdf-iterations <count>", "with --encrypt: iterations of PBKDF2 that turn the password into a key")
    .option("--origin-host <host>", "DNS name that the log's name begins with, in the place of neleus");
  leaf(db, "new-epoch", "begin a new log with a new key: of a directory that was restored or copied", newEpoch)
    .requiredOption("--reason <reason>", "restored, cloned or rekeyed: it stays in the log, and clients are told")
    .option("--previous <file>", "the last checkpoint known of the log before, where it is later than this copy's")
    .option("--now", "rekeyed, though no key was announced: every client has to be told to trust the new one")
    .option("--origin-host <host>", "DNS name that the log's name begins with from now on");
  leaf(
    db,
    "rotate-key",
    "give an encrypted database another password: NELEUS_DB_ENCRYPTION_NEW_PASSWORD",
    rotateKey,
  ).option(
    "--kdf-iterations <count>",
    "iterations of PBKDF2 that turn the new password into a key; as before if not given",
  );
  leaf(db, "rotate-log-key", "announce the key of the next epoch; with --finish, begin that epoch", rotateLogKey)
    .option("--finish", "begin the epoch of the announced key: clients who saw the announcement follow")
    .option("--now", "with --finish, though no key was announced: every client has to be told to trust the new one");
  registerFsck(db);
  registerGc(db);
  leaf(db, "info", "what the database is: its id, its key, its sizes", showInfo);
}

async function initDatabase(session: Session, args: readonly string[], options: Options): Promise<void> {
  if (session.isRemote) throw new InvalidArgument("db init makes a directory: give no --server", { field: "server" });
  const path = args[0] ?? "";
  if (path === "") throw new InvalidArgument("the path is empty", { field: "path" });
  const encryption = wantedEncryption(options);
  const { Database } = await import("../database/index.js");
  const database = await Database.create(path, { encryption, originHost: textOption(options, "originHost") });
  try {
    const { id, log, directory } = database;
    const isEncrypted = directory?.config.encryption.enabled === true;
    await session.output.result(
      { path: resolve(path), database: id, key: log.verifierKey, origin: log.origin, encryption: isEncrypted },
      () => `made ${resolve(path)}${isEncrypted ? ", encrypted" : ""}, head main\nkey ${log.verifierKey}`,
    );
  } finally {
    await database.close();
  }
}

/** What a new database's encryption is to be. The engine knows the algorithms; this only wants the options to fit together. */
function wantedEncryption(options: Options): { algorithm?: Algorithm; kdfIterations?: number } | undefined {
  const algorithm = textOption(options, "algorithm");
  const kdfIterations = iterationsOption(options);
  if (options["encrypt"] !== true) {
    const field = algorithm !== undefined ? "algorithm" : "kdf-iterations";
    if (algorithm === undefined && kdfIterations === undefined) return undefined;
    throw new InvalidArgument(`--${field} goes with --encrypt`, { field });
  }
  const known = ALGORITHM_NAMES.find((name) => name === algorithm);
  if (algorithm !== undefined && known === undefined) {
    throw new InvalidArgument(`--algorithm is one of ${ALGORITHM_NAMES.join(", ")}, not "${algorithm}"`, {
      field: "algorithm",
    });
  }
  return {
    ...(known === undefined ? {} : { algorithm: known }),
    ...(kdfIterations === undefined ? {} : { kdfIterations }),
  };
}

function iterationsOption(options: Options): number | undefined {
  const text = textOption(options, "kdfIterations");
  return text === undefined ? undefined : parseCount(text, "kdf-iterations");
}

async function rotateKey(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const path = session.localDirectory("db rotate-key");
  const kdfIterations = iterationsOption(options);
  const { rotateEncryptionKey } = await import("../store/index.js");
  await rotateEncryptionKey(path, { kdfIterations });
  await session.output.result(
    { path: resolve(path) },
    () =>
      `${resolve(path)} opens with the new password; copies of meta/config.json that were made before still open with the old one`,
  );
}

async function newEpoch(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const path = session.localDirectory("db new-epoch");
  const reason = oneReason(requiredOption(options, "reason"));
  const file = textOption(options, "previous");
  const { signal } = session;
  const previous =
    file === undefined ? undefined : new TextDecoder().decode(await readInput(file, { field: "previous", signal }));
  const { Database } = await import("../database/index.js");
  const { changeConfig } = await import("../store/index.js");
  const database = await Database.open(path, {
    onRecovered: (recovery) => session.output.notice(recoveryNotice(recovery)),
  });
  try {
    const { verifierKey: before } = database.log;
    const announcement = options["now"] === true ? "waived" : "required";
    const originHost = textOption(options, "originHost");
    const begun = await database.epochs.begin({ reason, previous, announcement, originHost });
    if (originHost !== undefined) await changeConfig(path, (config) => ({ ...config, originHost }));
    // Whoever begins it need not be asked whether to trust it.
    await goOn(database.id, { from: before, to: begun.verifierKey, checkpoint: begun.receipt.checkpoint });
    await session.output.result(
      {
        path: resolve(path),
        database: database.id,
        epoch: begun.epoch,
        reason,
        origin: begun.origin,
        key: begun.verifierKey,
        previous: begun.previous,
      },
      () => `epoch ${begun.epoch} (${reason})\nkey ${begun.verifierKey}`,
    );
  } finally {
    await database.close();
  }
}

/** What this user remembers of the directory's database, if it is of the epoch before, names the new one. */
async function goOn(
  databaseId: string,
  { from, to, checkpoint }: { readonly from: string; readonly to: string; readonly checkpoint: string },
): Promise<void> {
  const nowMs = Date.now();
  try {
    await fileTrustStore().update({ databaseId }, (present) => {
      if (present?.verifierKey !== from) return present;
      const { isPinned } = present;
      return { verifierKey: to, isPinned, checkpoints: [checkpoint], sinceMs: nowMs, seenMs: nowMs };
    });
  } catch (error) {
    // The epoch has begun. What is remembered then has to be told like that of everybody else.
    if (!(error instanceof Unavailable)) throw error;
  }
}

function oneReason(text: string): EpochReason {
  const reasons: readonly EpochReason[] = ["restored", "cloned", "rekeyed"];
  const reason = reasons.find((known) => known === text);
  if (reason !== undefined) return reason;
  throw new InvalidArgument(`--reason is one of ${reasons.join(", ")}, not "${text}"`, { field: "reason" });
}

async function rotateLogKey(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const isFinish = options["finish"] === true;
  const isNow = options["now"] === true;
  if (isNow && !isFinish) throw new InvalidArgument("--now goes with --finish", { field: "now" });
  const client = await session.client();
  const step = isNow ? "finish-unannounced" : isFinish ? "finish" : "announce";
  const { verifierKey, nextVerifierKey, checkpoint } = await client.rotateKey({ step, signal: session.signal });
  await session.output.result({ key: verifierKey, next_key: nextVerifierKey, checkpoint: checkpoint.note }, () =>
    nextVerifierKey === undefined
      ? `key ${verifierKey}`
      : `announced ${nextVerifierKey}\nin force  ${verifierKey}\nwhen clients had time to see it: neleus db rotate-log-key --finish`,
  );
}

async function showInfo(session: Session): Promise<void> {
  if (session.isRemote) return showRemoteInfo(session);
  const path = session.localDirectory("db info");
  const { Database } = await import("../database/index.js");
  const { openDirectory } = await import("../store/index.js");
  const { config, store, recovery } = await openDirectory(path);
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
        next_key: database.log.nextVerifierKey,
        origin: database.log.origin,
        origin_host: parseOrigin(database.log.origin).host,
        rolled_back: database.log.lost !== undefined,
        schema_version: config.schemaVersion,
        encryption: config.encryption.enabled,
        ...(config.encryption.enabled ? { algorithm: config.encryption.settings.algorithm } : {}),
        verify_on_read: database.verifyOnRead,
        ...(recovery === undefined ? {} : { recovered: recoveryFields(recovery) }),
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
          `log             ${database.log.origin}`,
          ...(database.log.nextVerifierKey === undefined ? [] : [`announced key   ${database.log.nextVerifierKey}`]),
          ...(database.log.lost === undefined
            ? []
            : ["rolled back     leaves were lost, and nothing is signed: see docs/OPERATIONS.md"]),
          `schema version  ${config.schemaVersion}`,
          `encryption      ${config.encryption.enabled ? config.encryption.settings.algorithm : "off"}`,
          ...(recovery === undefined ? [] : [`recovered       ${recoveryNotice(recovery).replace(/^neleus: /, "")}`]),
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
      next_key: capabilities.nextVerifierKey,
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
