import { join } from "node:path";

/** bin/karp.js for processes that tests start: the bundle that scripts/test.js has built, else the sources. */
export const karp = process.env["KARP_TEST_PROGRAM"] ?? join(import.meta.dirname, "../bin/karp.js");
