// One client's part in what is remembered between runs, so that a server which rolls back or forks in between is found out.
//
// A record holds the checkpoints from which a proof of consistency is still owed (one, mostly: see frontier.ts). Clients of
// one store run side by side. Each saves what it has come to, and takes out of the record only what it has shown that to
// extend: a checkpoint that another client saved meanwhile stays, and is owed its proof by whoever comes next. So nothing
// seen is forgotten, and two that race cannot hide a fork from each other.
import type { LogTrust } from "./log-trust.js";
import type { TrustPlace, TrustRecord, TrustStore } from "./trust-store.js";

/** More than these are kept of no place: so many runs at once, of which none has come to its first answer. */
const MAX_CHECKPOINTS = 64;
/** How long a client that goes on working lets what it has seen wait to be saved. */
const SAVE_AFTER_MS = 1_000;

export class RememberedTrust {
  readonly #store: TrustStore;
  readonly #place: TrustPlace;
  readonly #clock: () => number;
  readonly #isPinned: boolean;
  readonly #trust: LogTrust;
  /** What this client has read or saved: all of it is extended by what its trust has open, or open in it. */
  readonly #own: Set<string>;
  #saving: Promise<void> = Promise.resolve();
  #saved: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: {
    readonly store: TrustStore;
    readonly place: TrustPlace;
    readonly clock: () => number;
    /** True where the caller pins the key. */
    readonly isPinned: boolean;
    /** True where the record is as good as it was: nothing is written before something new is seen. */
    readonly isKnown: boolean;
    /** The checkpoints that the record had. */
    readonly loaded: readonly string[];
    readonly trust: LogTrust;
  }) {
    this.#store = options.store;
    this.#place = options.place;
    this.#clock = options.clock;
    this.#isPinned = options.isPinned;
    this.#trust = options.trust;
    this.#own = new Set(options.loaded);
    if (options.isKnown) this.#saved = this.#current;
  }

  /** Has what the client trusts saved before long. What cannot be written then is tried again at the end. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.save().catch(() => undefined);
    }, SAVE_AFTER_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Saves what the client trusts by now; nothing new, nothing is written. Calls follow one another. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#save());
    return this.#saving;
  }

  /** Saves for the last time. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.save();
  }

  get #open(): readonly string[] {
    return this.#trust.open.map(({ note }) => note);
  }

  get #current(): string {
    return this.#open.join("\n");
  }

  async #save(): Promise<void> {
    const current = this.#current;
    if (current === this.#saved) return;
    const open = this.#open;
    await this.#store.update(this.#place, (present) => this.#merged(present, open));
    for (const note of open) this.#own.add(note);
    this.#saved = current;
  }

  #merged(present: TrustRecord | undefined, open: readonly string[]): TrustRecord {
    const { key, followed } = this.#trust;
    const verifierKey = key.text;
    const isOther = present !== undefined && present.verifierKey !== verifierKey;
    // Another client has followed the log to a later epoch: what this one saw is behind that.
    if (isOther && present.followed?.includes(verifierKey) === true) return present;
    const isBefore = isOther && followed.includes(present.verifierKey);
    // Somebody has pinned another key meanwhile: what this client saw is not about that.
    if (isOther && !isBefore && !this.#isPinned) return present;
    const same = isOther && !isBefore ? undefined : present;
    const way = [...(same?.followed ?? []), ...followed].filter((text, index, all) => all.indexOf(text) === index);
    const others = same?.checkpoints.filter((note) => !this.#own.has(note) && !open.includes(note)) ?? [];
    // Another client saw what the end of that epoch was not held against: whoever comes next asks for that, too.
    if (isBefore && others.length > 0) return present;
    const nowMs = this.#clock();
    return {
      verifierKey,
      isPinned: this.#isPinned || same?.isPinned === true,
      checkpoints: [...others, ...open].slice(-MAX_CHECKPOINTS),
      ...(way.length === 0 ? {} : { followed: way }),
      sinceMs: same?.sinceMs ?? nowMs,
      seenMs: nowMs,
    };
  }
}
