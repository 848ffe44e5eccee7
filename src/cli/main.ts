// The `neleus` program: builds the commands, runs one, and sets the exit code.
import { Command, CommanderError } from "commander";
import { PROGRAM_VERSION } from "../core/version.js";
import { registerBlob } from "./blob.js";
import { withGlobals, leaf, usageError } from "./command.js";
import { registerCommit } from "./commit.js";
import { registerCompletion } from "./completion.js";
import { registerDb } from "./db.js";
import { registerHead } from "./head.js";
import { registerKey } from "./key.js";
import { registerManifest } from "./manifest.js";
import { reportError } from "./output.js";
import { registerCheckpoint } from "./checkpoint.js";
import { registerProof } from "./proof.js";
import { registerServe } from "./serve.js";
import { registerState } from "./state.js";
import { registerTag } from "./tag.js";
import { registerTrust } from "./trust.js";

/** The whole command tree. */
export function createProgram(): Command {
  const program = withGlobals(
    new Command("neleus")
      .description("A verifiable, content-addressed, versioned database for AI agents.")
      .version(PROGRAM_VERSION, "-V, --version", "print the version")
      .showHelpAfterError(false)
      .addHelpText("after", "\nStart: neleus db init ./neleus_db && neleus serve\nDocs: README.md, docs/API.md"),
  );
  program.exitOverride((error) => {
    throw usageError(error, program) ?? error;
  });
  program.configureOutput({ writeErr: () => undefined });
  registerDb(program);
  registerServe(program);
  registerBlob(program);
  registerManifest(program);
  registerState(program);
  registerCommit(program);
  registerHead(program);
  registerTag(program);
  registerKey(program);
  registerTrust(program);
  registerProof(program);
  registerCheckpoint(program);
  registerCompletion(program);
  leaf(program, "version", "print the version", async (session) => {
    await session.output.result({ version: PROGRAM_VERSION, node: process.version }, () => PROGRAM_VERSION);
  });
  return program;
}

/** Runs one command. Failures are printed and become `process.exitCode`; nothing is thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that closes the pipe early (`| head`) is no failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 70);
  });
  const program = createProgram();
  try {
    if (argv.length === 0) program.help();
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    // What is left of commander's own is help and version, which are no failure.
    if (!(error instanceof CommanderError)) process.exitCode = reportError(error, { json: argv.includes("--json") });
  }
}
