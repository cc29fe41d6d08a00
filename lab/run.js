// Entry point of the lab. `npm run lab -- --help` says how.
import "../scripts/nodeVersion.js";

const { main } = await import("./host/main.ts");
process.exitCode = await main(process.argv.slice(2));
