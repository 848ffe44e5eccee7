// Goal: a log line is one JSON document whatever is logged. Method: hostile texts and errors, read back.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jsonLinesLogger } from "#src/server/index.js";
import { errorFields } from "#src/server/logger.js";

function logged(fields: Parameters<ReturnType<typeof jsonLinesLogger>["log"]>[2]): Record<string, unknown> {
  const lines: string[] = [];
  jsonLinesLogger({ write: (line) => lines.push(line) }).log("error", "message", fields);
  assert.equal(lines.length, 1);
  const [line = ""] = lines;
  assert.match(line, /^[^\n\r]*\n$/);
  return JSON.parse(line) as Record<string, unknown>;
}

describe("JSON lines", () => {
  test("time, level, message and fields, absent ones left out", () => {
    const { time, ...rest } = logged({ text: "a", count: 3, flag: false, absent: undefined });
    assert.deepEqual(rest, { level: "error", message: "message", text: "a", count: 3, flag: false });
    assert.equal(new Date(String(time)).toISOString(), time);
  });

  test("line breaks cannot forge a line, and long texts are cut", () => {
    const forged = '\n{"level":"error","message":"forged"}\r\u2028';
    assert.equal(logged({ text: forged })["text"], forged);
    assert.equal(String(logged({ text: "x".repeat(1e6) })["text"]).length, 8_192);
  });

  test("levels below the least are dropped", () => {
    const lines: string[] = [];
    const logger = jsonLinesLogger({ write: (line) => lines.push(line) });
    logger.log("debug", "a");
    logger.log("info", "b");
    logger.log("warn", "c");
    assert.equal(logger.isEnabled("info"), false);
    assert.equal(lines.length, 1);
    assert.equal(jsonLinesLogger({ level: "debug" }).isEnabled("debug"), true);
  });
});

describe("errors", () => {
  test("message, name, stack and causes", () => {
    const fields = errorFields(new TypeError("outer", { cause: new Error("inner", { cause: "innermost" }) }));
    assert.equal(fields["error"], "outer");
    assert.equal(fields["name"], "TypeError");
    assert.match(String(fields["stack"]), /logger\.test/);
    assert.match(String(fields["cause"]), /inner[\s\S]*innermost/);
  });

  test("whatever else was thrown", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const values = [undefined, null, "text", 7n, Symbol("s"), circular, Object.create(null), () => 1];
    for (const value of values) assert.equal(typeof errorFields(value)["error"], "string");
  });

  test("a circle of causes ends", () => {
    const error = new Error("round");
    error.cause = error;
    assert.equal(errorFields(error)["error"], "round");
  });
});
