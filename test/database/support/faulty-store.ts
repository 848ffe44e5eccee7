// A store whose writes can be held back, refused or raced, to look at what happens around a flush.
import { Unavailable } from "#src/core/errors.js";
import { MemoryStore } from "#src/store/index.js";
import type { WriteBatch } from "#src/store/index.js";

export class FaultyStore extends MemoryStore {
  /** Batches that were written. */
  readonly written: WriteBatch[] = [];
  /** Called before each write; may wait, or throw in its place. */
  beforeWrite: (batch: WriteBatch) => Promise<void> = async () => undefined;

  override async write(batch: WriteBatch): Promise<void> {
    await this.beforeWrite(batch);
    await super.write(batch);
    this.written.push(batch);
  }
}

export const diskFull = (): Unavailable => new Unavailable("the disk is full");
