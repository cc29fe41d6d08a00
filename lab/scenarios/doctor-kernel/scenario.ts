import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../lib/exec.ts";
import { writePsk } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { randomPsk } from "../../lib/twoRouters.ts";

const LIMIT = "/proc/sys/net/core/optmem_max";
const FILE = "/etc/lab/karp.yaml";

interface Finding {
  readonly severity: string;
  readonly about: string;
  readonly text: string;
  readonly todo: string;
}

export const scenario: Scenario = {
  title: "karp doctor --kernel: what it finds, measures and advises is what the kernel does",
  timeoutSeconds: 120,
  async run(lab) {
    mkdirSync("/etc/lab", { recursive: true });
    const bare = await doctor(lab);
    const abouts = ["TCP_AO", "VRF", "option memory", "pidfd_getfd", "inet_diag", "SOCK_DESTROY", "seccomp"];
    for (const about of abouts) lab.equal(`${about} is there`, bare.find((one) => one.about === about)?.severity, "ok");
    lab.check("all three algorithms", /hmac-sha-1-96, aes-128-cmac-96, hmac-sha-256-128/.test(textOf(bare, "TCP_AO")));

    lab.step("what a key takes: the same on 20 KiB (older kernels) as on 128 KiB");
    for (const [limit, keys] of [
      [131_072, 564],
      [20_480, 88],
    ] as const) {
      writeFileSync(LIMIT, String(limit));
      const text = textOf(await doctor(lab), "option memory");
      lab.check(`${limit} octets`, text.includes(`takes ${keys} keys with hmac-sha-256-128, 232 octets each`), text);
    }

    lab.step("100 sessions on one listener are too many for 20 KiB; with what it advises they fit");
    writeSessions(lab, 100);
    const before = await doctor(lab);
    lab.equal("too little", before.find(({ about }) => about === "option memory")?.severity, "error");
    const advice = /sysctl -w net\.core\.optmem_max=(\d+)/.exec(before.map(({ todo }) => todo).join())?.[1];
    if (!lab.check("it says how much", advice !== undefined, advice)) return;
    writeFileSync(LIMIT, String(advice));
    const after = await doctor(lab);
    lab.equal("enough", after.find(({ about }) => about === "option memory")?.severity, "ok");
    lab.say(textOf(after, "option memory"));
  },
};

function textOf(findings: readonly Finding[], about: string): string {
  return findings.find((one) => one.about === about)?.text ?? "";
}

async function doctor(lab: Lab): Promise<readonly Finding[]> {
  const program = lab.program;
  const { stdout, stderr } = await exec(["node", program, "doctor", "--kernel", "--json", "--config", FILE]);
  try {
    const findings = JSON.parse(stdout) as readonly Finding[];
    lab.check(
      "every line says what to do",
      findings.every(({ todo }) => todo.length > 0),
    );
    return findings;
  } catch {
    throw new Error(`karp doctor says: ${stdout}${stderr}`);
  }
}

function writeSessions(lab: Lab, count: number): void {
  const secret = join("/etc/lab", "peer.psk");
  const lines = ["router: r1.example.net", "sessions:"];
  for (let n = 0; n < count; n++) {
    writePsk(`${secret}.${n}`, randomPsk());
    const [local, remote] = ["10.0.0.1", `10.1.0.${n + 1}`];
    lines.push(
      `  s${n}: { protocol: bgp, driver: bird, local: ${local}, remote: ${remote}, peer: r${n}.test, mode: observe, psk-file: ${secret}.${n} }`,
    );
  }
  writeFileSync(FILE, lines.join("\n"));
  lab.say(`${count} sessions in ${FILE}`);
}
