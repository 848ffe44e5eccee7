// A check of a database by whoever holds it. Nothing of it is proved: a server that would lie of its content would lie of its
// health. It tells an operator what the disk has done.
import { VerificationFailed } from "../core/errors.js";
import {
  AdminService,
  type AdminServiceFsckResponse,
  type FsckFinding as FindingMessage,
  type FsckSummary as SummaryMessage,
} from "../../gen/neleus/v1/admin_pb.js";
import { countArgument } from "./argument.js";
import { callOptions, type Connection } from "./connection.js";
import { receivedInteger } from "./received.js";
import type { CallOptions } from "./transport.js";

const MILLION = 1_000_000;

/** Where something was found: a row of the store, a large blob by its hash, or a file of the server's. */
export type FsckPlace =
  | { readonly space: string; readonly key?: Uint8Array | undefined }
  | { readonly largeBlob: Uint8Array }
  | { readonly path: string };

/** What cannot be read, or not be trusted, because of a finding. */
export interface FsckAffected {
  /** A ref, or a commit, manifest or epoch. */
  readonly name: string;
  /** Which of its maps. */
  readonly map?: string | undefined;
  /** The key whose entry leads to what was found. */
  readonly key?: Uint8Array | undefined;
  /** Of a node: the keys above this one … */
  readonly above?: Uint8Array | undefined;
  /** … up to this one. */
  readonly last?: Uint8Array | undefined;
}

/** Something that is not as it must be. The words of `kind` and `subject` are those of the proto. */
export interface FsckFinding {
  readonly kind: string;
  readonly subject: string;
  readonly place: FsckPlace;
  readonly message: string;
  /** The first 16. */
  readonly affects: readonly FsckAffected[];
  readonly affectedCount: number;
  readonly repair: string;
}

export interface FsckProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly bytes: number;
}

/** What a check looked at. */
export interface FsckSummary {
  readonly findings: number;
  readonly counts: readonly {
    readonly name: string;
    readonly checked: number;
    readonly total: number;
    /** Reached by nothing that is kept; undefined where that was not asked. */
    readonly unreachable: number | undefined;
  }[];
  readonly bytes: number;
  /** Leaves of the log that was checked. */
  readonly logSize: number;
  readonly refsRoot: Uint8Array | undefined;
  /** What was left out; none: everything was looked at. */
  readonly leftOut: readonly string[];
}

export type FsckEvent =
  | { readonly kind: "progress"; readonly progress: FsckProgress }
  | { readonly kind: "finding"; readonly finding: FsckFinding }
  | { readonly kind: "summary"; readonly summary: FsckSummary };

export interface FsckOptions extends CallOptions {
  /** Not everything, but about so many rows and blobs of each kind, or such a share of them, at random. */
  readonly sample?: { readonly count: number } | { readonly percent: number } | undefined;
}

/** See `Database.fsck`. */
export async function* fsck(
  connection: Connection,
  options: FsckOptions = {},
): AsyncGenerator<FsckEvent, void, undefined> {
  const { sample } = options;
  const { database } = connection;
  const request =
    sample === undefined
      ? { database }
      : "count" in sample
        ? {
            database,
            sample: { case: "sampleCount", value: BigInt(countArgument(sample.count, "sample", 1)) } as const,
          }
        : {
            database,
            sample: { case: "samplePerMillion", value: Math.round((sample.percent / 100) * MILLION) } as const,
          };
  let hasEnded = false;
  for await (const message of connection.serverStream(AdminService.method.fsck, request, callOptions(options))) {
    if (hasEnded) throw new VerificationFailed("the check goes on behind its summary");
    const event = receivedEvent(message);
    hasEnded = event.kind === "summary";
    yield event;
  }
  if (!hasEnded) throw new VerificationFailed("the check ended without a summary");
}

function receivedEvent({ event }: AdminServiceFsckResponse): FsckEvent {
  switch (event.case) {
    case "progress": {
      const { phase, done, total, bytes } = event.value;
      const progress = {
        phase,
        done: receivedInteger(done, "the progress of a check"),
        total: total === undefined ? undefined : receivedInteger(total, "the extent of a check"),
        bytes: receivedInteger(bytes, "the bytes of a check"),
      };
      return { kind: "progress", progress };
    }
    case "finding":
      return { kind: "finding", finding: receivedFinding(event.value) };
    case "summary":
      return { kind: "summary", summary: receivedSummary(event.value) };
    case undefined:
      throw new VerificationFailed("a message of a check says nothing");
  }
}

function receivedFinding(finding: FindingMessage): FsckFinding {
  const { kind, subject, message, repair } = finding;
  const affects = finding.affects.map(({ name, map, key, keysAbove, keysTo }) => ({
    name,
    map: map === "" ? undefined : map,
    key: copyOf(key),
    above: copyOf(keysAbove),
    last: copyOf(keysTo),
  }));
  const affectedCount = receivedInteger(finding.affectedCount, "how many are affected");
  return { kind, subject, place: receivedPlace(finding.place), message, affects, affectedCount, repair };
}

function receivedPlace(place: FindingMessage["place"]): FsckPlace {
  switch (place.case) {
    case "row": {
      const { space, key } = place.value;
      return { space, key: key.length === 0 ? undefined : copyOf(key) };
    }
    case "largeBlob":
      return { largeBlob: new Uint8Array(place.value) };
    case "path":
      return { path: place.value };
    case undefined:
      throw new VerificationFailed("a finding says nothing of where it is");
  }
}

function receivedSummary(summary: SummaryMessage): FsckSummary {
  const { findings, bytes, logSize, refsRoot, leftOut } = summary;
  return {
    findings: receivedInteger(findings, "the number of findings"),
    counts: summary.counts.map(({ name, checked, total, unreachable }) => ({
      name,
      checked: receivedInteger(checked, "what was looked at"),
      total: receivedInteger(total, "what there is"),
      unreachable: unreachable === undefined ? undefined : receivedInteger(unreachable, "what is unreachable"),
    })),
    bytes: receivedInteger(bytes, "the bytes of a check"),
    logSize: receivedInteger(logSize, "the size of the log"),
    refsRoot: refsRoot.length === 0 ? undefined : copyOf(refsRoot),
    leftOut: [...leftOut],
  };
}

function copyOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}
