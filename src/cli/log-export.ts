// neleus log export: the log as static files in the C2SP tlog-tiles layout, which existing tools mirror, monitor and witness.
//
//   DIR/checkpoint           the newest checkpoint, written last
//   DIR/tile/<L>/<N>         hashes      DIR/tile/entries/<N>   leaves
//
// Every leaf is verified against the checkpoint, and the tiles are made from the leaves. What is there already must be the
// beginning of the same log: its checkpoint, and its full tiles, which never change. So exporting again is also a check.
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { SignedCheckpoint } from "../client/records.js";
import { concatBytes, equalBytes, toHex } from "../core/bytes.js";
import { Forked, InvalidArgument, Malformed, RolledBack } from "../core/errors.js";
import type { Digest } from "../core/hashes.js";
import {
  encodeEntryBundle,
  Frontier,
  logLeafHash,
  parseCheckpointUnverified,
  parseOrigin,
  TILE_WIDTH,
  TileBuilder,
  tilePath,
  type Checkpoint,
  type TilePosition,
} from "../core/log/index.js";
import { counted } from "./output.js";
import { freshOption, textOption } from "./command.js";
import { fileError, parseCount } from "./encoding.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

/** What names a tile's file. */
type TileName = Parameters<typeof tilePath>[0];

/** `neleus log export <dir>` */
export async function exportLog(session: Session, directory: string, options: Options): Promise<void> {
  const client = await session.client();
  const { signal, output } = session;
  const asked = textOption(options, "epoch");
  const checkpoint =
    asked === undefined
      ? (await client.checkpoint({ signal, ...freshOption(options) })).checkpoint
      : await client.logEntries.end(parseCount(asked, "epoch", 1), { signal });
  // Named from here on: the next epoch may begin at any time.
  const { epoch } = parseOrigin(checkpoint.origin);
  const earlier = await exportedCheckpoint(directory, checkpoint);
  const folder = new TileFolder(directory);
  const tiles = new TileBuilder();
  let bundle: Uint8Array[] = [];
  const bundleName = (index: number): TileName => ({
    level: "entries",
    index: Math.floor(index / TILE_WIDTH),
    width: bundle.length,
  });
  const frontier = Frontier.empty();
  for await (const { index, bytes } of client.logEntries.list({ epoch, end: checkpoint.size, signal })) {
    const hash = logLeafHash(bytes);
    frontier.append(hash);
    if (earlier?.size === frontier.size) requireSameRoot(directory, { earlier, checkpoint, root: frontier.root() });
    bundle.push(bytes);
    for (const tile of tiles.push(hash)) await folder.write(tile, concatBytes(...tile.hashes));
    if (bundle.length < TILE_WIDTH) continue;
    await folder.write(bundleName(index), encodeEntryBundle(bundle));
    bundle = [];
    output.progress(`${index + 1} of ${checkpoint.size} leaves`);
  }
  requireSameRoot(directory, { earlier: checkpoint, checkpoint, root: frontier.root() });
  if (bundle.length > 0) await folder.write(bundleName(checkpoint.size - 1), encodeEntryBundle(bundle));
  for (const tile of tiles.partial()) await folder.write(tile, concatBytes(...tile.hashes));
  await folder.replace("checkpoint", new TextEncoder().encode(checkpoint.note));
  output.progressDone();
  await output.result(
    {
      dir: directory,
      origin: checkpoint.origin,
      size: checkpoint.size,
      root: checkpoint.root,
      written: folder.written,
    },
    () =>
      `${counted(checkpoint.size, "leaf", "leaves")}, log root ${toHex(checkpoint.root)}; ${counted(folder.written, "file")} written to ${directory}`,
  );
}

/** A checkpoint and the note that says it. */
interface ExportedCheckpoint extends Checkpoint {
  readonly note: string;
}

/**
 * What was exported into the folder before.
 * @throws RolledBack - it is ahead of the log @throws Forked - it is of another log
 */
async function exportedCheckpoint(
  directory: string,
  checkpoint: SignedCheckpoint,
): Promise<ExportedCheckpoint | undefined> {
  const bytes = await readIfThere(join(directory, "checkpoint"));
  if (bytes === undefined) return undefined;
  const note = new TextDecoder().decode(bytes);
  const earlier = earlierCheckpoint(directory, note);
  const evidence = { older: note, newer: checkpoint.note };
  if (earlier.origin !== checkpoint.origin) {
    throw new Forked(`${directory} holds the log ${earlier.origin}, and this one is ${checkpoint.origin}`, {
      hint: "export each log into a folder of its own",
      evidence,
    });
  }
  if (earlier.size <= checkpoint.size) return { ...earlier, note };
  throw new RolledBack(
    `${directory} holds ${counted(earlier.size, "leaf", "leaves")} of this log, and the database ${checkpoint.size}`,
    {
      hint: "the database was rolled back: keep that folder as evidence",
      facts: { older_size: String(earlier.size), newer_size: String(checkpoint.size) },
      evidence,
    },
  );
}

/** @throws Forked - the log as it was exported is not the beginning of this one */
function requireSameRoot(
  directory: string,
  log: { readonly earlier: ExportedCheckpoint; readonly checkpoint: SignedCheckpoint; readonly root: Digest },
): void {
  const { earlier, checkpoint, root } = log;
  if (equalBytes(earlier.root, root)) return;
  throw new Forked(`${directory} holds another history of this log, of ${counted(earlier.size, "leaf", "leaves")}`, {
    hint: "keep that folder as evidence: the log that was exported does not lead to this one",
    facts: { size: String(earlier.size), expected: toHex(earlier.root), actual: toHex(root) },
    evidence: { older: earlier.note, newer: checkpoint.note },
  });
}

/** @throws InvalidArgument - the folder's checkpoint is none */
function earlierCheckpoint(directory: string, note: string): Checkpoint {
  try {
    return parseCheckpointUnverified(note);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new InvalidArgument(`${join(directory, "checkpoint")} is no checkpoint`, { field: "dir" }, { cause });
  }
}

/** A folder of tiles. */
class TileFolder {
  readonly #directory: string;
  written = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws Forked - the tile is there, and is another one */
  async write(tile: TileName | TilePosition, bytes: Uint8Array): Promise<void> {
    const path = tilePath(tile);
    const present = await readIfThere(join(this.#directory, path));
    if (present === undefined || tile.width < TILE_WIDTH) await this.replace(path, bytes);
    else if (!equalBytes(present, bytes)) {
      throw new Forked(`${path} in ${this.#directory} is not the tile of this log`, {
        hint: "the file was damaged, or is of another history: keep it as evidence, and export into another folder",
        facts: { path },
      });
    }
    // What a full tile grew from is not fetched any more.
    if (tile.width === TILE_WIDTH) await rm(join(this.#directory, `${path}.p`), { recursive: true, force: true });
  }

  /** Whole or not at all. */
  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.#directory, path);
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(`${target}.tmp`, bytes);
      await rename(`${target}.tmp`, target);
    } catch (error) {
      throw fileError(error, { path: target, field: "dir" });
    }
    this.written += 1;
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") return undefined;
    throw fileError(error, { path, field: "dir" });
  }
}
