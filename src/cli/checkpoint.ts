// neleus checkpoint and cosign: how far the log is, and who else has seen it.
import type { Command } from "commander";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { counted } from "./output.js";
import { collect, freshOption, leaf, listOption, withFreshness } from "./command.js";
import { formatTime } from "./commit.js";
import { readInput } from "./encoding.js";
import type { Session } from "./session.js";
import { witnessesMember, witnessPolicy, withWitnesses } from "./witnesses.js";

type Options = Readonly<Record<string, unknown>>;

export function registerCheckpoint(program: Command): void {
  withWitnesses(
    withFreshness(leaf(program, "checkpoint", "the newest checkpoint of the log, verified", showCheckpoint)),
  );
  leaf(program, "cosign <file>", "hand in what witnesses have put under a checkpoint (- for stdin)", cosign).option(
    "--witness <key>",
    "verifier key of a witness whose line is meant (repeatable)",
    collect,
    [],
  );
}

async function showCheckpoint(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const { output, signal } = session;
  const policy = witnessPolicy(options);
  const client = await session.client();
  const call = { signal, ...freshOption(options) };
  const { checkpoint, logTimeMs, witnesses } =
    policy === undefined
      ? { ...(await client.checkpoint(call)), witnesses: undefined }
      : await client.witnessed(policy, call);
  const { note, origin, size, root } = checkpoint;
  const cosigned = witnessesMember(witnesses);
  await output.result({ note, origin, size, root, time: logTimeMs, ...cosigned }, () => (output.json ? "" : note));
  output.notice(`newest leaf written ${formatTime(logTimeMs)}, log root ${toHex(root)}`);
  for (const { key, size: leaves, time } of cosigned.witnesses ?? []) {
    output.notice(`cosigned by ${key}: ${counted(leaves, "leaf", "leaves")}, ${formatTime(time)}`);
  }
}

async function cosign(session: Session, args: readonly string[], options: Options): Promise<void> {
  const witnessKeys = listOption(options, "witness");
  if (witnessKeys.length === 0) {
    throw new InvalidArgument("whose lines are meant? give the key of each --witness", { field: "witness" });
  }
  const { signal } = session;
  const checkpoint = new TextDecoder().decode(await readInput(args[0] ?? "", { field: "file", signal }));
  const { size } = await (await session.client()).submitCosignatures({ checkpoint, witnessKeys }, { signal });
  await session.output.result(
    { size, witnesses: [...witnessKeys] },
    () => `kept: ${witnessKeys.length} cosigned the log of ${counted(size, "leaf", "leaves")}`,
  );
}
