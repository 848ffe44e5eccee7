// neleus checkpoint and cosign: how far the log is, and who else has seen it.
import type { Command } from "commander";
import type { WitnessPolicy } from "../client/trust/index.js";
import { toHex } from "../core/bytes.js";
import { InvalidArgument } from "../core/errors.js";
import { collect, freshOption, leaf, listOption, textOption, withFreshness } from "./command.js";
import { formatTime } from "./commit.js";
import { parseCount, readInput } from "./encoding.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerCheckpoint(program: Command): void {
  withFreshness(leaf(program, "checkpoint", "the newest checkpoint of the log, verified", showCheckpoint))
    .option("--witness <key>", "a witness that must have cosigned the log (repeatable)", collect, [])
    .option("--required <n>", "how many of the witnesses must have (default: all)")
    .option("--max-witness-age <ms>", "greatest age of their cosignatures, in milliseconds");
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
  const cosigned = witnesses?.map(({ witness, ...seen }) => ({ key: witness, size: seen.size, time: seen.timeMs }));
  await output.result(
    { note, origin, size, root, time: logTimeMs, ...(cosigned === undefined ? {} : { witnesses: cosigned }) },
    () => (output.json ? "" : note),
  );
  output.notice(`newest leaf written ${formatTime(logTimeMs)}, log root ${toHex(root)}`);
  for (const { key, size: leaves, time } of cosigned ?? []) {
    output.notice(`cosigned by ${key}: ${leaves} leaves, ${formatTime(time)}`);
  }
}

/** Undefined where no witness is named. @throws InvalidArgument */
function witnessPolicy(options: Options): WitnessPolicy | undefined {
  const keys = listOption(options, "witness");
  const [required, age] = [textOption(options, "required"), textOption(options, "maxWitnessAge")];
  if (keys.length === 0 && (required !== undefined || age !== undefined)) {
    throw new InvalidArgument("whose cosignatures? give the key of each --witness", { field: "witness" });
  }
  if (keys.length === 0) return undefined;
  return {
    keys,
    required: required === undefined ? undefined : parseCount(required, "required", 1),
    maxAgeMs: age === undefined ? undefined : parseCount(age, "max-witness-age", 1),
  };
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
    () => `kept: ${witnessKeys.length} cosigned the log of ${size} leaves`,
  );
}
