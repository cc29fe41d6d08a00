import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionConfiguration } from "../../src/core/configuration.ts";
import type { MktAlgorithm } from "../../src/core/keytable/row.ts";
import type { DoctorFinding } from "../../src/doctor/finding.ts";
import { examineKernel } from "../../src/doctor/kernel.ts";
import { type Attempt, type KernelProbes, linuxProbes } from "../../src/doctor/kernelProbes.ts";
import { sessionOf } from "../drivers/support.ts";

const works: Attempt = { works: true };
const failed = (code: string): Attempt => ({ works: false, code, reason: `reason ${code}` });

/** Octets of option memory that a key takes in Linux 7.2, on a socket that listens. */
const OCTETS: Readonly<Record<MktAlgorithm, number>> = {
  "aes-128-cmac-96": 200,
  "hmac-sha-1-96": 208,
  "hmac-sha-256-128": 232,
};

/** A kernel that has everything, and counts option memory as Linux does. */
function kernel(changes: Partial<KernelProbes> = {}, sysctls: Readonly<Record<string, string>> = {}): KernelProbes {
  const all = {
    "net.core.optmem_max": "131072",
    "net.ipv4.tcp_l3mdev_accept": "0",
    "kernel.seccomp.actions_avail": "kill_process trap errno user_notif log allow",
    ...sysctls,
  };
  const probes: KernelProbes = {
    release: () => "7.2.13",
    tcpAo: () => ({ supported: true, algorithms: ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha-256-128"] }),
    sysctl: (name) => Object.entries(all).find(([known]) => known === name)?.[1],
    keysOnOneSocket(algorithm, atMost) {
      const count = Math.floor(Number(probes.sysctl("net.core.optmem_max")) / OCTETS[algorithm]);
      if (count >= atMost) return { count: atMost };
      return { count, refusal: failed("optionMemoryExhausted") };
    },
    configured: () => "y",
    pidfdGetfd: () => works,
    listSockets: async () => works,
    destroySocket: async () => works,
    ...changes,
  };
  return probes;
}

function sessions(count: number, driver = "bird", changes: Partial<SessionConfiguration> = {}) {
  return Array.from({ length: count }, (_, index) => sessionOf(driver, {}, { name: `r${index}`, ...changes }));
}

async function line(about: string, probes: KernelProbes, given: readonly SessionConfiguration[] = []) {
  const found = (await examineKernel(probes, given)).filter((finding) => finding.about === about);
  assert.equal(found.length, 1, about);
  return found[0] as DoctorFinding;
}

test("a kernel that has everything: all lines are well", async () => {
  const findings = await examineKernel(kernel(), [...sessions(3), ...sessions(2, "linux", { vrf: "blue" })]);
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== "ok"),
    [],
  );
  const abouts = ["TCP_AO", "VRF", "option memory", "pidfd_getfd", "inet_diag", "SOCK_DESTROY", "seccomp"];
  assert.deepEqual(
    findings.map(({ about }) => about),
    abouts,
  );
});

test("no TCP_AO: an error where sessions need it, else a warning; other lines are still there", async () => {
  const without = kernel({
    tcpAo: () => ({ supported: false, algorithms: [], code: "kernelLacksTcpAo", reason: "none" }),
  });
  assert.equal((await line("TCP_AO", without)).severity, "warning");
  assert.equal((await line("TCP_AO", without, sessions(1, "exec"))).severity, "warning");
  const { severity, text, todo } = await line("TCP_AO", without, sessions(1));
  assert.deepEqual([severity, text], ["error", "Linux 7.2.13: no TCP-AO"]);
  assert.match(todo, /Linux 6\.7 or newer built with CONFIG_TCP_AO=y/);
});

test("an algorithm that a session wants and the kernel lacks is named, with what to build", async () => {
  const lacking = kernel({ tcpAo: () => ({ supported: true, algorithms: ["hmac-sha-1-96"] }) });
  const { severity, text, todo } = await line("TCP_AO", lacking, sessions(1));
  assert.deepEqual([severity, text], ["warning", "Linux 7.2.13 has it, without aes-128-cmac-96"]);
  assert.match(todo, /CRYPTO_CMAC and CRYPTO_AES/);
});

test("option memory: the keys of the largest listener against what one socket takes", async () => {
  // 131072 / 208 = 630 keys of the costlier of both algorithms: 210 sessions with 3 keys each
  const fits = await line("option memory", kernel(), sessions(210));
  assert.equal(fits.severity, "ok");
  assert.match(
    fits.text,
    /one listener takes 630 keys with hmac-sha-1-96, 208 octets each; the 210 sessions .* need 630/,
  );
  const tight = await line("option memory", kernel(), sessions(211));
  assert.equal(tight.severity, "warning");
  assert.match(tight.text, /only 630 keys/);
  // what it says is enough, says the kernel that counts like that
  const raised = Number(/optmem_max=(\d+)/.exec(tight.todo)?.[1]);
  assert.equal(
    (await line("option memory", kernel({}, { "net.core.optmem_max": `${raised}` }), sessions(211))).severity,
    "ok",
  );
  assert.ok(raised < 2 * 131_072, `${raised}`);
  assert.equal((await line("option memory", kernel(), sessions(631))).severity, "error", "not one key for each");
  const separate = [
    ...sessions(200),
    ...sessions(200, "bird", { vrf: "blue" }),
    ...sessions(200, "bird", { port: 646 }),
  ];
  assert.match((await line("option memory", kernel(), separate)).text, /the 200 sessions/, "other listeners");
  const apart = sessions(300, "bird", { algorithms: ["aes-128-cmac-96"] });
  assert.match((await line("option memory", kernel(), apart)).text, /655 keys with aes-128-cmac-96, 200 octets each/);
});

test("option memory: unknown limits and more sessions than are tried are not called too little", async () => {
  const huge = kernel({}, { "net.core.optmem_max": "100000000" });
  assert.match((await line("option memory", huge, sessions(4000))).text, /takes at least 8192 keys/);
  assert.equal((await line("option memory", huge, sessions(4000))).severity, "ok");
  const hidden = kernel({
    sysctl: () => undefined,
    keysOnOneSocket: () => ({ count: 90, refusal: failed("optionMemoryExhausted") }),
  });
  const { severity, todo } = await line("option memory", hidden, sessions(50));
  assert.equal(severity, "warning");
  assert.match(todo, /raise net\.core\.optmem_max \(in the first network namespace\)/);
  const broken = kernel({ keysOnOneSocket: () => ({ count: 0, refusal: failed("notPermitted") }) });
  assert.match((await line("option memory", broken)).text, /takes no key: reason notPermitted/);
});

test("what only the keyer needs is an error where a session has such a driver", async () => {
  for (const [about, changes] of [
    ["pidfd_getfd", { pidfdGetfd: () => failed("kernelTooOld") }],
    ["inet_diag", { listSockets: async () => failed("diagnosticsMissing") }],
    ["SOCK_DESTROY", { destroySocket: async () => failed("destroyUnsupported") }],
  ] as const) {
    assert.equal((await line(about, kernel(changes), sessions(1))).severity, "warning", about);
    for (const driver of ["linux", "frr", "gobgp"])
      assert.equal((await line(about, kernel(changes), sessions(1, driver))).severity, "error", about);
  }
  const unprivileged = kernel({ destroySocket: async () => failed("notPermitted") });
  const { severity, todo } = await line("SOCK_DESTROY", unprivileged, sessions(1, "linux"));
  assert.deepEqual([severity, todo], ["warning", "run karp doctor --kernel as root to know"]);
});

test("VRFs and seccomp", async () => {
  const inVrf = sessions(1, "linux", { vrf: "blue" });
  const without = kernel({ sysctl: () => undefined });
  assert.equal((await line("VRF", without)).severity, "ok");
  assert.match((await line("VRF", without, inVrf)).text, /has no VRFs: r0 cannot be keyed/);
  assert.equal((await line("VRF", kernel({ configured: () => "n" }), inVrf)).severity, "error");
  assert.equal((await line("VRF", kernel({ configured: () => undefined }), inVrf)).severity, "ok");
  const shared = kernel({}, { "net.ipv4.tcp_l3mdev_accept": "1" });
  assert.equal((await line("VRF", shared, inVrf)).severity, "warning");
  assert.equal((await line("VRF", shared, sessions(1))).severity, "ok");
  assert.equal((await line("seccomp", without)).severity, "warning");
  const old = kernel({}, { "kernel.seccomp.actions_avail": "kill trap errno trace allow" });
  assert.match((await line("seccomp", old)).text, /no user notification/);
});

test("this machine's kernel can be asked, whatever it has", async () => {
  const findings = await examineKernel(linuxProbes, sessions(1, "linux"));
  assert.ok(findings.length >= 6);
  for (const { todo, text } of findings) assert.ok(todo.length > 0 && text.length > 0);
  assert.equal(linuxProbes.sysctl("kernel.ostype"), "Linux");
  assert.equal(linuxProbes.sysctl("kernel.no_such"), undefined);
});
