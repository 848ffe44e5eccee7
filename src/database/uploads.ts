// Uploads: blobs that arrive in pieces, resumable where the client gives an id.
//
// An upload that is broken off leaves nothing, or under its id what arrived, for 24 hours. Ids are hashed before they
// become names in the store, which takes fewer characters than clients may use.
import { createHash } from "node:crypto";
import { utf8 } from "../core/bytes.js";
import { InvalidArgument, LimitExceeded, Unavailable } from "../core/errors.js";
import { MAX_UPLOADS } from "../core/limits.js";
import type { LargeBlobs, StagedBlob, Store } from "../store/contract.js";
import type { BlobRef, Upload, UploadFinish, Uploads } from "./blob-contract.js";
import { Intake } from "./intake.js";

const UPLOAD_ID = /^[A-Za-z0-9._-]{1,64}$/;
const NO_METADATA = new Uint8Array(0);

export interface UploadsOptions {
  readonly store: Store;
  /** A fresh id for a staged file. */
  readonly newUploadId: () => string;
}

export class DatabaseUploads implements Uploads {
  readonly #store: Store;
  readonly #files: LargeBlobs;
  readonly #newUploadId: () => string;
  readonly #open = new Set<CountedIntake>();
  /** Those that are about to be open. */
  #beginning = 0;
  #closed = false;

  constructor(options: UploadsOptions) {
    this.#store = options.store;
    this.#files = options.store.files;
    this.#newUploadId = options.newUploadId;
  }

  async begin(options: { readonly uploadId?: string | undefined } = {}): Promise<Upload> {
    const { uploadId } = options;
    const intake = await (uploadId === undefined ? this.beginOnce() : this.#resume(uploadId));
    return new BlobUpload(this.#store, intake);
  }

  /** An intake that cannot be resumed. Its caller closes it. */
  beginOnce(): Promise<CountedIntake> {
    const stage = (): Promise<StagedBlob> => this.#stageNew(this.#newUploadId());
    return this.#count(() => Intake.begin({ purpose: "once", files: this.#files, stage }));
  }

  async query(uploadId: string): Promise<number> {
    const state = await this.#files.findUpload(storeIdOf(uploadId));
    return state?.sizeBytes ?? 0;
  }

  async dropExpired(): Promise<number> {
    return (await this.#files.cleanUp()).uploads;
  }

  #resume(uploadId: string): Promise<CountedIntake> {
    const storeId = storeIdOf(uploadId);
    const stage = async (): Promise<StagedBlob> => {
      const known = await this.#files.findUpload(storeId);
      return known === undefined
        ? this.#stageNew(storeId, utf8(uploadId))
        : this.#files.stage(storeId, { metadata: utf8(uploadId) });
    };
    return this.#count(() => Intake.begin({ purpose: "resumable", files: this.#files, stage }));
  }

  /** Stages under a new id, if there is room. The count is of all processes; two that begin at once may both pass. */
  async #stageNew(storeId: string, metadata: Uint8Array = NO_METADATA): Promise<StagedBlob> {
    if ((await this.#files.listUploads()).length >= MAX_UPLOADS) {
      await this.#files.cleanUp();
      if ((await this.#files.listUploads()).length >= MAX_UPLOADS) throw tooManyUploads();
    }
    return this.#files.stage(storeId, { metadata, lifetime: metadata === NO_METADATA ? "process" : "upload" });
  }

  /** Ends the uploads in progress; those that can be resumed are kept. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const counted of this.#open) await counted.close(databaseClosed());
  }

  async #count(begin: () => Promise<Intake>): Promise<CountedIntake> {
    if (this.#closed) throw databaseClosed();
    if (this.#open.size + this.#beginning >= MAX_UPLOADS) throw tooManyUploads();
    this.#beginning += 1;
    try {
      const counted = new CountedIntake(await begin(), () => this.#open.delete(counted));
      this.#open.add(counted);
      return await this.#unlessClosed(counted);
    } finally {
      this.#beginning -= 1;
    }
  }

  /** The database may have been closed while this upload began: then nobody else will end it. */
  async #unlessClosed(counted: CountedIntake): Promise<CountedIntake> {
    if (!this.#closed) return counted;
    await counted.close();
    throw databaseClosed();
  }
}

/** An intake that counts as one of the uploads in progress until it is closed. */
export class CountedIntake {
  readonly intake: Intake;
  readonly #leave: () => void;
  #closing: Promise<void> | undefined;

  constructor(intake: Intake, leave: () => void) {
    this.intake = intake;
    this.#leave = leave;
  }

  /** Closing twice is fine. */
  close(ending?: Unavailable): Promise<void> {
    return (this.#closing ??= this.intake.close(ending).finally(this.#leave));
  }
}

class BlobUpload implements Upload {
  readonly #store: Store;
  readonly #counted: CountedIntake;

  constructor(store: Store, counted: CountedIntake) {
    this.#store = store;
    this.#counted = counted;
  }

  get sizeBytes(): number {
    return this.#counted.intake.sizeBytes;
  }

  append(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#counted.intake.append(offset, bytes);
  }

  async finish(claim: UploadFinish): Promise<BlobRef> {
    const { intake } = this.#counted;
    const blob = await intake.check(claim);
    if (blob.small !== undefined) {
      await this.#store.write({ puts: [{ space: "blobs", key: blob.hash, value: blob.small }] });
    }
    await intake.publish(blob);
    return { hash: blob.hash, sizeBytes: blob.sizeBytes };
  }

  close(): Promise<void> {
    return this.#counted.close();
  }
}

function databaseClosed(): Unavailable {
  return new Unavailable("the database is closed");
}

function tooManyUploads(): LimitExceeded {
  return new LimitExceeded(`${MAX_UPLOADS} uploads are in progress`, {
    hint: "finish or cancel some; those that nobody touches are dropped after 24 hours",
    facts: { limit: "uploads", value: String(MAX_UPLOADS) },
  });
}

/** @throws InvalidArgument - not 1 to 64 characters of A-Z a-z 0-9 . _ - */
function storeIdOf(uploadId: string): string {
  if (!UPLOAD_ID.test(uploadId)) {
    throw new InvalidArgument("upload_id: 1 to 64 characters of A-Z a-z 0-9 . _ -", { field: "upload_id" });
  }
  return `u-${createHash("sha256").update(uploadId).digest("hex").slice(0, 60)}`;
}
