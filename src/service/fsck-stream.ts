// A check of a database as messages. It gives way to other calls by itself, and ends with its caller.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AdminServiceFsckRequest, AdminServiceFsckResponseSchema } from "../../gen/neleus/v1/admin_pb.js";
import type { FsckFindingSchema, FsckSummarySchema } from "../../gen/neleus/v1/admin_pb.js";
import type { Database, Finding, FindingPlace, FsckEvent, FsckSample, FsckSummary } from "../database/index.js";
import { endedError } from "./pace.js";
import { integerField, invalid } from "./request.js";

type ResponseInit = MessageInitShape<typeof AdminServiceFsckResponseSchema>;

const MILLION = 1_000_000;

/** @throws InvalidArgument - a sample of nothing, or of more than everything */
export function sampleField({ sample }: AdminServiceFsckRequest): FsckSample | undefined {
  if (sample.case === undefined) return undefined;
  if (sample.case === "sampleCount") {
    const count = integerField(sample.value, "sample_count");
    if (count === 0) throw invalid("sample_count", "0 is no sample", "leave it out to check everything");
    return { count };
  }
  if (sample.value < 1 || sample.value > MILLION) {
    throw invalid("sample_per_million", `${sample.value} of a million; 1 to ${MILLION} are a share`);
  }
  return { percent: (100 * sample.value) / MILLION };
}

export async function* fsckStream(
  database: Database,
  options: { readonly sample: FsckSample | undefined; readonly signal: AbortSignal },
): AsyncGenerator<ResponseInit, void, undefined> {
  const { signal } = options;
  try {
    for await (const event of database.fsck(options)) yield { event: eventMessage(event) };
  } catch (error) {
    throw signal.aborted && error === signal.reason ? endedError(signal) : error;
  }
}

function eventMessage(event: FsckEvent): NonNullable<ResponseInit["event"]> {
  switch (event.kind) {
    case "progress": {
      const { phase, done, total, bytes } = event.progress;
      const known = total === undefined ? {} : { total: BigInt(total) };
      return { case: "progress", value: { phase, done: BigInt(done), bytes: BigInt(bytes), ...known } };
    }
    case "finding":
      return { case: "finding", value: findingMessage(event.finding) };
    case "summary":
      return { case: "summary", value: summaryMessage(event.summary) };
  }
}

function findingMessage(finding: Finding): MessageInitShape<typeof FsckFindingSchema> {
  const { kind, subject, message, repair, affectedCount } = finding;
  const affects = finding.affects.map(({ name, map = "", key, above, last }) => ({
    name,
    map,
    ...(key === undefined ? {} : { key }),
    ...(above === undefined ? {} : { keysAbove: above }),
    ...(last === undefined ? {} : { keysTo: last }),
  }));
  const place = placeMessage(finding.place);
  return { kind, subject, place, message, affects, affectedCount: BigInt(affectedCount), repair };
}

function placeMessage(place: FindingPlace): NonNullable<MessageInitShape<typeof FsckFindingSchema>["place"]> {
  if ("path" in place) return { case: "path", value: place.path };
  if ("largeBlob" in place) return { case: "largeBlob", value: place.largeBlob };
  return {
    case: "row",
    value: place.key === undefined ? { space: place.space } : { space: place.space, key: place.key },
  };
}

function summaryMessage(summary: FsckSummary): MessageInitShape<typeof FsckSummarySchema> {
  const { findings, bytes, logSize, refsRoot, leftOut } = summary;
  const counts = summary.counts.map(({ name, checked, total, unreachable }) => ({
    name,
    checked: BigInt(checked),
    total: BigInt(total),
    ...(unreachable === undefined ? {} : { unreachable: BigInt(unreachable) }),
  }));
  return {
    findings: BigInt(findings),
    counts,
    bytes: BigInt(bytes),
    logSize: BigInt(logSize),
    ...(refsRoot === undefined ? {} : { refsRoot }),
    leftOut: [...leftOut],
  };
}
