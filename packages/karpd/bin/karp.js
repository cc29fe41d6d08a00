#!/usr/bin/env node
// Plain JavaScript, so that an old Node.js gets a sentence instead of a syntax error.
const floor = 24;
if (Number(process.versions.node.split(".")[0]) < floor) {
  console.error(
    `karp needs Node.js ${floor} or newer, and this is ${process.version} (${process.execPath}).\n` +
      "In a checkout, run `npm ci` and then `npm run karp -- …`: npm brings its own Node.js. Elsewhere install it from nodejs.org.",
  );
  process.exit(1);
}
// Node.js opens its debugger on this signal unless somebody listens, and a daemon with keys must not have one: from here on,
// while the rest is still being loaded. The time before is what `--disable-sigusr1` in the systemd units is for.
process.on("SIGUSR1", () => undefined);
// A published package holds the bundle; a checkout runs its sources.
const { existsSync } = await import("node:fs");
const bundle = new URL("../dist/main.js", import.meta.url);
await import(existsSync(bundle) ? bundle.href : new URL("../src/main.ts", import.meta.url).href);
