// The client over a directory of one's own: engine, services and client in one process. Every answer is verified just as
// over a network, so what works here works there, and damage on disk is noticed.
//
// Several processes may have one directory open at once.
import { NotFound } from "../../core/errors.js";
import { PROGRAM_VERSION } from "../../core/version.js";
import {
  Database as Engine,
  type CreateDatabaseOptions as CreateEngineOptions,
  type DatabaseOptions as EngineOptions,
  type Location,
} from "../../database/index.js";
import { createServices } from "../../service/index.js";
import type { Database } from "../contract.js";
import { acceptEpochOver, type AcceptEpochOptions } from "../accept-epoch.js";
import { openOver } from "../database.js";
import { nativeSignatureCheck } from "../native-signature.js";
import type { DatabaseOptions } from "../options.js";
import type { AcceptedEpoch } from "../records.js";
import type { Transport } from "../transport.js";
import { inProcessTransport } from "./in-process-transport.js";

export { rotateEncryptionKey } from "../../store/index.js";
export { inProcessTransport, type InProcessOptions } from "./in-process-transport.js";

/** What is beside the options of every client. */
export interface EmbeddedOptions extends DatabaseOptions {
  /** Passed to the engine: password, clock, random bytes, verification on read. */
  readonly engine?: EngineOptions | undefined;
}

/** What a database is made with: encrypted, where `engine.encryption` says so. */
export interface CreateOptions extends DatabaseOptions {
  /** Passed to the engine: password, encryption, clock, random bytes, verification on read, host of the log's origin. */
  readonly engine?: CreateEngineOptions | undefined;
}

/**
 * A client of the database in a directory, or in a store that is open.
 * @throws NotFound - there is no database there; the hint says how to make one
 * @throws Corrupt - its files are damaged
 * @throws InvalidArgument, NewEpoch, VerificationFailed - it is not the database of the pinned key: see `DatabaseOptions`
 */
export async function open(location: Location, options: EmbeddedOptions = {}): Promise<Database> {
  return clientOf(await Engine.open(location, options.engine), location, options);
}

/**
 * Makes a database, with an empty head `main`, and gives a client of it.
 * @throws AlreadyExists - there is one
 * @throws InvalidArgument - the directory holds other things
 */
export async function create(location: Location, options: CreateOptions = {}): Promise<Database> {
  return clientOf(await Engine.create(location, options.engine), location, options);
}

/**
 * Trusts another epoch of the log of a directory's database, because a person says so. Errors as of `open`, and those of
 * `acceptEpochOver`.
 */
export async function acceptEpoch(
  location: Location,
  options: AcceptEpochOptions & Pick<EmbeddedOptions, "engine">,
): Promise<AcceptedEpoch> {
  const address = typeof location === "string" ? location : "store";
  const engine = await Engine.open(location, options.engine);
  return acceptEpochOver(engineTransport(engine, { address, database: options.database ?? "default" }), options);
}

async function clientOf(engine: Engine, location: Location, options: EmbeddedOptions): Promise<Database> {
  const address = typeof location === "string" ? location : "store";
  const transport = engineTransport(engine, { address, database: options.database ?? "default" });
  return openOver(transport, options, { makeSignatureCheck: nativeSignatureCheck });
}

/** A transport to services over one engine, which it closes. */
export function engineTransport(
  engine: Engine,
  names: { readonly address: string; readonly database: string },
): Transport {
  const database = async (name: string): Promise<Engine> => {
    if (name === names.database) return engine;
    throw new NotFound(`database "${name}" does not exist; ${names.address} is "${names.database}"`, {
      facts: { kind: "database", database: name },
    });
  };
  const services = createServices({ database, version: PROGRAM_VERSION });
  const inner = inProcessTransport({ address: names.address, services });
  let closing: Promise<void> | undefined;
  return {
    address: inner.address,
    isInProcess: true,
    unary: (method, request, options) => inner.unary(method, request, options),
    serverStream: (method, request, options) => inner.serverStream(method, request, options),
    clientStream: (method, requests, options) => inner.clientStream(method, requests, options),
    close: () => (closing ??= inner.close().then(() => engine.close())),
  };
}
