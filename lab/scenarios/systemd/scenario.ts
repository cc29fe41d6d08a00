// What an operator installs: the package's units under a real systemd, karpd without any capability, bgpd under karp wrap.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bird } from "../../lib/bird.ts";
import { Control } from "../../lib/control.ts";
import { Daemon, must } from "../../lib/exec.ts";
import { Karp, type KeyRow } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { addTwoRouters } from "../../lib/network.ts";
import { makeCertificates } from "../../lib/pki.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { addSystemUser, copyFile, guideBlock, installUnit, packagedUnit, Systemd } from "../../lib/systemd.ts";
import { FAST_ROLLOVER, routerPlan } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

const KARP_UID = 990;
const NONE = "0000000000000000";
/** CAP_DAC_READ_SEARCH 2, CAP_NET_ADMIN 12, CAP_SYS_PTRACE 19. */
const KEYER_CAPABILITIES = ((1n << 2n) | (1n << 12n) | (1n << 19n)).toString(16).padStart(16, "0");

export const scenario: Scenario = {
  title:
    "the package's systemd units: karpd without capabilities, kills and restarts, FRR under karp wrap; a BIRD beyond",
  timeoutSeconds: 780,
  async run(lab) {
    await addTwoRouters(lab);
    const neighbour = bird({ protocolLines: ["passive yes;"] })(lab, routerPlan(2, "ipv4", 10));
    const credentials = await makeCertificates("/etc/lab/pki", ["r1.example.net", "r2.example.net"]);
    const far = new Karp(
      lab,
      {
        namespace: "r2",
        router: "r2.example.net",
        credentials: credentials["r2.example.net"],
        sessions: [
          { name: "r1", local: "10.0.0.2", remote: "10.0.0.1", peer: "r1.example.net", lines: neighbour.driverWords },
        ],
        rollover: FAST_ROLLOVER,
      },
      "required",
    );
    lab.step("systemd, and r1 as the guide says");
    install(lab, credentials["r1.example.net"]);
    const systemd = await Systemd.boot(lab, "r1");
    lab.defer(async () => {
      for (const unit of ["karp", "karp-keyer", "bgpd"])
        writeFileSync(join(lab.out, `r1.${unit}.log`), await systemd.journal(unit));
    });
    await neighbour.start();
    await far.start();
    await startFrr(lab);
    await systemd.systemctl("enable", "karp.socket", "karp", "karp-keyer");
    await systemd.systemctl("start", "karp-keyer", "karp.socket", "karp", "bgpd");
    const near = new Router(systemd);
    const first = await near.sameCurrent(far);
    lab.check("both ends use the same first key", true, first.fingerprint);
    const since = await near.established();

    lab.step("who runs as what");
    const status = await systemd.proc("karp", "status");
    lab.equal("karpd: user karp", /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split("\t"), Array(4).fill(String(KARP_UID)));
    const sets = (text: string): Record<string, string> =>
      Object.fromEntries(
        [...text.matchAll(/^(Cap(?:Prm|Eff|Bnd|Amb)):\s+(\S+)$/gm)].map(([, set, bits]) => [set, bits]),
      );
    lab.equal("karpd: no capability at all", sets(status), { CapPrm: NONE, CapEff: NONE, CapBnd: NONE, CapAmb: NONE });
    lab.equal("karp keyer: three", sets(await systemd.proc("karp-keyer", "status"))["CapEff"], KEYER_CAPABILITIES);
    for (const unit of ["karp", "karp-keyer"]) {
      lab.equal(`${unit}: core dumps without memory`, (await systemd.proc(unit, "coredump_filter")).trim(), "00000000");
      const limits = await systemd.proc(unit, "limits");
      lab.check(`${unit}: core dumps of no size`, /^Max core file size +0 +0 /m.test(limits));
    }
    const { listening } = (await near.control.call("GET", "/v1/status")) as { readonly listening: readonly string[] };
    lab.equal("karpd listens on what systemd bound", listening, ["10.0.0.1:500", "10.0.0.1:4500"]);
    lab.equal(
      "bgpd's connect() calls are in systemd's store",
      await systemd.property("bgpd", "NFileDescriptorStore"),
      "1",
    );

    lab.step("karp check, while all of it runs");
    const found = await systemd.inside("nsenter", "--target", "1", "--net", "karp", "check");
    lab.check(
      "the keyer, which may open no IP socket, can key bgpd's listener",
      /bgpd.*can be keyed/.test(found),
      found,
    );

    lab.step("a rollover, a reload");
    const second = await near.rollOver(far, first);
    const pids = [await systemd.mainPid("karp"), await systemd.mainPid("karp-keyer")];
    await systemd.systemctl("reload", "karp", "karp-keyer");
    await waitFor(
      "both to have read their configuration again",
      async () => {
        return (
          /nothing has changed/.test(await systemd.journal("karp")) &&
          /read again/.test(await systemd.journal("karp-keyer"))
        );
      },
      { seconds: 20 },
    );
    lab.equal("reload: the same processes", [await systemd.mainPid("karp"), await systemd.mainPid("karp-keyer")], pids);

    lab.step("kill -9 of the keyer, then of karpd");
    for (const [unit, pid] of [
      ["karp-keyer", pids[1]],
      ["karp", pids[0]],
    ] as const) {
      await systemd.systemctl("kill", "--signal=KILL", "--kill-whom=main", unit);
      await systemd.restarted(unit, pid ?? 0);
      await near.sameCurrent(far);
      lab.equal(`${unit} is there again, the session is as it was`, await near.established(), since);
    }
    const third = await near.rollOver(far, second);
    lab.equal("and the next rollover leaves it up", await near.established(), since);

    lab.step("other addresses: karp.socket and karp restarted in one command");
    const before = await systemd.mainPid("karp");
    await systemd.systemctl("restart", "karp.socket", "karp");
    await systemd.restarted("karp", before);
    await near.sameCurrent(far);
    lab.equal("the session is as it was", await near.established(), since);

    lab.step("kill -9 of the supervisor: the unit ends bgpd and starts both");
    const supervisor = await systemd.mainPid("bgpd");
    await systemd.systemctl("kill", "--signal=KILL", "--kill-whom=main", "bgpd");
    await systemd.restarted("bgpd", supervisor);
    // The new bgpd has had no session before
    lab.check("the session is there again", true, await near.established());
    await near.rollOver(far, third);
  },
};

/** r1 under systemd, seen from the guest. */
class Router {
  readonly control = new Control("/run/karp/control.sock");
  readonly systemd: Systemd;

  constructor(systemd: Systemd) {
    this.systemd = systemd;
  }

  /** The key that both ends use. */
  sameCurrent(far: Karp, other?: KeyRow): Promise<KeyRow> {
    return waitFor(
      "both karps to use the same key",
      async () => {
        const rows = (await this.control.call("GET", "/v1/keys")) as readonly KeyRow[];
        const near = rows.find(({ state }) => state === "current");
        const beyond = await far.currentKey();
        const isOne = near !== undefined && near.fingerprint === beyond?.fingerprint;
        return isOne && near.fingerprint !== other?.fingerprint ? near : undefined;
      },
      { seconds: 90 },
    );
  }

  async rollOver(far: Karp, from: KeyRow): Promise<KeyRow> {
    await this.control.call("POST", "/v1/rekey", { session: "r2" });
    return await this.sameCurrent(far, from);
  }

  /** When FRR's session came up. */
  established(): Promise<string> {
    return waitFor(
      "FRR's session",
      async () => {
        const text = await must(["vtysh", "-c", "show bgp neighbors 10.0.0.2 json"], {
          namespace: this.systemd.namespace,
        });
        const { bgpState, connectionsEstablished, localRouterId } =
          (JSON.parse(text) as Record<string, Neighbor>)["10.0.0.2"] ?? {};
        return bgpState === "Established" && `${localRouterId}, connection ${connectionsEstablished}`;
      },
      { seconds: 60 },
    );
  }
}

interface Neighbor {
  readonly bgpState?: string;
  readonly connectionsEstablished?: number;
  readonly localRouterId?: string;
}

function install(
  lab: Lab,
  own: { readonly certificate: string; readonly privateKey: string; readonly trust: string },
): void {
  addSystemUser("karp", KARP_UID);
  for (const name of ["karp.service", "karp-keyer.service"]) installUnit(name, packagedUnit(lab, name));
  installUnit("karp.socket", packagedUnit(lab, "karp.socket").replaceAll("192.0.2.1", "10.0.0.1"));
  installUnit("bgpd.service", "[Service]\nExecStart=/usr/lib/frr/bgpd -A 127.0.0.1\n");
  installUnit("bgpd.service.d/karp.conf", guideBlock(lab, "wrap.md", "ini"));
  copyFile(own.certificate, "/etc/karp/r1.pem");
  copyFile(own.privateKey, "/etc/karp/r1.key");
  copyFile(own.trust, "/etc/karp/ca.pem");
  chmodSync("/etc/karp/r1.key", 0o600);
  chownSync("/etc/karp/r1.key", KARP_UID, KARP_UID);
  mkdirSync("/var/lib/karp", { recursive: true, mode: 0o750 });
  chownSync("/var/lib/karp", KARP_UID, KARP_UID);
  const session = "{ driver: linux, local: 10.0.0.1, remote: 10.0.0.2, peer: r2.example.net, mode: required }";
  const words = [
    "router: r1.example.net",
    "credentials: { certificate: r1.pem, private-key: r1.key, trust: ca.pem }",
    `rollover: ${JSON.stringify(FAST_ROLLOVER)}`,
    `sessions: { r2: ${session} }`,
  ];
  writeFileSync("/etc/karp/karp.yaml", `${words.join("\n")}\n`, { mode: 0o644 });
}

/** zebra and mgmtd, as FRR's own scripts would start them; bgpd is systemd's. */
async function startFrr(lab: Lab): Promise<void> {
  for (const folder of ["/etc/frr", "/var/run/frr", "/var/tmp/frr"]) mkdirSync(folder, { recursive: true });
  writeFileSync("/etc/frr/vtysh.conf", "");
  writeFileSync("/etc/frr/bgpd.conf", BGPD);
  await must(["rm", "-f", "/etc/frr/frr.conf"]);
  await must(["chown", "-R", "frr:frr", "/etc/frr", "/var/run/frr/", "/var/tmp/frr"]);
  for (const program of ["zebra", "mgmtd"]) {
    const daemon = new Daemon(program, [`/usr/lib/frr/${program}`], join(lab.out, `r1.${program}.log`), {
      namespace: "r1",
    });
    lab.defer(() => daemon.end("SIGKILL"));
  }
}

const BGPD = `router bgp 65001
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 neighbor 10.0.0.2 remote-as 65002
 neighbor 10.0.0.2 timers 3 9
 neighbor 10.0.0.2 timers connect 2
`;
