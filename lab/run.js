// Entry point of the lab. Plain JavaScript on purpose: an old Node must be able to say what is wrong.
const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  process.stderr.write(
    `lab: Node 24 or newer is needed, this is ${process.version}. Run \`npm ci\` and then \`npm run lab\` ` +
      "(npm puts the Node of node_modules/.bin first), or call node_modules/.bin/node lab/run.js.\n",
  );
  process.exit(2);
}
const { main } = await import("./host/main.ts");
process.exitCode = await main(process.argv.slice(2));
