// What the program prints. With --json: one JSON document on stdout, or one a line for streams, and errors as
// {"error": {…}} on stderr with stdout empty. Without: plain text. Progress and notices go to stderr, on a terminal only.
import { toHex } from "../core/bytes.js";
import { NeleusError } from "../core/errors.js";
import { EXIT_CODES } from "./exit.js";

/** What may stand in a result: JSON, hashes as bytes (printed in lower-case hex), and absent members (left out). */
export type Printable =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly Printable[]
  | { readonly [key: string]: Printable };

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
}

/** JSON of a result: bytes in hex, 64-bit numbers as numbers (all of ours are below 2^53). */
export function toJsonText(value: Printable): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (member instanceof Uint8Array) return toHex(member);
    if (typeof member === "bigint") return Number(member);
    return member;
  });
}

/** A number of things, for people: `1 leaf`, `2 leaves`. */
export function counted(count: number | bigint, one: string, many = `${one}s`): string {
  return `${count} ${Number(count) === 1 ? one : many}`;
}

/** Control characters of stored text must not drive the terminal that shows it. */
export function printableText(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

export class Output {
  readonly #options: OutputOptions;
  readonly #notices: string[] = [];

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  get json(): boolean {
    return this.#options.json;
  }

  /** One result: the JSON form, or the lines of its plain form. */
  async result(json: Printable, plain: () => string): Promise<void> {
    await this.write(this.#options.json ? `${toJsonText(json)}\n` : ensureNewline(plain()));
  }

  /** Raw text or bytes to stdout, waiting for a slow reader, so that a long stream stays in bounded memory. */
  async write(data: string | Uint8Array): Promise<void> {
    if (data.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(data, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** A notice for the person who runs the command. With --json it waits, so that a failure is one document on stderr. */
  notice(text: string): void {
    if (this.#options.quiet) return;
    if (this.#options.json) this.#notices.push(text);
    else process.stderr.write(`${text}\n`);
  }

  /** The notices that wait, for the error that carries them. */
  takeNotices(): readonly string[] {
    return this.#notices.splice(0);
  }

  /** The notices that wait, on stderr, one JSON document a line: nothing has failed. */
  flushNotices(): void {
    for (const notice of this.takeNotices()) process.stderr.write(`${JSON.stringify({ notice })}\n`);
  }

  /** Progress of long work, overwritten in place; only on a terminal. */
  progress(text: string): void {
    if (this.#options.quiet || this.#options.json || !process.stderr.isTTY) return;
    process.stderr.write(`\r\u001b[K${text}`);
  }

  /** Clears the line of progress. */
  progressDone(): void {
    if (this.#options.quiet || this.#options.json || !process.stderr.isTTY) return;
    process.stderr.write("\r\u001b[K");
  }
}

function ensureNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** Prints a failure and says what to exit with. Never a stack trace unless NELEUS_DEBUG asks for one. */
export function reportError(
  error: unknown,
  options: { readonly json: boolean; readonly notices?: readonly string[] | undefined },
): number {
  const known = error instanceof NeleusError ? error : undefined;
  const code = known?.code ?? "INTERNAL";
  const message = error instanceof Error ? error.message : String(error);
  if (options.json) {
    const body = {
      code,
      message,
      field: known?.field,
      hint: known?.hint,
      ...(known && hasFacts(known) ? { facts: known.facts } : {}),
    };
    const { notices = [] } = options;
    process.stderr.write(`${JSON.stringify({ error: body, ...(notices.length === 0 ? {} : { notices }) })}\n`);
  } else {
    process.stderr.write(`neleus: ${printableText(message)}\n`);
    if (known?.field !== undefined) process.stderr.write(`  field: ${printableText(known.field)}\n`);
    if (known?.hint !== undefined) process.stderr.write(`  ${printableText(known.hint)}\n`);
  }
  if (process.env["NELEUS_DEBUG"] !== undefined && error instanceof Error)
    process.stderr.write(`${error.stack ?? ""}\n`);
  return EXIT_CODES[code];
}

function hasFacts(error: NeleusError): boolean {
  return Object.keys(error.facts).length > 0;
}
