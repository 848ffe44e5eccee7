// Files of an encrypted store: sealed, under names that only who has the name key can tell from hashes and ids. The content
// and the outboard of a blob share a name, as they do in clear.
import { open } from "node:fs/promises";
import { equalBytes, fromHex, toHex, utf8 } from "../../core/bytes.js";
import { Corrupt, Malformed } from "../../core/errors.js";
import type { FileFormat, WriterState } from "../files/file-format.js";
import { onFile, onFileIfThere, readExactly } from "../files/file-system.js";
import type { KeyRing } from "./key-ring.js";
import { openRecord, placeOf, sealRecord } from "./record.js";
import { LABEL_BYTES, SealedFileReader, SealedFileWriter, blobNameOf, labelPlace, openLabel } from "./sealed-file.js";

/** Bytes that are copied at once. */
const COPIED_BYTES = 1024 * 1024;

export function sealedFormat(keys: KeyRing): FileFormat {
  const recordPlace = (folder: string): Uint8Array => placeOf("wal", utf8(folder));
  return {
    blobName: (hash) => toHex(blobNameOf(keys, hash)),

    async blobOf(name, path) {
      const physical = fromHex(name);
      const handle = await onFileIfThere({ doing: "open", path }, () => open(path, "r"));
      if (handle === undefined) return undefined;
      try {
        const stored = await readExactly({ path, handle }, { offset: 0, length: LABEL_BYTES });
        const { hash } = openLabel(keys.find, labelPlace("content", physical), stored);
        return equalBytes(blobNameOf(keys, hash), physical) ? hash : unlabelled(path, "labelled as another blob");
      } catch (error) {
        if (error instanceof Corrupt) return error;
        if (error instanceof Malformed) return unlabelled(path, error.message);
        throw error;
      } finally {
        await handle.close();
      }
    },

    uploadName: (uploadId) => toHex(keys.name("uploads", utf8(uploadId))),

    read: (file, { hash, part }) => SealedFileReader.open(file, { keys, part, hash }),
    begin: (file, part) => SealedFileWriter.begin(file, { keys, part }),
    // Of this directory there may be a copy, in which another goes on with the same upload.
    resume: undefined,

    async copy(from, to, state: WriterState) {
      const handle = await onFile({ doing: "open", path: from }, () => open(from, "r"));
      try {
        const source = await SealedFileWriter.reopen({ path: from, handle }, { keys, part: "content", state });
        const copied = await SealedFileWriter.begin(to, { keys, part: "content" });
        for (let offset = 0; offset < state.sizeBytes; offset += COPIED_BYTES) {
          const bytes = new Uint8Array(Math.min(COPIED_BYTES, state.sizeBytes - offset));
          await source.fill(offset, bytes);
          await copied.append(bytes);
        }
        return copied;
      } finally {
        await handle.close();
      }
    },

    recordName: "record",
    encodeRecord: (folder, record) => sealRecord(keys.current, recordPlace(folder), record),
    decodeRecord: (folder, stored) => openRecord(keys.find, recordPlace(folder), stored),
  };
}

function unlabelled(path: string, why: string): Corrupt {
  return new Corrupt(`${path}: nothing tells which blob it is: ${why}`, {
    hint: "run: neleus db fsck",
    facts: { path },
  });
}
