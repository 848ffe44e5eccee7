// Databases with a bit of everything, and checks of them, for the tests of fsck.
import fc from "fast-check";
import { hashBlob } from "#src/core/blob/index.js";
import { toHex, utf8 } from "#src/core/bytes.js";
import { encodeManifest } from "#src/core/object/index.js";
import { checkStore } from "#src/database/fsck/index.js";
import type { Finding, FsckEvent, FsckOptions, FsckSummary } from "#src/database/fsck/index.js";
import type { Database } from "#src/database/index.js";
import type { Store } from "#src/store/index.js";
import { patternBytes } from "../support/bytes.js";
import { put, remove } from "../support/database.js";

export interface Checked {
  readonly findings: readonly Finding[];
  readonly summary: FsckSummary;
  readonly events: readonly FsckEvent[];
}

export async function check(store: Store, options: FsckOptions = {}): Promise<Checked> {
  const events: FsckEvent[] = [];
  for await (const event of checkStore({ store, clock: Date.now }, options)) events.push(event);
  const last = events.at(-1);
  if (last?.kind !== "summary") throw new Error("the last event is the summary");
  const findings = events.flatMap((event) => (event.kind === "finding" ? [event.finding] : []));
  return { events, findings, summary: last.summary };
}

/** `nodes/1f…`, as short as a place can be told. */
export function placeOf({ place }: Finding): string {
  if ("path" in place) return place.path;
  if ("largeBlob" in place) return `large/${toHex(place.largeBlob)}`;
  return `${place.space}/${toHex(place.key ?? new Uint8Array(0))}`;
}

export async function putDocument(db: Database, sizeBytes: number, head: string | undefined = "main"): Promise<void> {
  const chunking = { method: "fixed", sizeBytes: 50, overlapBytes: 10 };
  const document = await db.documents.begin({ source: "s", head, chunking });
  const content = patternBytes(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += 100_000) {
    await document.append(offset, content.subarray(offset, offset + 100_000));
  }
  await document.finish({ sizeBytes, hash: hashBlob(content) });
  await document.close();
}

/** One thing that a user may do. */
export type Deed = (db: Database, step: number) => Promise<unknown>;

const intent = (step: number): Uint8Array =>
  encodeManifest({ v: 1, kind: "intent", agent: `a${step % 3}`, provider: "p", model: "m", inputs: [], time: step });

/** What may be done, more or less often. */
export const DEEDS: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(fc.nat(40), fc.nat(400)).map(([count, first]): Deed => {
      return (db, step) => {
        const keys = Array.from({ length: count + 1 }, (_, index) => `key-${(first + index * 7) % 500}`);
        return db.states.apply("main", { operations: [...new Set(keys)].map((key) => put(key, `${key} ${step}`)) });
      };
    }),
  },
  {
    weight: 2,
    arbitrary: fc.nat(500).map(
      (n): Deed =>
        (db) =>
          db.states.apply("main", { operations: [remove(`key-${n}`)] }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constant<Deed>((db, step) => db.commits.create({ head: "main", author: "a", message: `m${step}` })),
  },
  { weight: 2, arbitrary: fc.constant<Deed>((db, step) => db.manifests.put(intent(step), { head: "main" })) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 3000 }).map(
      (size): Deed =>
        (db) =>
          putDocument(db, size),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 65_536, max: 150_000 }).map((size): Deed => {
      return (db) => db.states.apply("main", { operations: [put(`large-${size % 5}`, patternBytes(size, size))] });
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Deed>(async (db, step) => {
      const { commit } = await (await db.view()).head("main");
      if (commit === undefined) return;
      await db.heads.create(`head/${step}`, { commit });
      await db.tags.create(`tag/${step}`, commit);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Deed>(async (db) => {
      await db.epochs.announceKey();
      await db.epochs.begin({ reason: "rekeyed" });
    }),
  },
);

export const KEY = (text: string): Uint8Array => utf8(text);
