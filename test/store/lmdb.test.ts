// The LMDB driver, through the conformance suite.
import { join } from "node:path";
import { createDirectory } from "#src/store/index.js";
import { testConformance } from "./conformance.js";
import { temporaryDirectory } from "./temporary-directory.js";

testConformance("lmdb", async (context) => {
  const { store } = await createDirectory(join(temporaryDirectory(context), "db"));
  return store;
});
