// Options that name witnesses: of checkpoint, which asks for what they cosigned, and of verify, which reads it in a file.
import type { Command } from "commander";
import type { Witnessed, WitnessPolicy } from "../client/trust/index.js";
import { InvalidArgument } from "../core/errors.js";
import { collect, listOption, textOption } from "./command.js";
import { parseCount } from "./encoding.js";

type Options = Readonly<Record<string, unknown>>;

/** For a command that can require k of n witnesses. */
export function withWitnesses(command: Command): Command {
  return command
    .option("--witness <key>", "a witness that must have cosigned the log (repeatable)", collect, [])
    .option("--required <n>", "how many of the witnesses must have (default: all)")
    .option("--max-witness-age <ms>", "greatest age of their cosignatures, in milliseconds");
}

/** What those options say; undefined where no witness is named. @throws InvalidArgument */
export function witnessPolicy(options: Options): WitnessPolicy | undefined {
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

/** The member `witnesses` of a result, where some were named. */
export function witnessesMember(witnesses: readonly Witnessed[] | undefined): {
  readonly witnesses?: readonly { readonly key: string; readonly size: number; readonly time: number }[];
} {
  if (witnesses === undefined) return {};
  return { witnesses: witnesses.map(({ witness, size, timeMs }) => ({ key: witness, size, time: timeMs })) };
}
