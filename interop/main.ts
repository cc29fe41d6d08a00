// Makes sure that strongSwan is there, and runs the cases in namespaces of their own (network, mounts, processes).
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CHARON } from "./lib/charon.ts";

const USAGE = `usage: npm run test:interop -- [--require-all] [FILE…]
Tests karp's IKEv2 with strongSwan's charon. FILE: names in interop/cases, without ".test.ts"; all of them by default.
  --require-all  what this machine lacks is a failure, not a skip
As root on Debian or Ubuntu strongSwan is installed when it is missing.
`;

/** What is needed, and the package of Debian or Ubuntu that has it. */
const needed = new Map([
  [CHARON, "strongswan-charon"],
  ["/usr/lib/ipsec/plugins/libstrongswan-vici.so", "strongswan-swanctl"],
  ["/usr/lib/ipsec/plugins/libstrongswan-openssl.so", "libstrongswan-standard-plugins"],
  ["/usr/lib/ipsec/plugins/libstrongswan-curve25519.so", "libstrongswan-extra-plugins"],
  ["ip", "iproute2"],
  ["unshare", "util-linux"],
]);

const LONGEST_SECONDS = 170;

/** @returns the exit code: 0 as wished, 1 failed or nothing ran, 2 wrong usage */
export async function main(args: readonly string[]): Promise<number> {
  const options = {
    "require-all": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  } as const;
  let parsed: { readonly values: { "require-all": boolean; help: boolean }; readonly positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    process.stderr.write(`interop: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (parsed.values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const obstacle = findObstacle();
  return obstacle === undefined ? await runInside(parsed.positionals) : skip(obstacle, parsed.values["require-all"]);
}

/** Why the tests cannot run here, with what to do; undefined when they can. */
function findObstacle(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are needed: use Linux";
  const isRoot = process.getuid?.() === 0;
  if (missing().length > 0 && isRoot && has("apt-get")) install(missing());
  const packages = missing();
  if (packages.length > 0) return `install what is missing: apt-get install ${packages.join(" ")}`;
  const trial = spawnSync("unshare", [...isolation(), "ip", "netns", "add", "trial"], { encoding: "utf8" });
  if (trial.status === 0) return undefined;
  return `network namespaces cannot be made here (${trial.stderr.trim()}): run this as root`;
}

function missing(): string[] {
  return [...needed].filter(([thing]) => !has(thing)).map(([, name]) => name);
}

function has(thing: string): boolean {
  if (thing.startsWith("/")) return existsSync(thing);
  return [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"].some((folder) =>
    existsSync(`${folder}/${thing}`),
  );
}

/** Debian starts strongSwan's service after installing it, unless told not to. */
function install(packages: readonly string[]): void {
  process.stderr.write(`interop: installing ${packages.join(" ")} with apt-get\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const stdio = ["ignore", "ignore", "inherit"] as const;
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    spawnSync("apt-get", ["-qq", ...args], { env, stdio: [...stdio] });
  }
}

/** Everything made inside goes when the first process inside ends; /run is empty there, for files of charon, ip and ours. */
function isolation(): readonly string[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const shell = ["sh", "-c", 'mount -t tmpfs none /run && TMPDIR=/run exec "$@"', "sh"];
  return [...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", ...shell];
}

function runInside(names: readonly string[]): Promise<number> {
  const inside = fileURLToPath(new URL("inside.ts", import.meta.url));
  const child = spawn("unshare", [...isolation(), process.execPath, inside, ...names], { stdio: "inherit" });
  const timer = setTimeout(() => {
    process.stderr.write(`interop: not done after ${LONGEST_SECONDS} s, ended\n`);
    child.kill("SIGKILL");
  }, LONGEST_SECONDS * 1000);
  return new Promise((resolve) => {
    child.once("close", (code) => {
      clearTimeout(timer);
      if (code === null) process.stdout.write("interop: 0 passed, 1 failed, 0 skipped\n");
      resolve(code ?? 1);
    });
  });
}

function skip(obstacle: string, isRequired: boolean): number {
  process.stderr.write(`interop: NOT RUN, nothing was tested with strongSwan. ${obstacle}\n`);
  process.stdout.write(`interop: 0 passed, ${isRequired ? "1 failed, 0 skipped" : "0 failed, 1 skipped"}\n`);
  return 1;
}
