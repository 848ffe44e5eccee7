// A case of the conformance kit, and how its parts are written (README.md is the specification).
import { concatBytes, fromHex, toHex } from "#src/core/bytes.js";
import { isValueMap, type Value } from "#src/core/codec/index.js";
import type { Reveal } from "#src/core/map/index.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What a program under test is asked. */
export interface Question {
  readonly id: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, Json>>;
}

/** What is right: an output, or the code of an error. */
export type Expectation = { readonly ok: true; readonly output: Json } | { readonly error: string };

export interface Case extends Question {
  readonly expect: Expectation;
}

/** A file of cases. */
export interface Topic {
  readonly topic: string;
  readonly about: string;
  readonly cases: readonly Case[];
}

/** Collects the cases of one topic; ids are its name and theirs. */
export class CaseList {
  readonly #topic: string;
  readonly #cases: Case[] = [];

  constructor(topic: string) {
    this.#topic = topic;
  }

  accept(name: string, question: Omit<Question, "id">, output: Json): void {
    this.#add(name, question, { ok: true, output });
  }

  refuse(name: string, question: Omit<Question, "id">, error: string): void {
    this.#add(name, question, { error });
  }

  topic(about: string): Topic {
    return { topic: this.#topic, about, cases: this.#cases };
  }

  #add(name: string, { operation, input }: Omit<Question, "id">, expect: Expectation): void {
    const id = `${this.#topic}/${name}`;
    if (this.#cases.some((one) => one.id === id)) throw new Error(`the id ${id} is taken`);
    this.#cases.push({ id, operation, input, expect });
  }
}

/** Bytes of the kit's filler, which have short names: byte i is i mod 251, `start` ≤ i < `end`. */
export function pattern(start: number, end: number): Uint8Array {
  return Uint8Array.from({ length: end - start }, (_, index) => (start + index) % 251);
}

/** The name of such bytes; with `flip`, the lowest bit of byte `flip` of them is turned. */
export function patternName(start: number, end: number, flip?: number): Json {
  return { pattern: [start, end], ...(flip === undefined ? {} : { flip }) };
}

/** The bytes that a case means. */
export function bytesIn(value: Json | undefined): Uint8Array {
  if (typeof value === "string") return fromHex(value);
  if (Array.isArray(value)) return concatBytes(...value.map(bytesIn));
  const {
    pattern: range,
    repeat,
    flip,
  } = value as unknown as {
    pattern: [number, number];
    repeat?: [string, number];
    flip?: number;
  };
  if (repeat !== undefined) return fromHex(repeat[0].repeat(repeat[1]));
  const bytes = pattern(...range);
  if (flip !== undefined) bytes[flip] = (bytes[flip] ?? 0) ^ 1;
  return bytes;
}

/** A value of DAG-CBOR: byte strings as `{"bytes": hex}`. */
export function toNotation(value: Value): Json {
  if (value instanceof Uint8Array) return { bytes: toHex(value) };
  if (Array.isArray(value)) return value.map(toNotation);
  if (isValueMap(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toNotation(member)]));
  }
  return value;
}

export function revealToJson(reveal: Reveal): Json {
  const { kind, level, count, total, indices, entries, siblings } = reveal;
  return {
    kind,
    level,
    count,
    total,
    indices: [...indices],
    entries: entries.map((entry) => toHex(entry)),
    siblings: toHex(siblings),
  };
}

/** A proof of inclusion or consistency. */
export function hexList(list: readonly Uint8Array[]): Json {
  return list.map((one) => toHex(one));
}

/** Numbers from 0 up to 2^32 − 1 that look random and are always the same: the kit is made anew to the same bytes. */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Marsaglia's xorshift of 32 bits. */
  next(): number {
    let state = this.#state === 0 ? 0x9e3779b9 : this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.next() >>> 24);
  }
}
