// Entry point of the interoperability tests. `npm run test:interop -- --help` says how.
import "../scripts/nodeVersion.js";

const { main } = await import("./main.ts");
process.exitCode = await main(process.argv.slice(2));
