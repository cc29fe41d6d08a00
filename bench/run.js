// Measures what the budgets of the project speak about. `npm run bench -- --help` says how.
import "../scripts/nodeVersion.js";

const { main } = await import("./main.ts");
process.exitCode = await main(process.argv.slice(2));
