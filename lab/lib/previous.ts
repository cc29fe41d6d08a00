import { join } from "node:path";
import type { Lab } from "./lab.ts";

/** bin/karp.js of the karp before this one, for scenarios with `needsPrevious`; see host/previous.ts. */
export function previousProgram(lab: Lab): string {
  return join(lab.repo, "lab/.out/previous/bin/karp.js");
}
