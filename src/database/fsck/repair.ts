// Mends a database with what another copy of it has: map nodes, commits, manifests and blobs that are missing or damaged here
// are read there, held against their hashes, and written here.
//
// What lies below something that is missing shows only once that is back, so checks and repairs take turns until a turn mends
// nothing. Nothing is taken on trust: the hash says what belongs there. Rows are replaced whole, in batches; a large blob is
// staged and verified before the damaged one makes room. Interrupted anywhere, it has mended less, and can be run again.
//
// What has no hash for a name (tail, keys, leaves of the log) is not mended: which of two copies is right there, no copy says.
import { hashBlob } from "../../core/blob/index.js";
import { equalBytes } from "../../core/bytes.js";
import { Corrupt, NeleusError, Unsupported } from "../../core/errors.js";
import { blobHash } from "../../core/hashes.js";
import { verifyNode } from "../../core/map/index.js";
import { commitHashOf, manifestHashOf } from "../../core/object/index.js";
import type { Row, Store, SyncReader } from "../../store/index.js";
import { FileBlobReader, removeIfDamaged } from "../blob-reader.js";
import { Intake } from "../intake.js";
import { checkStore } from "./check-store.js";
import type { StoreToCheck } from "./check-store.js";
import type { Finding, FindingPlace, FsckEvent } from "./finding.js";

const BATCH_BYTES = 1024 * 1024;
const CONTENT_SPACES = ["nodes", "objects", "blobs"] as const;
type ContentSpace = (typeof CONTENT_SPACES)[number];

export type RepairEvent = FsckEvent | { readonly kind: "repaired"; readonly place: FindingPlace };

export interface RepairOptions {
  readonly signal?: AbortSignal | undefined;
  /** A fresh id for a staged file. */
  readonly newUploadId: () => string;
}

/** Progress and repairs as they come; then what is still wrong, and the summary of the last check. */
export async function* repairStore(
  target: StoreToCheck & { readonly files?: undefined },
  source: Store,
  options: RepairOptions,
): AsyncGenerator<RepairEvent, void, undefined> {
  const repair = new Repair(target.store, source, options);
  for (;;) {
    const rest: FsckEvent[] = [];
    const findings: Finding[] = [];
    for await (const event of checkStore(target, { signal: options.signal })) {
      if (event.kind === "progress") yield event;
      else rest.push(event);
      if (event.kind === "finding") findings.push(event.finding);
    }
    let repaired = 0;
    for await (const place of repair.mend(findings)) {
      repaired += 1;
      yield { kind: "repaired", place };
    }
    if (repaired > 0) continue;
    yield* rest;
    return;
  }
}

class Repair {
  readonly #target: Store;
  readonly #source: Store;
  readonly #rows: SyncReader;
  readonly #options: RepairOptions;

  constructor(target: Store, source: Store, options: RepairOptions) {
    if (source.sync === undefined) throw new Unsupported("this version repairs only from stores that are read at once");
    this.#target = target;
    this.#source = source;
    this.#rows = source.sync;
    this.#options = options;
  }

  /** The places that were mended. */
  async *mend(findings: readonly Finding[]): AsyncGenerator<FindingPlace, void, undefined> {
    let batch: Row[] = [];
    let sizeBytes = 0;
    for (const { kind, place } of findings) {
      this.#options.signal?.throwIfAborted();
      if (kind === "malformed" || kind === "unexpected") continue;
      const row = contentRow(place);
      const value = row === undefined ? undefined : this.#read(row);
      if (row !== undefined && value !== undefined) {
        batch.push({ ...row, value });
        sizeBytes += value.length;
        if (sizeBytes >= BATCH_BYTES) {
          yield* this.#write(batch);
          batch = [];
          sizeBytes = 0;
        }
      } else if (await this.#mendLarge(largeBlobOf(place))) yield place;
    }
    yield* this.#write(batch);
  }

  async *#write(batch: readonly Row[]): AsyncGenerator<FindingPlace, void, undefined> {
    if (batch.length === 0) return;
    try {
      await this.#target.write({ puts: batch });
    } catch (error) {
      if (!(error instanceof Corrupt)) throw error;
      // Rows so damaged that they cannot be compared with what takes their place.
      await this.#target.write({ deletes: batch });
      await this.#target.write({ puts: batch });
    }
    for (const { space, key } of batch) yield { space, key };
  }

  /** What the source has under a name, if that is right. */
  #read({ space, key }: { readonly space: ContentSpace; readonly key: Uint8Array }): Uint8Array | undefined {
    try {
      const value = this.#rows.get(space, key);
      return value !== undefined && isRight(space, key, value) ? value : undefined;
    } catch (error) {
      if (error instanceof NeleusError) return undefined;
      throw error;
    }
  }

  /** @returns false where the source does not have it whole */
  async #mendLarge(key: Uint8Array | undefined): Promise<boolean> {
    if (key === undefined) return false;
    const hash = blobHash(key);
    try {
      const file = await this.#source.files.open(hash);
      if (file === undefined) return false;
      try {
        await this.#copy(new FileBlobReader({ hash, file, checking: "verified" }));
        return true;
      } finally {
        await file.close();
      }
    } catch (error) {
      if (error instanceof Corrupt) return false;
      throw error;
    }
  }

  async #copy(reader: FileBlobReader): Promise<void> {
    const { files } = this.#target;
    const { hash, sizeBytes } = reader;
    const stage = () => files.stage(this.#options.newUploadId(), { metadata: new Uint8Array(0) });
    const intake = await Intake.begin({ purpose: "once", files, stage });
    try {
      let offset = 0;
      for await (const part of reader.bytes()) {
        this.#options.signal?.throwIfAborted();
        await intake.append(offset, part);
        offset += part.length;
      }
      const blob = await intake.check({ sizeBytes, hash });
      if (blob.small !== undefined)
        await this.#target.write({ puts: [{ space: "blobs", key: hash, value: blob.small }] });
      await removeIfDamaged(files, hash);
      await intake.publish(blob);
    } finally {
      await intake.close();
    }
  }
}

function contentRow(place: FindingPlace): { readonly space: ContentSpace; readonly key: Uint8Array } | undefined {
  if (!("space" in place) || place.key === undefined) return undefined;
  const { key } = place;
  const space = CONTENT_SPACES.find((known) => known === place.space);
  return space === undefined ? undefined : { space, key };
}

/** A missing blob is told by its row, wherever it lay. */
function largeBlobOf(place: FindingPlace): Uint8Array | undefined {
  if ("largeBlob" in place) return place.largeBlob;
  return "space" in place && place.space === "blobs" ? place.key : undefined;
}

function isRight(space: ContentSpace, key: Uint8Array, value: Uint8Array): boolean {
  if (space === "blobs") return equalBytes(hashBlob(value), key);
  if (space === "objects") return equalBytes(commitHashOf(value), key) || equalBytes(manifestHashOf(value), key);
  return equalBytes(verifyNode(value, key).digest, key);
}
