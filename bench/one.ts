/** One benchmark in this process: `node --expose-gc bench/one.ts NAME`, its rows as JSON on stdout. For profiles, too. */
import { benchmarks } from "./benchmarks.ts";

const name = process.argv[2] ?? "";
const load = benchmarks[name];
if (load === undefined) throw new Error(`no benchmark ${name}; there are ${Object.keys(benchmarks).join(", ")}`);
const benchmark = await load();
process.stdout.write(`${JSON.stringify(await benchmark.run())}\n`);
