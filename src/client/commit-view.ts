// The state of a commit that the caller names: its bytes are fetched once, at the first read, and hashed.
import type { CommitHash } from "../core/hashes.js";
import type { Connection } from "./connection.js";
import type { Found, KeyRange, ScanRange, StateEntry, StateValue, StateView, ValueOptions } from "./contract.js";
import type { Key } from "./records.js";
import type { Commits } from "./sections.js";
import { VerifiedStateView } from "./state-view.js";
import type { CallOptions } from "./transport.js";

export class CommitView implements StateView {
  readonly #connection: Connection;
  readonly #commits: Commits;
  readonly #hash: CommitHash;
  #view: VerifiedStateView | undefined;

  constructor(connection: Connection, commits: Commits, hash: CommitHash) {
    this.#connection = connection;
    this.#commits = commits;
    this.#hash = hash;
  }

  async get(key: Key, options: ValueOptions = {}): Promise<StateValue | undefined> {
    return (await this.#opened(options)).get(key, options);
  }

  async entry(key: Key, options: CallOptions = {}): Promise<StateEntry | undefined> {
    return (await this.#opened(options)).entry(key, options);
  }

  async *getMany(keys: Iterable<Key>, options: ValueOptions = {}): AsyncGenerator<Found, void, undefined> {
    yield* (await this.#opened(options)).getMany(keys, options);
  }

  scan(range?: ScanRange & { readonly values?: false | undefined }): AsyncGenerator<StateEntry, void, undefined>;
  scan(range: ScanRange & { readonly values: true }): AsyncGenerator<StateValue, void, undefined>;
  scan(range?: ScanRange): AsyncGenerator<StateEntry, void, undefined>;
  async *scan(range: ScanRange = {}): AsyncGenerator<StateEntry, void, undefined> {
    yield* (await this.#opened(range)).scan(range);
  }

  async count(range: KeyRange = {}): Promise<number> {
    return (await this.#opened(range)).count(range);
  }

  async #opened(options: CallOptions): Promise<VerifiedStateView> {
    this.#view ??= new VerifiedStateView(this.#connection, (await this.#commits.get(this.#hash, options)).stateRoot);
    return this.#view;
  }
}
