// A database lies on a file system of its own machine. Over a network, locks do not exclude writers of other machines as
// LMDB needs it, a mapped page need not show what another machine wrote, and a rename or flush need not be the server's word.
// A file system in user space may be anything of that.
//
// Told by the type that statfs gives: on Linux a number of the kind of file system; elsewhere it says nothing here.
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { Unsupported } from "../../core/errors.js";
import { onFileIfThere } from "../files/file-system.js";

/** Set to 1, it lets a database lie there all the same. */
export const ALLOW_NETWORK_FILE_SYSTEM = "NELEUS_ALLOW_NETWORK_FS";

/** Numbers of linux/magic.h, and of file systems that bring their own. */
const NOT_LOCAL: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x01021997, "9p"],
  [0x65735546, "FUSE"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x73757245, "Coda"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x47504653, "GPFS"],
  [0x19830326, "BeeGFS"],
  [0x564c, "NCP"],
  [0x786f4256, "VirtualBox shared folder"],
]);

/** @throws Unsupported - the directory, or where it is going to be, is not on a local file system */
export async function requireLocalFileSystem(path: string): Promise<void> {
  if (process.platform !== "linux" || process.env[ALLOW_NETWORK_FILE_SYSTEM] === "1") return;
  const found = await onFileIfThere({ doing: "look at", path }, () => statfs(path));
  if (found === undefined) return dirname(path) === path ? undefined : requireLocalFileSystem(dirname(path));
  const name = NOT_LOCAL.get(found.type >>> 0);
  if (name === undefined) return;
  throw new Unsupported(`${path} is on a file system of type ${name}, and a database needs a local one`, {
    hint: `move it to a local disk and serve it from there; if only one machine ever uses it: ${ALLOW_NETWORK_FILE_SYSTEM}=1`,
    facts: { path, file_system: name },
  });
}
