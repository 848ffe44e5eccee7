// AdminService: what the server is and the limits that it enforces, out of core/limits.ts; the key of the
// log; and checks.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LimitsSchema } from "../../gen/neleus/v1/admin_pb.js";
import { AdminService } from "../../gen/neleus/v1/admin_pb.js";
import {
  FRESH_LEAF_INTERVAL_MS,
  LOG_WAIT_MS,
  MAX_BATCH_BLOBS,
  MAX_BATCH_KEYS,
  MAX_BLOB_BYTES,
  MAX_CHUNK_BYTES,
  MAX_CHUNKS,
  MAX_HEAD_KEYS,
  MAX_HEADS,
  MAX_IDEMPOTENCY_KEY_CHARACTERS,
  MAX_INLINE_VALUE_BYTES,
  MAX_KEYS_OF_HEAD,
  MAX_KEY_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_PATH_BYTES,
  MAX_PATH_COMMITS,
  MAX_TAGS,
  MIN_CHUNK_BYTES,
  REQUEST_EXPIRY_MS,
  UPLOAD_EXPIRY_MS,
} from "../core/limits.js";
import { InvalidArgument } from "../core/errors.js";
import type { BegunEpoch, Database } from "../database/index.js";
import { openDatabase, type ServiceEnvironment } from "./environment.js";
import { collectStream } from "./collect-stream.js";
import { fsckStream, sampleField } from "./fsck-stream.js";
import type { ServiceImplementation } from "./implementation.js";
import { throwIfEnded } from "./pace.js";
import { invalid } from "./request.js";

const LIMITS: MessageInitShape<typeof LimitsSchema> = {
  messageBytes: BigInt(MAX_MESSAGE_BYTES),
  keyBytes: BigInt(MAX_KEY_BYTES),
  inlineValueBytes: BigInt(MAX_INLINE_VALUE_BYTES),
  batchKeys: BigInt(MAX_BATCH_KEYS),
  batchBlobs: BigInt(MAX_BATCH_BLOBS),
  blobBytes: BigInt(MAX_BLOB_BYTES),
  heads: BigInt(MAX_HEADS),
  minChunkBytes: BigInt(MIN_CHUNK_BYTES),
  maxChunkBytes: BigInt(MAX_CHUNK_BYTES),
  chunks: BigInt(MAX_CHUNKS),
  uploadExpiryMs: BigInt(UPLOAD_EXPIRY_MS),
  freshLeafIntervalMs: BigInt(FRESH_LEAF_INTERVAL_MS),
  idempotencyKeyCharacters: BigInt(MAX_IDEMPOTENCY_KEY_CHARACTERS),
  requestExpiryMs: BigInt(REQUEST_EXPIRY_MS),
  tags: BigInt(MAX_TAGS),
  logWaitMs: BigInt(LOG_WAIT_MS),
  keysOfHead: BigInt(MAX_KEYS_OF_HEAD),
  headKeys: BigInt(MAX_HEAD_KEYS),
  pathCommits: BigInt(MAX_PATH_COMMITS),
  pathBytes: BigInt(MAX_PATH_BYTES),
};

export function adminService(environment: ServiceEnvironment): ServiceImplementation<typeof AdminService> {
  return {
    async getCapabilities(request) {
      const database = await openDatabase(environment, request);
      return {
        version: environment.version,
        features: [],
        databaseId: database.id,
        origin: database.log.origin,
        verifierKey: database.log.verifierKey,
        limits: LIMITS,
        nextVerifierKey: database.log.nextVerifierKey ?? "",
      };
    },

    async rotateKey({ finish, unannounced, ...request }) {
      if (unannounced && !finish)
        throw invalid("unannounced", "is of the step that finishes", "set finish, or leave it");
      const database = await openDatabase(environment, request);
      if (finish) {
        const announcement = unannounced ? "waived" : "required";
        const { verifierKey, origin, receipt } = await begin(database, announcement);
        return { verifierKey, origin, checkpoint: receipt.checkpoint };
      }
      const { nextVerifierKey, receipt } = await database.epochs.announceKey();
      const { verifierKey, origin } = database.log;
      return { verifierKey, nextVerifierKey, origin, checkpoint: receipt.checkpoint };
    },

    async *collectGarbage(request, { signal }) {
      const database = await openDatabase(environment, request);
      throwIfEnded(signal);
      yield* collectStream(database, { isDryRun: request.dryRun, signal });
    },

    async *fsck(request, { signal }) {
      const sample = sampleField(request);
      const database = await openDatabase(environment, request);
      throwIfEnded(signal);
      yield* fsckStream(database, { sample, signal });
    },
  };
}

/** @throws InvalidArgument - `finish`: no key is announced */
async function begin(database: Database, announcement: "required" | "waived"): Promise<BegunEpoch> {
  try {
    return await database.epochs.begin({ reason: "rekeyed", announcement });
  } catch (error) {
    if (!(error instanceof InvalidArgument)) throw error;
    throw invalid("finish", "no key is announced, so no client would follow by itself", error.hint);
  }
}
