// What all answers of a server together may hold back for their peers. One stream may run some way ahead of its reader, which
// makes it fast; a thousand that nobody reads may not each.

export class SendBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** True where no stream may run ahead: each then waits until its peer has taken what it was sent. */
  get isSpent(): boolean {
    return this.#usedBytes >= this.#limitBytes;
  }

  /** Bytes that wait from now on; negative: that wait no longer. */
  add(sizeBytes: number): void {
    this.#usedBytes += sizeBytes;
  }
}
