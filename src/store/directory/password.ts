// Where the password of an encrypted database comes from: the caller; or else the environment, which one may set for a server,
// a shell and an SDK alike. It is never asked for on a terminal, and never printed.
//
//   NELEUS_DB_ENCRYPTION_PASSWORD            the password
//   NELEUS_DB_ENCRYPTION_PASSWORD_FILE       a file that holds it; a line end behind it is not part of it
//   NELEUS_DB_ENCRYPTION_PASSWORD_COMMAND    a command line for the shell, which prints it: of a secret manager, say
//
// and NELEUS_DB_ENCRYPTION_NEW_PASSWORD likewise, where it is changed.
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { utf8 } from "../../core/bytes.js";
import { InvalidArgument, PermissionDenied, Unavailable } from "../../core/errors.js";
import { onFile } from "../files/file-system.js";

/** Which password is meant: the one in force, or one that is to take its place. */
export type PasswordName = "NELEUS_DB_ENCRYPTION_PASSWORD" | "NELEUS_DB_ENCRYPTION_NEW_PASSWORD";

/** Longest password, in bytes. */
const MAX_PASSWORD_BYTES = 4_096;
const COMMAND_TIMEOUT_MS = 60_000;

/** A password, or how to come by it once it is needed. */
export type PasswordSource = string | Uint8Array | (() => Promise<string | Uint8Array>);

/**
 * The password of the database at `path`, in bytes; text as UTF-8, as it is.
 * @throws PermissionDenied - there is none
 * @throws Unavailable - the command that prints it failed
 * @throws InvalidArgument - it is empty or too long, or there are two
 */
export async function readPassword(
  source: PasswordSource | undefined,
  path: string,
  name: PasswordName = "NELEUS_DB_ENCRYPTION_PASSWORD",
): Promise<Uint8Array> {
  const given = typeof source === "function" ? await source() : (source ?? (await fromEnvironment(name)));
  if (given === undefined) {
    const what = name.includes("NEW") ? "new password" : "password";
    throw new PermissionDenied(`the database at ${path} is encrypted, and there is no ${what}`, {
      field: "password",
      hint: `set ${name}, ${name}_FILE or ${name}_COMMAND`,
      facts: { path },
    });
  }
  const bytes = typeof given === "string" ? utf8(given) : new Uint8Array(given);
  if (bytes.length > 0 && bytes.length <= MAX_PASSWORD_BYTES) return bytes;
  throw new InvalidArgument(`password: 1 to ${MAX_PASSWORD_BYTES} bytes, not ${bytes.length}`, { field: "password" });
}

async function fromEnvironment(name: PasswordName): Promise<string | Uint8Array | undefined> {
  const names = [name, `${name}_FILE`, `${name}_COMMAND`] as const;
  const [password, file, command] = names.map((variable) => process.env[variable] ?? "");
  const given = [password, file, command].filter((value) => value !== "");
  if (given.length > 1) throw new InvalidArgument(`set one of ${names.join(", ")}, not two`, { field: "password" });
  if (password) return password;
  if (file) return passwordIn(file);
  return command ? printedBy(command, names[2]) : undefined;
}

/** @throws Unavailable, PermissionDenied, InvalidArgument - it cannot be read, or is no such file */
async function passwordIn(path: string): Promise<Uint8Array> {
  const found = await onFile({ doing: "look at", path }, () => stat(path));
  if (found.isDirectory() || found.size > MAX_PASSWORD_BYTES + 2) {
    throw new InvalidArgument(`${path} is no file of a password`, { field: "password", facts: { path } });
  }
  return withoutLineEnd(await onFile({ doing: "read", path }, () => readFile(path)));
}

async function printedBy(command: string, variable: string): Promise<Uint8Array> {
  const [shell, flag] = process.platform === "win32" ? ["cmd.exe", "/c"] : ["/bin/sh", "-c"];
  const options = { encoding: "buffer", timeout: COMMAND_TIMEOUT_MS, maxBuffer: MAX_PASSWORD_BYTES + 2 } as const;
  try {
    const { stdout } = await promisify(execFile)(shell, [flag, command], options);
    return withoutLineEnd(stdout);
  } catch (cause) {
    // What it printed may be a secret: only how it ended is told.
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "a signal";
    throw new Unavailable(`the command in ${variable} failed (${code})`, {
      hint: "run it by hand: it has to print the password, and nothing else, within a minute",
    });
  }
}

function withoutLineEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  if (end < bytes.length && bytes[end - 1] === 0x0d) end -= 1;
  return new Uint8Array(bytes.subarray(0, end));
}
