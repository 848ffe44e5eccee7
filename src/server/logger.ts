// Structured log of the server: a level, a message, and fields. The default writes one JSON document a line to stderr:
//
//   {"time":"2026-01-31T12:00:00.000Z","level":"warn","message":"call failed","request_id":"9f2c41d0-7","code":"CORRUPT"}
//
// Messages are constant text; whatever varies is a field, so that a log can be searched. JSON escapes line breaks and
// control characters, so no field can forge a line.

import { inspect } from "node:util";

/** How much a line matters, least first. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What varies from line to line. Absent values are left out. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Takes what the server has to say. Must not throw. */
export interface Logger {
  /** False where lines of this level are dropped: callers then need not make their fields. */
  isEnabled(level: LogLevel): boolean;
  log(level: LogLevel, message: string, fields?: LogFields): void;
}

export interface JsonLinesOptions {
  /** The least level that is written. Default `warn`. */
  readonly level?: LogLevel;
  /** Takes one line with its line break. Default: stderr. */
  readonly write?: (line: string) => void;
}

/** Longest text of one field, in UTF-16 units: a log is not a place for payloads. */
const MAX_FIELD_CHARACTERS = 8_192;

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A logger that writes JSON lines. */
export function jsonLinesLogger(options: JsonLinesOptions = {}): Logger {
  const least = RANK[options.level ?? "warn"];
  const write = options.write ?? ((line: string): void => void process.stderr.write(line));
  return {
    isEnabled: (level) => RANK[level] >= least,
    log: (level, message, fields = {}) => {
      if (RANK[level] < least) return;
      const line: Record<string, unknown> = { time: new Date().toISOString(), level, message };
      for (const [name, value] of Object.entries(fields)) {
        if (value !== undefined) line[name] = typeof value === "string" ? value.slice(0, MAX_FIELD_CHARACTERS) : value;
      }
      write(`${JSON.stringify(line)}\n`);
    },
  };
}

/** Fields that describe whatever was thrown, with its stack and the chain of its causes. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: inspect(error) };
  const causes: string[] = [];
  for (let cause = error.cause; cause !== undefined && causes.length < 8;) {
    causes.push(cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return {
    error: error.message,
    name: error.name,
    stack: error.stack,
    cause: causes.length > 0 ? causes.join("\ncaused by: ") : undefined,
  };
}
