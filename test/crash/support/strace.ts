// strace, which these tests are nothing without: where it is missing they fail, and are not skipped.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

/** Fails where system calls cannot be injected. */
export function requireStrace(): void {
  const probe = spawnSync("strace", [
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "inject=sync:error=EIO:when=1",
    process.execPath,
    "-e",
    "",
  ]);
  assert.equal(probe.status, 0, "strace is missing, or may not trace: apt-get install strace");
}
