// One database: its parts, put together over one store.
//
//                      states  commits  heads  manifests  documents        what callers see
//                         \       |      |        /        /     \
//                          ───► committer ◄──────          blobs, uploads
//                         /        |     \                     |
//                     nodes     objects   log store ◄── checkpoint signer
//                         \________|________|__________________/
//                                 store
//
// Several processes, or several of these in one process, may have the same database open: every write is guarded by the
// log's tail, and every read begins at it.
import { randomBytes as systemRandomBytes } from "node:crypto";
import { toHex } from "../core/bytes.js";
import { AlreadyExists, Corrupt, InvalidArgument, LimitExceeded, NotFound, Unsupported } from "../core/errors.js";
import { mapRoot } from "../core/hashes.js";
import { LOG_WAIT_MS } from "../core/limits.js";
import { parseOrigin } from "../core/log/index.js";
import { MapKind, buildMap, emptyMap } from "../core/map/index.js";
import type { MapNode, NodeSource } from "../core/map/index.js";
import { LOG_KEYS_KEY, logKeysCell, stagedCell, stagedKey } from "../core/object/index.js";
import {
  ConditionFailed,
  DEFAULT_CONFIG,
  createDirectory,
  encryptedConfig,
  examineFiles,
  openDirectory,
} from "../store/index.js";
import type { DatabaseDirectory, Store, StoreUsage, SyncReader } from "../store/index.js";
import type { ReadChecking } from "./blob-reader.js";
import { DatabaseBlobs } from "./blobs.js";
import { fromStore } from "./boundary.js";
import { CheckpointSigner } from "./checkpoint-signer.js";
import { DatabaseCommits } from "./commits.js";
import { Committer } from "./committer.js";
import { Cosignatures } from "./cosignatures.js";
import type {
  CreateDatabaseOptions,
  Database as Contract,
  DatabaseOptions,
  Location,
  ViewRequest,
} from "./contract.js";
import { DatabaseEpochs } from "./epochs.js";
import type { View } from "./view-contract.js";
import { DatabaseDocuments } from "./documents.js";
import { collectGarbage } from "./gc/collector.js";
import type { CollectEvent, CollectOptions, CollectorContext } from "./gc/collector.js";
import { checkStore } from "./fsck/index.js";
import type { FsckEvent, FsckOptions } from "./fsck/index.js";
import { FREEING_LIMITS } from "./followed-nodes.js";
import { Freeing } from "./freeing.js";
import { DatabaseHeads } from "./heads.js";
import { newIdentity, readIdentity, requireOriginHost } from "./identity.js";
import { Leases } from "./leases.js";
import { FIRST_PLACE, NO_TAIL, hasTail } from "./log-rows.js";
import { LogStore, firstLeaf } from "./log-store.js";
import type { Tail } from "./log-store.js";
import { DatabaseManifests } from "./manifests.js";
import { StoreNodes } from "./nodes.js";
import { StoredObjects } from "./objects.js";
import { StoredRefs } from "./refs.js";
import { RootNodes } from "./root-nodes.js";
import { StoredRequests } from "./requests.js";
import { RollbackAlarm } from "./rollback-alarm.js";
import { DatabaseStates } from "./states.js";
import { DatabaseLog } from "./transparency-log.js";
import { DatabaseUploads } from "./uploads.js";
import { DatabaseTags } from "./tags.js";
import { DatabaseView } from "./view.js";

/** The head that every new database has. */
const FIRST_HEAD = "main";

/** Where the outside comes in, with defaults filled in. */
interface Outside {
  readonly clock: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** One database. */
export type Database = Contract;

export const Database = {
  /**
   * Makes a database with an empty head `main`, and opens it. A directory may hold a hand-written `meta/config.json`;
   * an interrupted `create` is finished or made anew.
   * @throws AlreadyExists - there is one
   * @throws InvalidArgument - a directory with other things in it, or a config that cannot be; a host that is none, or not
   *   the configured one
   * @throws Unsupported - the config or the store is of a kind that this version does not serve
   * @throws PermissionDenied - it is to be encrypted, and there is no password
   */
  async create(location: Location, options: CreateDatabaseOptions = {}): Promise<Database> {
    const outside = outsideOf(options);
    const { originHost } = options;
    requireOriginHost(originHost);
    if (typeof location === "string") {
      const { password, encryption } = options;
      const directory = await createDirectory(location, {
        config: encryption === undefined ? DEFAULT_CONFIG : encryptedConfig(encryption),
        password,
        originHost,
        initialise: (store, config) => initialise(store, { ...outside, originHost: config.originHost }),
      });
      return requireHost(await openFound(directory, options), originHost);
    }
    if (options.encryption !== undefined) {
      throw new InvalidArgument("encryption: a store that is handed in is as it is", { field: "encryption" });
    }
    await initialise(location, { ...outside, originHost });
    return new OpenDatabase({ store: location }, options);
  },

  /**
   * Opens a database.
   * @throws NotFound - kind `database`; the hint says how to make one
   * @throws Corrupt - files or rows are damaged or missing
   * @throws Unsupported - another schema version or cipher, or a store that cannot be read without waiting
   * @throws PermissionDenied - it is encrypted, and the password is missing or another
   */
  async open(location: Location, options: DatabaseOptions = {}): Promise<Database> {
    if (typeof location === "string") return openFound(await openDirectory(location, options), options);
    if (!hasTail(syncReaderOf(location))) {
      throw new NotFound("the store holds no database", { facts: { kind: "database" } });
    }
    return new OpenDatabase({ store: location }, options);
  },
} as const;

class OpenDatabase implements Contract {
  readonly id: string;
  readonly verifyOnRead: boolean;
  readonly directory: Contract["directory"];
  readonly nodes: StoreNodes;
  readonly nodesInPassing: NodeSource;
  readonly blobs: DatabaseBlobs;
  readonly uploads: DatabaseUploads;
  readonly documents: DatabaseDocuments;
  readonly manifests: DatabaseManifests;
  readonly states: DatabaseStates;
  readonly commits: DatabaseCommits;
  readonly heads: DatabaseHeads;
  readonly tags: DatabaseTags;
  readonly log: DatabaseLog;
  readonly epochs: DatabaseEpochs;
  readonly #store: Store;
  readonly #committer: Committer;
  readonly #leases: Leases;
  readonly #newView: () => View;
  readonly #clock: () => number;
  readonly #collecting: CollectorContext;
  #isChecking = false;

  /** @throws Corrupt @throws Unsupported - the store offers no reads without waiting */
  constructor(place: { readonly store: Store; readonly directory?: Contract["directory"] }, options: DatabaseOptions) {
    const { store, directory } = place;
    const { clock, randomBytes } = outsideOf(options);
    const rows = syncReaderOf(store);
    this.#store = store;
    this.#clock = clock;
    this.directory = directory;
    this.verifyOnRead = options.verifyOnRead ?? directory?.config.verifyOnRead ?? true;
    const checking: ReadChecking = this.verifyOnRead ? "verified" : "unverified";
    const identity = readIdentity(rows);
    this.id = toHex(identity.id);
    const alarm = new RollbackAlarm(rows);
    const cosignatures = new Cosignatures({ store, rows });
    const logStore = new LogStore({ rows, alarm });
    const nodes = new StoreNodes({ rows, checking });
    const objects = new StoredObjects({ rows, store });
    const requests = new StoredRequests({ store, rows, clock });
    const limits = { ...FREEING_LIMITS, ...options.freeing };
    const leases = new Leases({ store, clock, graceMs: limits.afterMs, id: randomBytes(16) });
    const freeing = new Freeing({ rows, nodes, leases, limits });
    const committer = new Committer({ store, nodes, log: logStore, alarm, freeing, requests, clock });
    const rootNodes = new RootNodes({ rows, nodes, objects, log: logStore });
    const newUploadId = (): string => `t-${toHex(randomBytes(16))}`;
    const view = async (): Promise<View> => this.view();
    const viewOptions = { nodes, rootNodes, objects, log: logStore, cosignatures, leases, freeing };
    const viewAt = (tail: Tail): View => new DatabaseView(tail, viewOptions);
    const { refsRoot, epoch } = logStore.tail();
    requireOwnKey(new StoredRefs(nodes, { kind: MapKind.refs, root: refsRoot }), epoch.verifierKey);

    this.nodes = nodes;
    this.nodesInPassing = nodes.inPassing;
    this.#committer = committer;
    this.#leases = leases;
    this.#collecting = { store, rows, nodes, log: logStore, committer, clock, randomBytes, limits };
    this.#newView = () => viewAt(logStore.tail());
    this.blobs = new DatabaseBlobs({ store, rows, checking, newUploadId });
    this.uploads = new DatabaseUploads({ store, newUploadId });
    const { blobs, uploads } = this;
    const manifests = new DatabaseManifests({ store, nodes, blobs, objects, committer, rows, leases });
    this.manifests = manifests;
    this.documents = new DatabaseDocuments({ store, nodes, blobs, uploads, manifests, clock, view, leases });
    this.states = new DatabaseStates({
      store,
      rows,
      blobs,
      committer,
      log: logStore,
      leases,
      newUploadId,
      view,
      viewAt,
    });
    this.commits = new DatabaseCommits({ databaseId: identity.id, objects, committer, clock, view });
    this.heads = new DatabaseHeads({ objects, committer, empty: EMPTY_ROOTS });
    this.tags = new DatabaseTags({ objects, committer });
    const longestWaitMs = options.logWaitMs ?? LOG_WAIT_MS;
    const onRolledBack = options.onRolledBack ?? (() => undefined);
    this.log = new DatabaseLog({
      store,
      rows,
      log: logStore,
      alarm,
      cosignatures,
      committer,
      clock,
      longestWaitMs,
      onRolledBack,
    });
    this.epochs = new DatabaseEpochs({
      store,
      rows,
      nodes,
      log: logStore,
      alarm,
      committer,
      clock,
      randomBytes,
      viewAt,
    });
  }

  async view(request: ViewRequest = {}): Promise<View> {
    const { minLogSize, signal } = request;
    if (minLogSize !== undefined) await this.log.reach({ size: minLogSize, signal });
    return this.#newView();
  }

  usage(): Promise<StoreUsage> {
    return this.#store.usage();
  }

  collectGarbage(options: CollectOptions = {}): AsyncGenerator<CollectEvent, void, undefined> {
    return collectGarbage(this.#collecting, options);
  }

  async *fsck(options: FsckOptions = {}): AsyncGenerator<FsckEvent, void, undefined> {
    if (this.#isChecking) {
      throw new LimitExceeded("another check of this database goes on", {
        hint: "wait for its end: it would read the same once more",
        facts: { limit: "checks", value: "1" },
      });
    }
    this.#isChecking = true;
    try {
      const path = this.directory?.path;
      const files = path === undefined ? undefined : examineFiles(path);
      yield* checkStore({ store: this.#store, clock: this.#clock, files }, options);
    } finally {
      this.#isChecking = false;
    }
  }

  async close(): Promise<void> {
    await this.#leases.close();
    await this.#committer.close();
    await this.uploads.close();
    await this.states.close();
    await this.#store.close();
  }
}

const EMPTY_NODES: readonly MapNode[] = [MapKind.state, MapKind.chunks, MapKind.ledger].map(emptyMap);
const EMPTY_ROOTS = {
  stateRoot: mapRoot(emptyMap(MapKind.state).digest),
  ledgerRoot: mapRoot(emptyMap(MapKind.ledger).digest),
};

/** Writes a new database into an empty store, in one batch. */
async function initialise(store: Store, outside: Outside & { readonly originHost: string | undefined }): Promise<void> {
  syncReaderOf(store);
  const { identity, rows } = newIdentity(outside);
  const { verifierKey } = new CheckpointSigner(identity);
  const nodes = [...EMPTY_NODES];
  const refs = [
    { key: LOG_KEYS_KEY, cell: logKeysCell.encode([verifierKey]) },
    { key: stagedKey(FIRST_HEAD), cell: stagedCell.encode(EMPTY_ROOTS) },
  ];
  const { root } = buildMap(MapKind.refs, refs, (node) => nodes.push(node));
  const first = { reason: "created" } as const;
  const logRows = firstLeaf({ timeMs: outside.clock(), refsRoot: root, first }, FIRST_PLACE);
  const nodeRows = nodes.map((node) => ({ space: "nodes", key: node.digest, value: node.stored }) as const);
  try {
    await store.write({ conditions: [NO_TAIL], puts: [...rows, ...nodeRows, ...logRows] });
  } catch (cause) {
    if (!(cause instanceof ConditionFailed)) throw cause;
    throw new AlreadyExists("the store holds a database already", { facts: { kind: "database" } }, { cause });
  }
}

/** Where making it was interrupted late, what another command chose stands. @throws AlreadyExists */
async function requireHost(database: Database, originHost: string | undefined): Promise<Database> {
  const { origin } = database.log;
  if (originHost === undefined || parseOrigin(origin).host === originHost) return database;
  await database.close();
  throw new AlreadyExists(`making the database was begun before, under the name ${origin}; it is made now`, {
    hint: `another name takes another epoch: neleus db new-epoch --reason rekeyed --now --origin-host ${originHost}`,
    facts: { kind: "database", origin },
  });
}

async function openFound(found: DatabaseDirectory, options: DatabaseOptions): Promise<Database> {
  const { store, path, config, recovery } = found;
  try {
    const database = new OpenDatabase({ store, directory: { path, config } }, options);
    if (recovery !== undefined) options.onRecovered?.(recovery);
    return database;
  } catch (error) {
    await store.close();
    throw error;
  }
}

function outsideOf(options: DatabaseOptions): Outside {
  return {
    clock: options.clock ?? Date.now,
    randomBytes: options.randomBytes ?? ((count) => new Uint8Array(systemRandomBytes(count))),
  };
}

/** @throws Unsupported */
function syncReaderOf(store: Store): SyncReader {
  if (store.sync !== undefined) return store.sync;
  throw new Unsupported("this version serves only stores that are read without waiting: memory and LMDB");
}

/** The refs list the key that this database signs with. @throws Corrupt */
function requireOwnKey(refs: StoredRefs, verifierKey: string): void {
  const cell = refs.ref(LOG_KEYS_KEY);
  const keys = cell === undefined ? [] : fromStore("the keys of the log", () => logKeysCell.decode(cell));
  if (keys.includes(verifierKey)) return;
  throw new Corrupt("the key that signs the log is not the one that the refs list", {
    hint: "restore the database from a backup",
    facts: { kind: "signing-key", expected: keys.join(" "), actual: verifierKey },
  });
}
