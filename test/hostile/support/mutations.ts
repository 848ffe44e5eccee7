// Every way in which a message can be a little wrong: through its fields, whatever they are, and through its bytes.
//
// The fields are walked by reflection, so a field that is added to the contract is mutated from that day on.
import {
  create,
  fromBinary,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

/** One wrong message. */
export interface Mutant {
  /** The field that was touched, e.g. `snapshot.refs[1].entries[0]`. */
  readonly path: string;
  readonly what: string;
  /** Undefined where the bytes are no message at all. */
  readonly message: Message | undefined;
}

/** Positions of a list, or offsets of a string, that are tried: all of a short one, else the ends and some between. */
function sampled(length: number, most: number): number[] {
  if (length <= most) return Array.from({ length }, (_, index) => index);
  const step = (length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => Math.round(index * step));
}

/** How many places are tried. */
export interface Thoroughness {
  /** Items of a list. */
  readonly items: number;
  /** Offsets of a byte string; eight times as many of a text, which is a checkpoint. */
  readonly offsets: number;
  /** Bytes of an encoded message. */
  readonly flips: number;
}

/** Changes one thing in a copy of the message. */
interface Change {
  readonly path: string;
  readonly what: string;
  readonly apply: (copy: ReflectMessage) => void;
}

/** Every mutation of every field of the message. */
export function* fieldMutants(
  schema: DescMessage,
  message: Message,
  thoroughness: Thoroughness,
): Generator<Mutant, void, undefined> {
  const bytes = toBinary(schema, message);
  for (const { path, what, apply } of new Mutator(thoroughness).changes(reflect(schema, message), "")) {
    const copy = fromBinary(schema, bytes);
    apply(reflect(schema, copy));
    yield { path, what, message: copy };
  }
}

/** The message with single bits flipped: every byte of a short encoding, some of a long one. */
export function* byteMutants(
  schema: DescMessage,
  message: Message,
  { flips: most }: Thoroughness,
): Generator<Mutant, void, undefined> {
  const bytes = toBinary(schema, message);
  for (const offset of sampled(bytes.length, most)) {
    const flipped = bytes.slice();
    flipped[offset] = (flipped[offset] ?? 0) ^ (1 << (offset % 8));
    yield { path: `byte ${offset}`, what: "flipped", message: decoded(schema, flipped) };
  }
  for (const length of sampled(bytes.length, 20)) {
    yield { path: `byte ${length}`, what: "cut off", message: decoded(schema, bytes.slice(0, length)) };
  }
}

function decoded(schema: DescMessage, bytes: Uint8Array): Message | undefined {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch {
    return undefined;
  }
}

/** Enumerates the changes of one message. */
class Mutator {
  readonly #thoroughness: Thoroughness;

  constructor(thoroughness: Thoroughness) {
    this.#thoroughness = thoroughness;
  }

  *changes(message: ReflectMessage, prefix: string): Generator<Change, void, undefined> {
    for (const field of message.fields) {
      const path = `${prefix}${field.localName}`;
      if (field.fieldKind === "list") yield* this.listChanges(message, field, path);
      else if (field.fieldKind === "message") yield* this.messageChanges(message, field, path);
      else if (field.fieldKind === "scalar") yield* this.scalarChanges(message, field, path);
    }
  }

  private *scalarChanges(message: ReflectMessage, field: DescField, path: string): Generator<Change, void, undefined> {
    const value = message.get(field);
    for (const [what, changed] of this.variants(value)) {
      yield { path, what, apply: (copy) => copy.set(field, changed) };
    }
    if (message.isSet(field)) yield { path, what: "cleared", apply: (copy) => copy.clear(field) };
  }

  private *messageChanges(message: ReflectMessage, field: DescField, path: string): Generator<Change, void, undefined> {
    if (field.fieldKind !== "message") return;
    if (!message.isSet(field)) {
      yield {
        path,
        what: "added, empty",
        apply: (copy) => copy.set(field, reflect(field.message, create(field.message))),
      };
      return;
    }
    yield { path, what: "cleared", apply: (copy) => copy.clear(field) };
    const inner = message.get(field);
    yield* below(this.changes(inner, `${path}.`), (copy) => copy.get(field));
  }

  private *listChanges(
    message: ReflectMessage,
    field: DescField & { fieldKind: "list" },
    path: string,
  ): Generator<Change, void, undefined> {
    // Reached by name, since a reflected list cannot drop an item in its middle.
    const itemsOf = (of: ReflectMessage): unknown[] =>
      (of.message as unknown as Record<string, unknown[]>)[field.localName]!;
    const items = itemsOf(message);
    const isMessage = field.listKind === "message";
    const empty = (): unknown => (isMessage ? create(field.message) : emptyScalar(field.scalar));
    yield { path, what: "one added behind", apply: (copy) => void itemsOf(copy).push(empty()) };
    yield { path, what: "one added before", apply: (copy) => void itemsOf(copy).unshift(empty()) };
    if (items.length > 1) yield { path, what: "reversed", apply: (copy) => void itemsOf(copy).reverse() };
    if (items.length > 0) yield { path, what: "emptied", apply: (copy) => void itemsOf(copy).splice(0) };
    for (const index of sampled(items.length, this.#thoroughness.items)) {
      const at = `${path}[${index}]`;
      yield { path: at, what: "dropped", apply: (copy) => void itemsOf(copy).splice(index, 1) };
      yield { path: at, what: "repeated", apply: (copy) => void itemsOf(copy).splice(index, 0, itemsOf(copy)[index]) };
      if (index + 1 < items.length) {
        yield { path: at, what: "swapped with the next", apply: (copy) => swap(itemsOf(copy), index) };
      }
      if (!isMessage) {
        for (const [what, changed] of this.variants(items[index])) {
          yield { path: at, what, apply: (copy) => void (itemsOf(copy)[index] = changed) };
        }
        continue;
      }
      const inner = this.changes(reflect<DescMessage>(field.message, items[index] as Message), `${at}.`);
      yield* below(inner, (copy) => reflect<DescMessage>(field.message, itemsOf(copy)[index] as Message));
    }
  }

  /** Other values of the same type. */
  private variants(value: unknown): [string, unknown][] {
    if (value instanceof Uint8Array) return this.byteVariants(value);
    if (typeof value === "boolean") return [["negated", !value]];
    if (typeof value === "number") return this.numberVariants(value);
    if (typeof value === "bigint") {
      const changed = [value + 1n, value === 0n ? 2n : value - 1n, 0n, 2n ** 53n, 2n ** 64n - 1n];
      return changed.filter((other) => other !== value).map((other) => [`set to ${other}`, other]);
    }
    return typeof value === "string" ? this.textVariants(value) : [];
  }

  private numberVariants(value: number): [string, unknown][] {
    const changed = [value + 1, value === 0 ? 2 : value - 1, 0, 64, 2 ** 32 - 1];
    return changed.filter((other) => other !== value).map((other) => [`set to ${other}`, other]);
  }

  private byteVariants(bytes: Uint8Array): [string, unknown][] {
    const found: [string, unknown][] = [
      ["a byte longer", Uint8Array.of(...bytes.subarray(0, 100_000), 7)],
      ["32 bytes longer", Uint8Array.of(...bytes.subarray(0, 100_000), ...new Uint8Array(32))],
    ];
    if (bytes.length === 0) return found;
    found.push(
      ["emptied", new Uint8Array(0)],
      ["a byte shorter", bytes.slice(0, -1)],
      ["without its first byte", bytes.slice(1)],
    );
    for (const offset of sampled(bytes.length, this.#thoroughness.offsets)) {
      const flipped = bytes.slice();
      flipped[offset] = (flipped[offset] ?? 0) ^ 1;
      found.push([`byte ${offset} flipped`, flipped]);
    }
    for (const start of sampled(Math.floor(bytes.length / 32), bytes.length % 32 === 0 ? 3 : 0)) {
      const hash = bytes.subarray(32 * start, 32 * start + 32);
      const [before, after] = [bytes.subarray(0, 32 * start), bytes.subarray(32 * start + 32)];
      found.push(
        [`hash ${start} dropped`, joined(before, after)],
        [`hash ${start} repeated`, joined(before, hash, hash, after)],
      );
      if (after.length >= 32) {
        found.push([`hash ${start} swapped`, joined(before, after.subarray(0, 32), hash, after.subarray(32))]);
      }
    }
    return found;
  }

  private textVariants(text: string): [string, unknown][] {
    const found: [string, unknown][] = [
      ["a character longer", `${text}x`],
      ["a line longer", `${text}\n`],
    ];
    if (text === "") return found;
    found.push(["emptied", ""], ["a character shorter", text.slice(0, -1)], ["doubled", text + text]);
    for (const offset of sampled(text.length, 8 * this.#thoroughness.offsets)) {
      const other = text[offset] === "1" ? "2" : "1";
      found.push([`character ${offset} changed`, text.slice(0, offset) + other + text.slice(offset + 1)]);
    }
    return found;
  }
}

function* below(
  inner: Iterable<Change>,
  descend: (copy: ReflectMessage) => ReflectMessage,
): Generator<Change, void, undefined> {
  for (const { path, what, apply } of inner) yield { path, what, apply: (copy) => apply(descend(copy)) };
}

function swap(items: unknown[], index: number): void {
  [items[index], items[index + 1]] = [items[index + 1], items[index]];
}

function emptyScalar(type: ScalarType | undefined): unknown {
  if (type === ScalarType.STRING) return "";
  if (type === ScalarType.BYTES) return new Uint8Array(0);
  return type === ScalarType.UINT64 ? 0n : 0;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Every list of messages that a stream could be turned into by dropping, repeating or swapping whole ones. */
export function* streamMutants<T>(messages: readonly T[]): Generator<{ what: string; messages: T[] }, void, undefined> {
  for (const index of sampled(messages.length, 12)) {
    yield { what: `ends before message ${index}`, messages: messages.slice(0, index) };
    yield { what: `message ${index} dropped`, messages: messages.toSpliced(index, 1) };
    yield { what: `message ${index} repeated`, messages: messages.toSpliced(index, 0, messages[index]!) };
    if (index + 1 >= messages.length) continue;
    const swapped = [...messages];
    swap(swapped, index);
    yield { what: `message ${index} swapped with the next`, messages: swapped };
  }
}
