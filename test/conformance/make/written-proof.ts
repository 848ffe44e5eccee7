// Cases of a portable proof: an honest one, accepted under what a caller may trust, and refused with one thing changed.
import { toBinary, toJson, type DescMessage, type Message } from "@bufbuild/protobuf";
import { toHex } from "#src/core/bytes.js";
import type { CaseList, Json } from "../case.js";

export type Anchors = Readonly<Record<string, Json>>;

/** A copy of a message without one of its fields. */
export function without<M extends Message>(message: M, name: keyof M): M {
  const copy = { ...message };
  Reflect.deleteProperty(copy, name);
  return copy;
}

/** A proof with the schema that writes it. */
export class Written<M extends Message> {
  readonly #schema: DescMessage;
  readonly #message: M;
  readonly #title: string;
  readonly #cases: CaseList;

  constructor(cases: CaseList, title: string, proof: { readonly schema: DescMessage; readonly message: M }) {
    this.#cases = cases;
    this.#title = title;
    this.#schema = proof.schema;
    this.#message = proof.message;
  }

  accept(name: string, anchors: Anchors, output: { readonly verdict: string; readonly claim: Json }): void {
    this.#cases.accept(`${this.#title}, ${name}`, ask(this.#json({}), anchors), output);
  }

  /** As the bytes of its message. */
  acceptBinary(name: string, anchors: Anchors, output: { readonly verdict: string; readonly claim: Json }): void {
    const binary = toHex(toBinary(this.#schema, this.#message));
    this.#cases.accept(`${this.#title}, ${name}`, { operation: "proof.verify", input: { binary, anchors } }, output);
  }

  refuse(name: string, error: string, changed: Partial<M>, anchors: Anchors): void {
    this.#cases.refuse(`${this.#title}, ${name}`, ask(this.#json(changed), anchors), error);
  }

  #json(changed: Partial<M>): Json {
    const message = { ...this.#message, ...changed };
    return toJson(this.#schema, message as never, { alwaysEmitImplicit: true });
  }
}

export function ask(proof: Json, anchors: Anchors): { operation: string; input: Record<string, Json> } {
  return { operation: "proof.verify", input: { proof, anchors } };
}
