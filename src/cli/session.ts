// One run of one command: its global options, its output, and the database that it opens when first asked for.
import type { Database } from "../client/contract.js";
import type { AcceptedEpoch } from "../client/records.js";
import { RecentAnswers } from "../client/recent-answers.js";
import { fileTrustStore } from "../client/file-trust-store.js";
import type { TrustStore } from "../client/trust/index.js";
import { InvalidArgument, Unavailable } from "../core/errors.js";
import { KEY_ENCODINGS, readInput, type KeyEncoding } from "./encoding.js";
import type { Recovery } from "../database/index.js";
import { Output } from "./output.js";
import { recoveryNotice } from "./recovery.js";

/** Where an embedded database is looked for when neither --db nor --server is given. */
export const DEFAULT_DIRECTORY = "./neleus_db";

/** The options that every command takes, before or after it. */
export interface Globals {
  readonly db?: string;
  readonly server?: string;
  readonly database?: string;
  readonly key?: string;
  readonly tlsCa?: string;
  readonly json?: boolean;
  readonly keyEncoding?: string;
  readonly quiet?: boolean;
}

type OpenGlobals = Pick<Globals, "server" | "database"> & { readonly key?: string | undefined };

export class Session {
  readonly output: Output;
  readonly globals: Globals;
  readonly keyEncoding: KeyEncoding;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  /** What came last, for the evidence of a refusal. */
  readonly answers = new RecentAnswers();
  #client: Database | undefined;
  #hasOpened = false;

  constructor(globals: Globals, signal: AbortSignal) {
    this.globals = globals;
    this.signal = signal;
    this.output = new Output({ json: globals.json === true, quiet: globals.quiet === true });
    const encoding = globals.keyEncoding ?? "utf8";
    if (!KEY_ENCODINGS.includes(encoding as KeyEncoding)) {
      throw new InvalidArgument(`--key-encoding is one of ${KEY_ENCODINGS.join(", ")}, not "${encoding}"`, {
        field: "key-encoding",
      });
    }
    this.keyEncoding = encoding as KeyEncoding;
    if (globals.db === "") throw new InvalidArgument("the path of the database is empty", { field: "db" });
    if (globals.db !== undefined && globals.server !== undefined) {
      throw new InvalidArgument("give --db or --server, not both", { field: "server" });
    }
    if (globals.server === undefined && globals.database !== undefined && globals.database !== "default") {
      throw new InvalidArgument(`a directory holds one database, and none named "${globals.database}"`, {
        field: "database",
        hint: "give the directory of the other one with --db; --database is for a --server",
      });
    }
  }

  get directory(): string {
    return this.globals.db ?? DEFAULT_DIRECTORY;
  }

  /** Where the database is, in the words of the command. */
  get place(): string {
    const { server, database = "default" } = this.globals;
    return server === undefined ? this.directory : `${server}, database ${database}`;
  }

  /** True once a database was asked for: before that nobody can have answered anything. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  get isRemote(): boolean {
    return this.globals.server !== undefined;
  }

  /** Where the server is, as it is remembered; undefined without --server. @throws InvalidArgument - no address */
  async serverPlace(): Promise<{ readonly address: string; readonly database: string } | undefined> {
    const { server, database = "default" } = this.globals;
    if (server === undefined) return undefined;
    const { grpcTransport } = await import("../client/grpc-transport.js");
    const transport = grpcTransport({ address: server });
    await transport.close();
    return { address: transport.address, database };
  }

  /** The directory, for a command that works on files and not through a server. @throws InvalidArgument */
  localDirectory(command: string): string {
    if (this.isRemote)
      throw new InvalidArgument(`${command} works on a directory: give --db, not --server`, { field: "server" });
    return this.directory;
  }

  /** Opens the database on first use. The engine is loaded only for an embedded one. */
  async client(): Promise<Database> {
    this.#client ??= await this.#open(this.globals);
    return this.#client;
  }

  /** Opens the database by what is remembered alone, whatever --key says, to learn whether that leads to it. */
  async clientByMemory(): Promise<Database> {
    this.#client ??= await this.#open({ ...this.globals, key: undefined });
    return this.#client;
  }

  /** Has what is remembered name another key. Errors as of `acceptEpochOver`. */
  async acceptEpoch(verifierKey: string): Promise<AcceptedEpoch> {
    const { server, database = "default" } = this.globals;
    const options = { verifierKey, trustStore: fileTrustStore(), database };
    if (server === undefined) {
      const { acceptEpoch } = await import("../client/embedded/index.js");
      return acceptEpoch(this.directory, options);
    }
    const { acceptEpoch } = await import("../client/remote.js");
    const certificateAuthorities = await this.#certificateAuthorities();
    return acceptEpoch(server, { ...options, certificateAuthorities });
  }

  async #certificateAuthorities(): Promise<Uint8Array | undefined> {
    const { tlsCa } = this.globals;
    return tlsCa === undefined ? undefined : readInput(tlsCa, { field: "tls-ca", signal: this.signal });
  }

  async close(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
  }

  /** What is remembered from run to run; undefined where there is no place for it, which is told. */
  #trustStore(): TrustStore | undefined {
    const tell = (error: Unavailable): void => this.output.notice(`neleus: ${error.message}; ${error.hint}`);
    try {
      return forgiving(fileTrustStore(), tell);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      tell(error);
      return undefined;
    }
  }

  async #open(globals: OpenGlobals): Promise<Database> {
    this.#hasOpened = true;
    const common = {
      ...(globals.database === undefined ? {} : { database: globals.database }),
      ...(globals.key === undefined ? {} : { verifierKey: globals.key }),
      trustStore: this.#trustStore(),
      answers: this.answers,
    };
    if (globals.server === undefined) {
      const { open } = await import("../client/embedded/index.js");
      const onRecovered = (recovery: Recovery): void => this.output.notice(recoveryNotice(recovery));
      return open(this.directory, { ...common, engine: { onRecovered } });
    }
    const { connect } = await import("../client/remote.js");
    const certificateAuthorities = await this.#certificateAuthorities();
    return connect(globals.server, {
      ...common,
      certificateAuthorities,
      onTrustOnFirstUse: ({ verifierKey }) => {
        this.output.notice(
          `neleus: trusting the key that ${globals.server ?? ""} shows, from now on: ${verifierKey}\n` +
            "        check it with whoever runs the server, then pin it: neleus trust pin",
        );
      },
    });
  }
}

/** What was done is done, also where it cannot be remembered: that is told, and no failure. Reading it must succeed. */
function forgiving(store: TrustStore, notice: (error: Unavailable) => void): TrustStore {
  let isTold = false;
  return {
    load: (place) => store.load(place),
    list: () => store.list(),
    async update(place, change) {
      try {
        await store.update(place, change);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        if (!isTold) notice(error);
        isTold = true;
      }
    },
  };
}
