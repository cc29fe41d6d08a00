// karp from the working tree, as one bundle: from its sources Node needs half a minute of a guest's time to start it.
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { bundleDaemon } from "../../scripts/bundle.js";

/** @returns bin/karp.js of the bundle, below the output folder, for the guest sees nothing but the working tree */
export async function ensureProgram(repo: string): Promise<string> {
  const folder = join(repo, "lab/.out");
  mkdirSync(folder, { recursive: true });
  const draft = mkdtempSync(join(folder, "karp.building-"));
  chmodSync(draft, 0o755); // users other than root run it too
  await bundleDaemon(join(draft, "dist"));
  cpSync(join(repo, "packages/karpd/bin"), join(draft, "bin"), { recursive: true });
  // A guest of another run may still use what was built before: each build has a place of its own
  const place = join(folder, `karp-${digestOf(draft)}`);
  if (existsSync(place)) rmSync(draft, { recursive: true });
  else renameSync(draft, place);
  return join(place, "bin/karp.js");
}

function digestOf(folder: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()) {
    hash.update(`${name.slice(folder.length)}\n`).update(readFileSync(name));
  }
  return hash.digest("hex").slice(0, 16);
}
