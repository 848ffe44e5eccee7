// What a load asks for, as one digest, gathered while its entries stream by: the head, what is expected of it, and every
// key with the hash of its value, in the order in which they came. How they were cut into messages means nothing.
//
//   SHA-256( { length of key, 2 bytes ‖ key ‖ hash of the value } … )     beside the head and the rest (request-meaning.ts)
//
// Cost: a copy of each key and 32 bytes more, and their hash; nothing where the load has no idempotency key.
import { createHash } from "node:crypto";
import type { BlobHash } from "../core/hashes.js";
import { RequestMeaning } from "./request-meaning.js";

export class LoadMeaning {
  readonly #content = createHash("sha256");
  #count = 0;

  /** Takes entries; as many hashes as keys. */
  add(keys: readonly Uint8Array[], hashes: readonly BlobHash[]): void {
    let sizeBytes = 0;
    for (const { length } of keys) sizeBytes += 2 + length + 32;
    const buffer = Buffer.allocUnsafe(sizeBytes);
    let end = 0;
    for (const [index, key] of keys.entries()) {
      end = buffer.writeUInt16BE(key.length, end);
      buffer.set(key, end);
      end += key.length;
      const hash = hashes[index];
      if (hash !== undefined) buffer.set(hash, end);
      end += 32;
    }
    this.#content.update(buffer);
    this.#count += keys.length;
  }

  /** The whole request. To be called once, behind the last entry. */
  meaning(head: string, expectedRoot: Uint8Array | "empty" | undefined): RequestMeaning {
    const meaning = new RequestMeaning().text(head);
    if (expectedRoot === "empty") meaning.text("empty");
    else meaning.bytes(expectedRoot);
    return meaning.number(this.#count).bytes(this.#content.digest());
  }
}
