// The kit as it is made: always the same bytes from the same sources.
import { createHash } from "node:crypto";
import type { Topic } from "../case.js";
import { blobCases } from "./blob.js";
import { codecCases } from "./codec.js";
import { epochCases } from "./epoch.js";
import { hashCases } from "./hash.js";
import { logCases } from "./log.js";
import { mapCases } from "./map.js";
import { objectCases } from "./object.js";
import { proofCases } from "./proof.js";
import { signatureCases } from "./signature.js";
import { witnessCases } from "./witness.js";

/** Of the files and of the runner protocol. A new number where a runner of the old one would misread them. */
export const KIT_FORMAT = 1;

export interface KitManifest {
  readonly format: number;
  /** Version of docs/FORMATS.md. */
  readonly formats: number;
  readonly cases: number;
  readonly files: readonly {
    readonly path: string;
    readonly topic: string;
    readonly cases: number;
    readonly sha256: string;
  }[];
}

/** Every file of the kit by its path below test/conformance/, the manifest included. */
export function makeKit(): ReadonlyMap<string, string> {
  const topics = [
    hashCases(),
    codecCases(),
    mapCases(),
    witnessCases(),
    blobCases(),
    objectCases(),
    signatureCases(),
    logCases(),
    epochCases(),
    proofCases(),
  ];
  const files = new Map(topics.map((topic) => [`cases/${topic.topic}.json`, textOf(topic)]));
  const manifest: KitManifest = {
    format: KIT_FORMAT,
    formats: 1,
    cases: topics.reduce((sum, { cases }) => sum + cases.length, 0),
    files: topics.map(({ topic, cases }) => {
      const path = `cases/${topic}.json`;
      const sha256 = createHash("sha256")
        .update(files.get(path) ?? "")
        .digest("hex");
      return { path, topic, cases: cases.length, sha256 };
    }),
  };
  return files.set("kit.json", `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** JSON with a line for each case, so that a change of one is a change of one line. */
function textOf({ topic, about, cases }: Topic): string {
  const lines = cases.map((one) => JSON.stringify(one)).join(",\n");
  return `{"topic":${JSON.stringify(topic)},"about":${JSON.stringify(about)},"cases":[\n${lines}\n]}\n`;
}
