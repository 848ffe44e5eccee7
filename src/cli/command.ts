// How commands are declared: commander does parsing, help and suggestions; every command takes the global options and runs
// in a session whose failures become one typed error and an exit code.
import type { Command, CommanderError } from "commander";
import { InvalidArgument } from "../core/errors.js";
import { parseCount, parseHash } from "./encoding.js";
import { writeEvidence } from "./evidence.js";
import { inOptions } from "./option-names.js";
import { reportError } from "./output.js";
import { Session, type Globals } from "./session.js";

/** What a command does, given its arguments in order and its own options by name. */
export type Action = (
  session: Session,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<void>;

/** Adds the global options: to the program, to each group and to each command, so that they may stand anywhere. */
export function withGlobals(command: Command): Command {
  return command
    .option("--db <dir>", "embedded database (default ./neleus_db)")
    .option("--server <address>", "remote database: host:port, https://host:port or unix:PATH")
    .option("--database <name>", "database on the server (default default)")
    .option("--key <verifier-key>", "pin the key of the database's log")
    .option("--tls-ca <file>", "certificate authority for https, PEM")
    .option("--key-encoding <encoding>", "how keys are written: utf8, hex or base64 (default utf8)")
    .option("--json", "one JSON document on stdout, streams one a line; errors as JSON on stderr")
    .option("--quiet", "no notices, no progress")
    .option("--no-color", "no colours; there are none yet, so that scripts may ask");
}

/** A group of commands, `neleus state …`. */
export function group(parent: Command, name: string, description: string): Command {
  const command = withGlobals(parent.command(name).description(description));
  inherit(command);
  return command;
}

/** One command. `usage` is its name and arguments in commander's notation. */
export function leaf(parent: Command, usage: string, description: string, action: Action): Command {
  const command = withGlobals(parent.command(usage).description(description));
  inherit(command);
  command.action(async (...parameters: unknown[]) => {
    // commander passes the arguments, then the options, then the command.
    const positional = parameters
      .slice(0, -2)
      .flatMap((parameter) => (parameter === undefined ? [] : (parameter as string | string[])));
    await runInSession(command.optsWithGlobals(), (session) => action(session, positional, command.opts()));
  });
  return command;
}

/** commander copies these settings only to commands made through the parent's factory before they change. */
function inherit(command: Command): void {
  command.exitOverride((error) => {
    throw usageError(error, command) ?? error;
  });
  command.configureOutput({ writeErr: () => undefined });
  command.allowExcessArguments(false);
}

async function runInSession(globals: Globals, run: (session: Session) => Promise<void>): Promise<void> {
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  process.once("SIGTERM", onInterrupt);
  let session: Session | undefined;
  try {
    session = new Session(globals, interrupt.signal);
    await run(session);
  } catch (error) {
    const evidence = session && (await writeEvidence(error, session, Date.now()));
    if (evidence !== undefined) session?.output.notice(`neleus: the evidence is kept in ${evidence}`);
    process.exitCode = interrupt.signal.aborted
      ? 130
      : reportError(inOptions(error), { json: globals.json === true, notices: session?.output.takeNotices() });
  } finally {
    session?.output.flushNotices();
    await session?.close();
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onInterrupt);
  }
}

/** What commander says of wrong usage of a command, as our error; help and version are no error. */
export function usageError(error: CommanderError, command: Command): InvalidArgument | undefined {
  if (error.exitCode === 0) return undefined;
  const path = commandPath(command);
  const commands = command.commands.map((child) => child.name()).join(", ");
  // A group without a command: commander would print its help, on stderr and with no word on what is wrong.
  const message =
    error.code === "commander.help"
      ? `${path} needs a command: ${commands}`
      : error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return new InvalidArgument(message, { field: "arguments", hint: `see: ${path} --help` });
}

/** As it is typed: `neleus state get`. */
function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

/** A text option's value, or undefined. */
export function textOption(options: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** A required text option's value: commander has refused its absence already. */
export function requiredOption(options: Readonly<Record<string, unknown>>, name: string): string {
  const value = textOption(options, name);
  if (value === undefined) throw new InvalidArgument(`--${name} is required`, { field: name });
  return value;
}

/** For a command that moves a ref: the option that makes it safe to run again. */
export function withIdempotencyKey(command: Command): Command {
  return command.option(
    "--idempotency-key <key>",
    "run again with the same key within 24 hours, it has one effect and the same result",
  );
}

/** What that option says, for the client. */
export function idempotencyOption(options: Readonly<Record<string, unknown>>): { readonly idempotencyKey?: string } {
  const idempotencyKey = textOption(options, "idempotencyKey");
  return idempotencyKey === undefined ? {} : { idempotencyKey };
}

/** Where a listing ends: `--limit` and `--max-bytes`, for the client. */
export function pageOptions(options: Readonly<Record<string, unknown>>): {
  readonly limit?: number;
  readonly maxBytes?: number;
} {
  const [limit, maxBytes] = [textOption(options, "limit"), textOption(options, "maxBytes")];
  return {
    ...(limit === undefined ? {} : { limit: parseCount(limit, "limit", 1) }),
    ...(maxBytes === undefined ? {} : { maxBytes: parseCount(maxBytes, "max-bytes", 1) }),
  };
}

/** `--expected-commit` and `--expected-root`, for the client. */
export function expectedOptions(options: Readonly<Record<string, unknown>>): {
  readonly expectedCommit?: Uint8Array;
  readonly expectedRoot?: Uint8Array;
} {
  const [commit, root] = [textOption(options, "expectedCommit"), textOption(options, "expectedRoot")];
  return {
    ...(commit === undefined ? {} : { expectedCommit: parseHash(commit, "expected-commit") }),
    ...(root === undefined ? {} : { expectedRoot: parseHash(root, "expected-root") }),
  };
}

/** For a command that reads what a head or tag has: the option that has it see a write of somebody else. */
export function withFreshness(command: Command): Command {
  return command.option(
    "--min-log-size <n>",
    "answer no older than the log of this size: one more than the log index of a write",
  );
}

/** What that option says, for the client. */
export function freshOption(options: Readonly<Record<string, unknown>>): { readonly minLogSize?: number } {
  const text = textOption(options, "minLogSize");
  return text === undefined ? {} : { minLogSize: parseCount(text, "min-log-size", 1) };
}

/** A repeatable option's values, in order. */
export function listOption(options: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? (value as string[]) : [];
}

/** For `.option(…, collect, [])`: gathers a repeatable option. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}
