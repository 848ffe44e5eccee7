// What all streams of a server together may keep for their peers: messages that wait, and what was read for the next ones. One
// stream may run some way ahead of its reader, which makes it fast; a thousand that nobody reads may not each.
//
// Each may take a share of what is left, so that the more there are, the less a further one takes: beyond some thirty that
// take all they may, a message of LEAST_SHARE_BYTES each. Nobody waits for another to be read.

/** Of what is left a stream may take one part in so many. */
const SHARES = 8;
/** What a stream may take in any case: a message that is worth its overhead. */
const LEAST_SHARE_BYTES = 12 * 1024;

export class SendBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes that one stream may take now. */
  get shareBytes(): number {
    return Math.max(LEAST_SHARE_BYTES, Math.floor((this.#limitBytes - this.#usedBytes) / SHARES));
  }

  /** Bytes that are kept from now on; negative: that are kept no longer. */
  add(sizeBytes: number): void {
    this.#usedBytes += sizeBytes;
  }
}
