/** The oldest Node.js that karp runs on. */
const floor = 24;

/** Exits with what to do when this Node.js is too old. Imported first by every entry point in a checkout. */
const major = Number(process.versions.node.split(".")[0]);
if (major < floor) {
  console.error(
    `karp needs Node.js ${floor} or newer, and this is ${process.version} (${process.execPath}).\n` +
      "In a checkout, run `npm ci` and start everything through npm (`npm test`, `npm run demo`, `npm run karp -- …`):\n" +
      "npm then uses the Node.js that `npm ci` has put into node_modules. On other platforms install it from nodejs.org.",
  );
  process.exit(1);
}
