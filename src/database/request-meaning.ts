// What a request asks for, as one digest: equal for requests that mean the same, whatever their bytes on the wire were.
//
// A meaning is a sequence of parts, each written as its kind, its length and its bytes, so that no two sequences share
// their bytes; SHA-256 over that, cut to 16 bytes. A part that is absent is written as such, and what has no order of its
// own (operations of an Apply, names of a meta) is put in order by whoever describes it. The digest is stored, and read
// by the same version of the method's name that wrote it: a method that comes to mean more gets a new name.
import { createHash } from "node:crypto";
import { utf8 } from "../core/bytes.js";
import type { ExpectedCommit } from "./commit-contract.js";

/** Whoever has two requests with one digest can only mistake its own requests for one another: 16 bytes are enough. */
export const MEANING_BYTES = 16;

const ABSENT = 0;
const BYTES = 1;
const TEXT = 2;
const NUMBER = 3;
const LIST = 4;

/** Describes one request, part by part, in an order that is the method's own. */
export class RequestMeaning {
  readonly #parts: Uint8Array[] = [];

  bytes(value: Uint8Array | undefined): this {
    return value === undefined ? this.#head(ABSENT, 0) : this.#part(BYTES, value);
  }

  text(value: string | undefined): this {
    return value === undefined ? this.#head(ABSENT, 0) : this.#part(TEXT, utf8(value));
  }

  /** An integer of 0 … 2^53 − 1. */
  number(value: number | undefined): this {
    return value === undefined ? this.#head(ABSENT, 0) : this.#head(NUMBER, value);
  }

  /** Says how many parts, or groups of them, come next. */
  list(count: number): this {
    return this.#head(LIST, count);
  }

  /** Texts by name, whatever their order; none is the same as absent. */
  texts(value: Readonly<Record<string, string>> | undefined): this {
    const names = Object.keys(value ?? {}).sort();
    this.list(names.length);
    for (const name of names) this.text(name).text(value?.[name]);
    return this;
  }

  digest(): Uint8Array {
    const hash = createHash("sha256").update(Buffer.concat(this.#parts)).digest();
    return new Uint8Array(hash.subarray(0, MEANING_BYTES));
  }

  #part(kind: number, bytes: Uint8Array): this {
    this.#head(kind, bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  #head(kind: number, number: number): this {
    const head = new Uint8Array(9);
    head[0] = kind;
    new DataView(head.buffer).setBigUint64(1, BigInt(number));
    this.#parts.push(head);
    return this;
  }
}

/** The head's commit that a request expects: any, none, or one. */
export function addExpectedCommit(meaning: RequestMeaning, expected: ExpectedCommit | undefined): RequestMeaning {
  return expected === "none" ? meaning.text("none") : meaning.bytes(expected);
}
