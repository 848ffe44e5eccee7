// The LMDB driver, in clear and sealed, through the conformance suite.
import { join } from "node:path";
import { ALGORITHMS, DEFAULT_CONFIG, createDirectory } from "#src/store/index.js";
import { testConformance, type OpenStore } from "./conformance.js";
import { temporaryDirectory } from "./temporary-directory.js";

testConformance("lmdb", async (context) => {
  const { store } = await createDirectory(join(temporaryDirectory(context), "db"));
  return store;
});

// Four files, each with a label of 125 bytes, 37 in front of the content and 16 behind each segment, of which one has two.
const SEALED = { blobOverheadBytes: 4 * (125 + 37 + 16) + 16 };

for (const algorithm of ALGORITHMS) {
  const settings = { algorithm, kdfIterations: 100_000 };
  const config = { ...DEFAULT_CONFIG, encryption: { enabled: true, settings, keys: undefined, extra: {} } as const };
  const open: OpenStore = async (context) => {
    const { store } = await createDirectory(join(temporaryDirectory(context), "db"), { config, password: "secret" });
    return store;
  };
  testConformance(`lmdb, sealed by ${algorithm}`, open, SEALED);
}
