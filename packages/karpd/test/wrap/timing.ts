// 10,000 connections that karp does not key, without and with the supervisor: the figures of bench/RESULTS.md.
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

const ROUNDS = 3;
const COUNT = "10000";
const folder = mkdtempSync(join(tmpdir(), "karp-wrap-timing-"));
const daemon = join(folder, "daemon");
spawnSync("cc", ["-O1", "-pthread", "-o", daemon, join(import.meta.dirname, "daemon.c")], { stdio: "inherit" });
const configuration = join(folder, "karp.yaml");
writeFileSync(
  configuration,
  `router: r1.example.net
credentials: { certificate: r1.pem, private-key: r1.key, trust: ca.pem }
sessions:
  r2: { driver: linux, local: 127.9.9.1, remote: 127.9.9.2, peer: r2.example.net, mode: required }
`,
);
// In a thread: this one waits for the program
const server = new Worker(
  `const { createServer } = require("node:net");
   const server = createServer((socket) => socket.on("error", () => undefined).resume().end());
   server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () =>
     require("node:worker_threads").parentPort.postMessage(server.address().port));`,
  { eval: true },
);
const [port] = (await once(server, "message")) as [number];
const connects = ["connect", "127.0.0.1", String(port), COUNT, "1"];
const karp = join(import.meta.dirname, "../../bin/karp.js");

function inside(command: readonly string[]): number {
  // The time of the program itself, without the start of the supervisor
  const own = `began=$(date +%s%N); "$@" >&2; ended=$(date +%s%N); echo $((ended - began))`;
  const [program = "", ...args] = [...command, "bash", "-c", own, "bash", daemon, ...connects];
  return Number(spawnSync(program, args).stdout) / 1e9;
}

for (let round = 0; round < ROUNDS; round++) {
  const without = inside(["env"]);
  const supervised = inside([process.execPath, karp, "wrap", "--config", configuration, "--"]);
  const each = ((supervised - without) / Number(COUNT)) * 1e6;
  console.log(`without ${without.toFixed(2)} s, with ${supervised.toFixed(2)} s: ${each.toFixed(0)} us each`);
}
await server.terminate();
rmSync(folder, { recursive: true, force: true });
