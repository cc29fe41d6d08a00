// Makes the publishable tarballs: dist/*.tgz, one per package.
// The libraries are compiled file by file (ESM and declarations); the daemon is one bundle and the worker beside it.
import "./nodeVersion.js";
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleDaemon } from "./bundle.js";

const out = "dist";
rmSync(out, { recursive: true, force: true });
const root = JSON.parse(readFileSync("package.json", "utf8"));

library("ikev2");
library("tcp-ao");
await daemon();

/** Compiles packages/NAME and packs it. @param {string} name */
function library(name) {
  const stage = join(out, "stage", name);
  const config = join(out, `tsconfig.${name}.json`);
  mkdirSync(stage, { recursive: true });
  writeFileSync(
    config,
    JSON.stringify({
      extends: "../tsconfig.base.json",
      compilerOptions: {
        noEmit: false,
        allowImportingTsExtensions: false,
        declaration: true,
        types: ["node"],
        rootDir: `../packages/${name}`,
        outDir: `stage/${name}`,
      },
      include: [`../packages/${name}/src`, `../packages/${name}/node`, `../packages/${name}/linux`],
    }),
  );
  execFileSync("node_modules/.bin/tsc", ["-p", config], { stdio: "inherit" });
  const source = packageOf(name);
  const exports = Object.fromEntries(
    Object.entries(source.exports).map(([path, file]) => {
      const compiled = String(file).replace(/\.ts$/, "");
      return [path, { types: `${compiled}.d.ts`, default: `${compiled}.js` }];
    }),
  );
  pack(name, stage, { ...source, exports });
}

async function daemon() {
  const stage = join(out, "stage", "karpd");
  const source = packageOf("karpd");
  const result = await bundleDaemon(join(stage, "dist"));
  cpSync("packages/karpd/bin", join(stage, "bin"), { recursive: true });
  cpSync("packages/karpd/systemd", join(stage, "systemd"), { recursive: true });
  chmodSync(join(stage, "bin/karp.js"), 0o755);
  const { dependencies: _bundled, ...rest } = source;
  pack("karpd", stage, { ...rest, optionalDependencies: packageOf("tcp-ao").optionalDependencies });
  const size = Object.values(result.metafile.outputs).reduce((sum, file) => sum + file.bytes, 0);
  console.log(`karp: ${Object.keys(result.metafile.inputs).length} modules, ${(size / 1024).toFixed(0)} KiB`);
}

/** @param {string} name */
function packageOf(name) {
  return JSON.parse(readFileSync(join("packages", name, "package.json"), "utf8"));
}

/** @param {string} name @param {string} stage @param {Record<string, unknown>} manifest */
function pack(name, stage, manifest) {
  writeFileSync(
    join(stage, "package.json"),
    `${JSON.stringify({ ...manifest, version: root.version, engines: { node: ">=24" } }, null, 2)}\n`,
  );
  cpSync("LICENSE", join(stage, "LICENSE"));
  cpSync(join("packages", name, "README.md"), join(stage, "README.md"));
  const [packed] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--pack-destination", "../.."], { cwd: stage, encoding: "utf8" }),
  );
  console.log(`${packed.filename}: ${packed.files.length} files, ${(packed.size / 1024).toFixed(0)} KiB`);
}
