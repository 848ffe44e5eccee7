// Names of heads and tags (FORMATS §7): 1–128 characters of A–Z a–z 0–9 . _ - and `/` between parts, no part `.` or `..`.
import { InvalidArgument } from "../errors.js";
import { MAX_NAME_CHARACTERS } from "../limits.js";

const ALLOWED = /^[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*$/;
const SHOWN_CHARACTERS = 64;

/** What is wrong with a name, as half a sentence; undefined where nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name.length > MAX_NAME_CHARACTERS) return `is longer than ${MAX_NAME_CHARACTERS} characters`;
  if (!ALLOWED.test(name)) return "may hold A–Z a–z 0–9 . _ - and single / between parts";
  if (name.split("/").some((part) => part === "." || part === "..")) return "may not have a part . or ..";
  return undefined;
}

/** What is wrong with the start of a name, where names that start so are asked for; undefined where nothing is. */
export function namePrefixProblem(prefix: string): string | undefined {
  if (prefix.length > MAX_NAME_CHARACTERS) return `is longer than ${MAX_NAME_CHARACTERS} characters`;
  return /^[A-Za-z0-9._/-]*$/.test(prefix) ? undefined : "may hold A–Z a–z 0-9 . _ - and /";
}

/**
 * Requires a proper name of a head or tag.
 * @throws InvalidArgument
 */
export function requireName(name: string): void {
  const problem = nameProblem(name);
  if (problem === undefined) return;
  throw new InvalidArgument(`the name ${JSON.stringify(name.slice(0, SHOWN_CHARACTERS))} ${problem}`);
}
