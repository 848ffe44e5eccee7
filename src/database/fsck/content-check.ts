// Every stored blob against its name: small ones in rows, large ones in files with their outboards.
//
// What is whole is remembered with its size, so that cells are held against it without another read. Memory: a few bytes a
// blob; and what reading a large blob takes.
import { hashBlob } from "../../core/blob/index.js";
import { equalBytes } from "../../core/bytes.js";
import { Corrupt, NeleusError } from "../../core/errors.js";
import { blobHash } from "../../core/hashes.js";
import type { BlobHash } from "../../core/hashes.js";
import type { BlobRef } from "../../core/object/index.js";
import type { Store, SyncReader } from "../../store/contract.js";
import { FileBlobReader } from "../blob-reader.js";
import type { DigestSet } from "../digest-set.js";
import type { Turns } from "../turns.js";
import type { Affected, FindingKind, FindingPlace, FsckEvent } from "./finding.js";
import { REPAIR_FROM_COPY, REPAIR_UNNAMED } from "./finding.js";
import type { FindingRegister } from "./register.js";
import { rowKeys } from "./row-keys.js";
import type { Sampler } from "./sampler.js";

export interface ContentCheckOptions {
  readonly store: Store;
  readonly rows: SyncReader;
  readonly register: FindingRegister;
  readonly turns: Turns;
  readonly sampler: Sampler;
  readonly newSet: () => DigestSet;
}

const REPAIR_BLOB = `store the same content again, or ${REPAIR_FROM_COPY}`;

export class ContentCheck {
  readonly #options: ContentCheckOptions;
  /** By hash and size. */
  readonly #whole: DigestSet;
  /** By hash: there, whole or not. */
  readonly #large: DigestSet;
  readonly #reached: DigestSet;
  #wholeCount = 0;

  constructor(options: ContentCheckOptions) {
    this.#options = options;
    this.#whole = options.newSet();
    this.#large = options.newSet();
    this.#reached = options.newSet();
  }

  async *rows(total: number): AsyncGenerator<FsckEvent, void, undefined> {
    const { rows, register, turns, sampler } = this.#options;
    register.begin("blobs", total);
    const sample = sampler.of(total);
    let checked = 0;
    let seen = 0;
    for await (const key of rowKeys(this.#options, "blobs")) {
      await turns.giveWay();
      yield* register.take();
      seen += 1;
      if (!sample.isPicked()) continue;
      const place = { space: "blobs", key } as const;
      try {
        const bytes = rows.get("blobs", key);
        if (bytes === undefined) continue;
        checked += 1;
        register.looked(bytes.length);
        if (equalBytes(hashBlob(bytes), key)) this.#noteWhole(key, bytes.length);
        else this.#hold("damaged", place, "a small blob: the stored bytes do not match the hash");
      } catch (error) {
        if (!(error instanceof NeleusError)) throw error;
        this.#hold("unreadable", place, error.message);
      }
    }
    register.count({ name: "blobs", checked, total: seen, unreachable: undefined });
  }

  async *files(total: number): AsyncGenerator<FsckEvent, void, undefined> {
    const { store, register, turns, sampler } = this.#options;
    register.begin("large-blobs", total);
    const sample = sampler.of(total);
    let checked = 0;
    let seen = 0;
    try {
      const onUnreadable = ({ message, facts }: Corrupt): void =>
        register.report({
          kind: "damaged",
          subject: "file",
          place: { path: facts["path"] ?? "blobs" },
          message,
          repair: REPAIR_UNNAMED,
        });
      for await (const key of store.files.iterate({ onUnreadable })) {
        await turns.giveWay();
        yield* register.take();
        seen += 1;
        const hash = blobHash(key);
        this.#large.add(hash);
        if (!sample.isPicked()) continue;
        checked += 1;
        yield* this.#file(hash);
      }
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      const repair = "see to the file system, then check again";
      const place = { path: error.facts["path"] ?? "blobs" };
      register.report({ kind: "unreadable", subject: "file", place, message: error.message, repair });
    }
    register.count({ name: "large-blobs", checked, total: seen, unreachable: undefined });
  }

  async *#file(hash: BlobHash): AsyncGenerator<FsckEvent, void, undefined> {
    const { store, register, turns } = this.#options;
    const place = { largeBlob: hash };
    try {
      const file = await store.files.open(hash);
      if (file === undefined) return;
      try {
        const reader = new FileBlobReader({ hash, file, checking: "verified" });
        for await (const part of reader.bytes()) {
          register.bytes += part.length;
          await turns.giveWay();
          yield* register.take();
        }
        register.looked(file.outboardSizeBytes);
        this.#noteWhole(hash, file.sizeBytes);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#hold(error instanceof Corrupt ? "damaged" : "unreadable", place, error.message);
    }
  }

  /** Something names a blob. @returns false where it is not there, not whole, or of another size, which is told */
  require(blob: BlobRef, affected: Affected): boolean {
    const { hash, size } = blob;
    if (this.#whole.has(hash, [size])) {
      this.#reached.add(hash);
      return true;
    }
    const { register } = this.#options;
    const row = { space: "blobs", key: hash } as const;
    if (register.affect(row, affected) || register.affect({ largeBlob: hash }, affected)) return false;
    const sizeBytes = this.#lateRow(hash, affected);
    if (sizeBytes === "damaged") return false;
    if (sizeBytes === size) {
      this.#reached.add(hash);
      return true;
    }
    if (sizeBytes === undefined && !this.#large.has(hash)) {
      const message = `a blob of ${size} bytes is missing`;
      register.hold({ kind: "missing", subject: "blob", place: row, message, repair: REPAIR_BLOB }, affected);
      return false;
    }
    const message = `the blob is there, but not with the ${size} bytes that something says of it`;
    const repair = "whoever wrote that said what is not so: write it anew";
    const place = sizeBytes === undefined ? { largeBlob: hash } : row;
    register.hold({ kind: "malformed", subject: "blob", place, message, repair }, affected);
    return false;
  }

  /** Completes the counts, once everything that is kept was walked. */
  countUnreachable(): void {
    const { register } = this.#options;
    const rows = register.counts.find(({ name }) => name === "blobs");
    if (rows !== undefined) register.count({ ...rows, unreachable: this.#wholeCount - this.#reached.size });
  }

  #noteWhole(hash: Uint8Array, sizeBytes: number): void {
    if (this.#whole.add(hash, [sizeBytes])) this.#wholeCount += 1;
  }

  /** The size of a row that was not listed, which may be told to be damaged. */
  #lateRow(hash: Uint8Array, affected: Affected): number | undefined | "damaged" {
    const place = { space: "blobs", key: hash } as const;
    try {
      const bytes = this.#options.rows.get("blobs", hash);
      if (bytes === undefined) return undefined;
      if (equalBytes(hashBlob(bytes), hash)) {
        this.#noteWhole(hash, bytes.length);
        return bytes.length;
      }
      this.#hold("damaged", place, "a small blob: the stored bytes do not match the hash");
    } catch (error) {
      if (!(error instanceof NeleusError)) throw error;
      this.#hold("unreadable", place, error.message);
    }
    this.#options.register.affect(place, affected);
    return "damaged";
  }

  #hold(kind: FindingKind, place: FindingPlace, message: string): void {
    this.#options.register.hold({ kind, subject: "blob", place, message, repair: REPAIR_BLOB });
  }
}
