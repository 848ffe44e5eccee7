// The memory driver, through the conformance suite.
import { MemoryStore } from "#src/store/index.js";
import { testConformance } from "./conformance.js";

testConformance("memory", async () => new MemoryStore());
