// The daemon as one bundle, and its workers beside it: what is published, and what the lab runs.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Bundles the working tree's karp into the folder `outdir`. @param {string} outdir */
export async function bundleDaemon(outdir) {
  return await build({
    absWorkingDir: root,
    entryPoints: {
      main: "packages/karpd/src/main.ts",
      "storage-worker": "packages/karpd/src/storage/worker.ts",
      "wrap-launcher": "packages/karpd/src/wrap/launchThread.ts",
    },
    outdir,
    bundle: true,
    // A command loads only what it needs: `karp show` must not pay for the daemon.
    splitting: true,
    chunkNames: "[name]-[hash]",
    platform: "node",
    target: "node24",
    format: "esm",
    // koffi brings native code: it stays a dependency, loaded when it is needed.
    external: ["koffi"],
    // Bundled CommonJS code calls require() for Node's own modules.
    banner: {
      js: 'import { createRequire as karpCreateRequire } from "node:module"; const require = karpCreateRequire(import.meta.url);',
    },
    legalComments: "linked",
    minifySyntax: true,
    metafile: true,
    logLevel: "warning",
  });
}

/** The same as a package is laid out, with its entry point. @param {string} folder @returns bin/karp.js */
export async function bundleProgram(folder) {
  await bundleDaemon(join(folder, "dist"));
  cpSync(join(root, "packages/karpd/bin"), join(folder, "bin"), { recursive: true });
  return join(folder, "bin/karp.js");
}
