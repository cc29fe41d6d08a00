// What runs in the guests, from the working tree and as bundles: from its sources Node needs half a minute of a guest's time to
// start karp, and five seconds for what runs a scenario.
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { bundleProgram } from "../../scripts/bundle.js";
import { scenarioNames } from "../lib/scenario.ts";

/** @returns bin/karp.js of the bundle, below the output folder, for the guest sees nothing but the working tree */
export async function ensureProgram(repo: string): Promise<string> {
  const place = await ensureBuild(repo, "karp", async (draft) => {
    await bundleProgram(draft);
  });
  return join(place, "bin/karp.js");
}

/** @returns main.js, from guest/main.ts; the scenarios are scenarios/NAME.js beside it */
export async function ensureDriver(repo: string): Promise<string> {
  const place = await ensureBuild(repo, "driver", async (draft) => {
    const scenarios = scenarioNames().map((name) => [`scenarios/${name}`, `lab/scenarios/${name}/scenario.ts`]);
    await build({
      absWorkingDir: repo,
      entryPoints: { main: "lab/guest/main.ts", ...Object.fromEntries(scenarios) },
      outdir: draft,
      bundle: true,
      splitting: true,
      platform: "node",
      target: "node24",
      format: "esm",
      packages: "external",
      plugins: [ownFolders],
      logLevel: "warning",
    });
    writeFileSync(join(draft, "package.json"), '{ "type": "module" }\n');
  });
  return join(place, "main.js");
}

/** Scenarios have programs beside them, which they find by `import.meta.dirname`. */
const ownFolders: Plugin = {
  name: "own folders",
  setup({ onLoad }) {
    onLoad({ filter: /\/lab\/(lib|scenarios)\/.*\.ts$/ }, ({ path }) => {
      const folder = JSON.stringify(dirname(path));
      return { contents: readFileSync(path, "utf8").replaceAll("import.meta.dirname", folder), loader: "ts" };
    });
  },
};

/** A guest of another run may still use what was built before: each build has a place of its own. */
async function ensureBuild(repo: string, name: string, make: (draft: string) => Promise<void>): Promise<string> {
  const folder = join(repo, "lab/.out");
  mkdirSync(folder, { recursive: true });
  const draft = mkdtempSync(join(folder, `${name}.building-`));
  chmodSync(draft, 0o755); // users other than root run it too
  await make(draft);
  const place = join(folder, `${name}-${digestOf(draft)}`);
  if (existsSync(place)) rmSync(draft, { recursive: true });
  else renameSync(draft, place);
  return place;
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
