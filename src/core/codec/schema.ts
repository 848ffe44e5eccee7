// A schema says once what a value looks like; both directions, and every error with its path, follow from it.
//
//   const io = struct<Io>({ name: text, blob: blobRef, media: optional(text) });
//   read(io, value)   the wire form, from outside → Io            or Malformed "inputs[2].blob[1]: expected …"
//   write(io, made)   an Io that a caller made → the wire form    or InvalidArgument, same path
//
// Members are camelCase in TypeScript and snake_case on the wire (`stateRoot`, `state_root`); paths name the wire form.
// Members that a struct does not know are kept in `extra`, so that reading and writing an object loses nothing.
// Cost: one pass, no copies of byte strings.
import { InvalidArgument, Malformed } from "../errors.js";
import type { NeleusError } from "../errors.js";
import { formatPath } from "./path.js";
import { isValueMap, setMember } from "./value.js";
import type { Value, ValueMap } from "./value.js";

/** Both directions of one type. Arguments are checked at run time, whatever the compiler was told about them. */
export interface Schema<T> {
  readonly read: (wire: Value, place: Place) => T;
  readonly write: (made: T, place: Place) => Value;
}

/** A schema whose member may be left out. */
export interface Optional<T> {
  readonly optional: Schema<T>;
}

/** What every struct also has. */
export interface Extensible {
  /** Members that this version does not know, by wire name, as received. They are hashed, kept and ignored. */
  readonly extra?: ValueMap;
}

/** Where a walk is, and how it refuses there. */
export class Place {
  readonly #path: (string | number)[] = [];
  readonly #refuse: (message: string, details: { readonly field?: string }) => NeleusError;

  constructor(refuse: (message: string, details: { readonly field?: string }) => NeleusError) {
    this.#refuse = refuse;
  }

  enter(step: string | number): void {
    this.#path.push(step);
  }

  leave(): void {
    this.#path.pop();
  }

  /** The error to throw here. */
  refusal(rule: string): NeleusError {
    const field = formatPath(this.#path);
    return field === "" ? this.#refuse(rule, {}) : this.#refuse(`${field}: ${rule}`, { field });
  }

  /** The error of a wrong type or range here. */
  unexpected(expected: string, got: unknown): NeleusError {
    return this.refusal(`expected ${expected}, got ${describe(got)}`);
  }
}

/** Wire form → T. @throws Malformed - `field` is the path of what is wrong */
export function read<T>(schema: Schema<T>, wire: Value): T {
  return schema.read(wire, new Place((message, details) => new Malformed(message, details)));
}

/** T → wire form. @throws InvalidArgument - `field` is the path of what is wrong */
export function write<T>(schema: Schema<T>, made: T): Value {
  return schema.write(made, new Place((message, details) => new InvalidArgument(message, details)));
}

const SHOWN_CHARACTERS = 40;

function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean") return String(value);
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return `the text ${JSON.stringify(value.slice(0, SHOWN_CHARACTERS))}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" ? "a map" : `a ${typeof value}`;
}

/** A type with the same form on both sides. `check` returns its argument, or throws a refusal. */
export function checked<T extends Value>(check: (value: unknown, place: Place) => T): Schema<T> {
  return { read: check, write: check };
}

/** Any value of the data model, null included. What it holds is checked by the codec alone. */
export const anything: Schema<Value> = { read: (wire) => wire, write: (made) => made };

/** Text of any length, empty included. */
export const text: Schema<string> = checked((value, place) => {
  if (typeof value !== "string") throw place.unexpected("text", value);
  return value;
});

/** An integer of 0 … 2^53 − 1. */
export const uint53: Schema<number> = integer({ least: 0, greatest: Number.MAX_SAFE_INTEGER });

/** An integer within a range, ends included. */
export function integer(range: { readonly least: number; readonly greatest: number }): Schema<number> {
  const { least, greatest } = range;
  const expected = `an integer of ${least} … ${greatest === Number.MAX_SAFE_INTEGER ? "2^53 − 1" : greatest}`;
  return checked((value, place) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > greatest) {
      throw place.unexpected(expected, value);
    }
    return value;
  });
}

/** A finite number, integral or not; integral ones within ±(2^53 − 1). */
export const number: Schema<number> = checked((value, place) => {
  const isNumber = typeof value === "number" && Number.isFinite(value);
  if (!isNumber || (Number.isInteger(value) && !Number.isSafeInteger(value))) throw place.unexpected("a number", value);
  return value;
});

/** A byte string of one length. */
export function bytes(length: number): Schema<Uint8Array> {
  return checked((value, place) => {
    if (!(value instanceof Uint8Array) || value.length !== length) throw place.unexpected(`${length} bytes`, value);
    return value;
  });
}

/** A 32-byte hash, branded by its checked constructor. */
export function hash<T extends Uint8Array>(brand: (bytes: Uint8Array) => T): Schema<T> {
  const bare = bytes(32);
  return { read: (wire, place) => brand(bare.read(wire, place)), write: bare.write };
}

/** One of a closed list of texts, or the one value allowed. Anything else is malformed (FORMATS §2). */
export function oneOf<const T extends string | number | boolean>(...allowed: readonly T[]): Schema<T> {
  const expected = allowed.map((value) => JSON.stringify(value)).join(" or ");
  return checked((value, place) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw place.unexpected(expected, value);
    return found;
  });
}

/** A schema with a further rule, which throws `place.refusal(…)`; it sees the checked form, in both directions. */
export function refine<T>(schema: Schema<T>, rule: (value: T, place: Place) => void): Schema<T> {
  return {
    read(wire, place) {
      const value = schema.read(wire, place);
      rule(value, place);
      return value;
    },
    write(made, place) {
      const wire = schema.write(made, place);
      rule(made, place);
      return wire;
    },
  };
}

/** A list of one type; `greatest` absent: bounded by the size of an object alone. */
export function listOf<T>(
  element: Schema<T>,
  lengths: { readonly least?: number; readonly greatest?: number } = {},
): Schema<readonly T[]> {
  const least = lengths.least ?? 0;
  const greatest = lengths.greatest ?? Infinity;
  const each = <To>(list: unknown, place: Place, convert: (element: unknown) => To): To[] => {
    if (!Array.isArray(list)) throw place.unexpected("a list", list);
    if (list.length < least) throw place.refusal(`expected at least ${least} element, got ${list.length}`);
    if (list.length > greatest) throw place.refusal(`expected at most ${greatest} elements, got ${list.length}`);
    return Array.from(list, (member: unknown, index) => {
      place.enter(index);
      const converted = convert(member);
      place.leave();
      return converted;
    });
  };
  return {
    read: (wire, place) => each(wire, place, (member) => element.read(member as Value, place)),
    write: (made, place) => each(made, place, (member) => element.write(member as T, place)),
  };
}

/** A map from any text to one type. */
export function mapOf<T>(member: Schema<T>): Schema<Readonly<Record<string, T>>> {
  const each = <To>(map: unknown, place: Place, convert: (member: unknown) => To): Record<string, To> => {
    if (!isValueMap(map)) throw place.unexpected("a map", map);
    const result: Record<string, To> = {};
    for (const name of Object.keys(map)) {
      place.enter(name);
      setMember(result, name, convert(map[name]));
      place.leave();
    }
    return result;
  };
  return {
    read: (wire, place) => each(wire, place, (value) => member.read(value as Value, place)),
    write: (made, place) => each(made, place, (value) => member.write(value as T, place)),
  };
}

/** Marks a member that may be left out. Present, it must be right; null is not absence. */
export function optional<T>(schema: Schema<T>): Optional<T> {
  return { optional: schema };
}

/** For each member of T its schema, `optional(…)` exactly where T has a question mark. */
export type Members<T> = {
  readonly [K in keyof T as K extends "extra" ? never : K]-?: Pick<T, K> extends Required<Pick<T, K>>
    ? Schema<T[K]>
    : Optional<Exclude<T[K], undefined>>;
};

interface Member {
  readonly name: string;
  readonly wireName: string;
  readonly schema: Schema<unknown>;
  readonly isOptional: boolean;
}

/** `members` is a `Members<T>`: the compiler has held it against T, which is gone at run time. */
function memberList(members: object): Member[] {
  return Object.entries(members as Readonly<Record<string, Schema<unknown> | Optional<unknown>>>).map(
    ([name, member]) => ({
      name,
      wireName: name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      schema: "optional" in member ? member.optional : member,
      isOptional: "optional" in member,
    }),
  );
}

/** A map with known members; others are kept in `extra`. */
export function struct<T extends Extensible>(members: Members<T>): Schema<T> {
  const list = memberList(members);
  const names = new Set(list.map(({ name }) => name)).add("extra");
  const wireNames = new Set(list.map(({ wireName }) => wireName));
  return {
    read: (wire, place) => readStruct(wire, place, { list, wireNames }) as T,
    write: (made, place) => writeStruct(made, place, { list, names, wireNames }),
  };
}

function readStruct(
  wire: Value,
  place: Place,
  known: { readonly list: readonly Member[]; readonly wireNames: ReadonlySet<string> },
): object {
  if (!isValueMap(wire)) throw place.unexpected("a map", wire);
  const result: Record<string, unknown> = {};
  for (const { name, wireName, schema, isOptional } of known.list) {
    place.enter(wireName);
    if (Object.hasOwn(wire, wireName)) result[name] = schema.read(wire[wireName] ?? null, place);
    else if (!isOptional) throw place.refusal("is missing");
    place.leave();
  }
  const unknown = Object.keys(wire).filter((wireName) => !known.wireNames.has(wireName));
  if (unknown.length > 0) {
    const extra: ValueMap = {};
    for (const wireName of unknown) setMember(extra, wireName, wire[wireName] ?? null);
    result["extra"] = extra;
  }
  return result;
}

function writeStruct(
  made: unknown,
  place: Place,
  known: {
    readonly list: readonly Member[];
    readonly names: ReadonlySet<string>;
    readonly wireNames: ReadonlySet<string>;
  },
): ValueMap {
  if (!isValueMap(made)) throw place.unexpected("a map", made);
  for (const name of Object.keys(made)) {
    // A misspelt optional member would be lost without a word.
    if (!known.names.has(name))
      throw place.refusal(`has no member ${JSON.stringify(name)}; unknown ones go in "extra"`);
  }
  const wire: ValueMap = {};
  for (const { name, wireName, schema, isOptional } of known.list) {
    const value = Object.hasOwn(made, name) ? made[name] : undefined;
    place.enter(wireName);
    if (value !== undefined) wire[wireName] = schema.write(value, place);
    else if (!isOptional) throw place.refusal("is missing");
    place.leave();
  }
  const extra = Object.hasOwn(made, "extra") ? made["extra"] : undefined;
  if (extra === undefined) return wire;
  if (!isValueMap(extra)) throw place.unexpected("a map of unknown members in extra", extra);
  for (const wireName of Object.keys(extra)) {
    if (known.wireNames.has(wireName)) throw place.refusal(`extra holds the known member ${JSON.stringify(wireName)}`);
    setMember(wire, wireName, extra[wireName] as Value);
  }
  return wire;
}

/**
 * A list whose positions have names, in the order given; an optional one is last. `trailing` says whether a reader
 * accepts, and drops, further elements; a writer never makes any.
 */
export function positions<T extends object>(members: Members<T>, trailing: "accepted" | "refused"): Schema<T> {
  const list = memberList(members);
  const least = list.filter(({ isOptional }) => !isOptional).length;
  return {
    read(wire, place) {
      if (!Array.isArray(wire)) throw place.unexpected("a list", wire);
      if (wire.length < least || (trailing === "refused" && wire.length > list.length)) {
        throw place.unexpected(`a list of ${least}${trailing === "accepted" ? " or more" : ""}`, wire);
      }
      const result: Record<string, unknown> = {};
      for (const [index, { name, schema }] of list.entries()) {
        if (index >= wire.length) break;
        place.enter(index);
        result[name] = schema.read(wire[index] ?? null, place);
        place.leave();
      }
      return result as T;
    },
    write(made, place) {
      if (!isValueMap(made)) throw place.unexpected("a map", made);
      const wire: Value[] = [];
      for (const [index, { name, schema, isOptional }] of list.entries()) {
        const value = Object.hasOwn(made, name) ? made[name] : undefined;
        if (value === undefined && isOptional) break;
        place.enter(index);
        wire.push(schema.write(value, place));
        place.leave();
      }
      return wire;
    },
  };
}
