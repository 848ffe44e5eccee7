// The kills of test/crash/kills-under-load.test.ts, a thousand of them, or as many as NELEUS_TEST_KILLS says: some seconds for
// each three. For 10,000 give NELEUS_TEST_TIMEOUT_MS too, the longest that a file of tests may take.
process.env["NELEUS_TEST_KILLS"] ??= "1000";
await import("../crash/kills-under-load.test.js");
export {};
