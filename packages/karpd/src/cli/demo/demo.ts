import { fileURLToPath } from "node:url";
import { kernelHasTcpAo } from "./kernel.ts";
import { runDemo } from "./runDemo.ts";
import { JsonView, LiveView } from "./views.ts";

/** `karp demo`. Prints as it goes; what it returns is the closing line. */
export async function demo(options: {
  readonly json: boolean;
  readonly seconds: number;
}): Promise<{ readonly text: string; readonly ok: boolean }> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());
  // `karp demo --json | head`: nobody looks any more
  process.stdout.on("error", () => interrupted.abort());
  const entry = process.argv[1] ?? fileURLToPath(import.meta.url);
  const { ok, why, summary } = await runDemo({
    seconds: options.seconds,
    daemonArguments: (router) => [entry, "run", "--config", router.configuration, "--log-level", "warn"],
    view: options.json ? new JsonView(process.stdout) : new LiveView(process.stdout),
    kernelTcpAo: await kernelHasTcpAo(),
    signal: interrupted.signal,
  });
  const kernel = summary.kernelTcpAo
    ? " A real TCP session ran throughout, keyed in the kernel with the same keys."
    : "";
  if (!ok) console.error(`karp demo: ${why}`);
  else if (!options.json)
    console.log(
      `\n${summary.rollovers} rollovers at both ends with the same keys; no segment was rejected, none was missed.${kernel}`,
    );
  return { text: JSON.stringify(summary), ok };
}
