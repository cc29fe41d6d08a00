// r1's BIRD has its session inside a VRF: the kernel looks TCP-AO keys up by VRF, and karp's IKE takes the default one, over
// a link of its own. A VRF that karp.yaml leaves out, and a neighbor range, are refused by name before anything is written.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Bird, bird } from "../../lib/bird.ts";
import { must } from "../../lib/exec.ts";
import type { Lab } from "../../lib/lab.ts";
import { addLink, addTwoRouters } from "../../lib/network.ts";
import { assertHistory, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters } from "../../lib/twoRouters.ts";

const VRF = "red";
/** Of the link in the default VRF. */
const IKE = { r1: "10.9.0.1", r2: "10.9.0.2" } as const;
const DYNAMIC_FILE = "/var/lib/lab/r1/keys/dynamic.conf";

export const scenario: Scenario = {
  title: "a BIRD session inside a VRF, keyed and rolled; karp check refuses a VRF left out and a neighbor range",
  timeoutSeconds: 240,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, {
      network: twoRoutersWithVrf,
      daemons: [bird({ protocolLines: [`vrf "${VRF}";`], configurationLines: [dynamicProtocol()] }), bird()],
      karps: [
        { topLines: [`listen: ${IKE.r1}`], lines: [`vrf: ${VRF}`, `peer-address: ${IKE.r2}`] },
        { topLines: [`listen: ${IKE.r2}`], lines: [`peer-address: ${IKE.r1}`] },
      ],
    });
    await assertChecks(lab, setting);
    const history = [await keySession(lab, setting)];
    const shown = await setting.daemons[0].birdc("show", "protocols", "all", "r2");
    lab.check("BIRD's session is in the VRF", new RegExp(`^ +VRF: +${VRF}$`, "m").test(shown));
    for (const initiator of [0, 1] as const) history.push(await rollOver(lab, setting, initiator));
    await assertHistory(lab, setting, history);
  },
};

async function twoRoutersWithVrf(lab: Lab): Promise<void> {
  await addTwoRouters(lab);
  await must(["ip", "-n", "r1", "link", "add", VRF, "type", "vrf", "table", "100"]);
  await must(["ip", "-n", "r1", "link", "set", VRF, "up"]);
  await must(["ip", "-n", "r1", "link", "set", "e0", "master", VRF]);
  const side = (namespace: "r1" | "r2") => ({ namespace, name: "e1", addresses: [`${IKE[namespace]}/24`] });
  await addLink(side("r1"), side("r2"));
}

function dynamicProtocol(): string {
  mkdirSync(dirname(DYNAMIC_FILE), { recursive: true });
  writeFileSync(DYNAMIC_FILE, "# no key yet\n", { mode: 0o600 });
  return `protocol bgp anyone {
  vrf "${VRF}";
  local 10.0.0.1 as 65001;
  neighbor range 10.0.0.64/26 as 65099;
  ipv4 { import none; export none; };
include "${DYNAMIC_FILE}";
}`;
}

/** What a person sees who has made one of the two mistakes. */
async function assertChecks(lab: Lab, setting: TwoRouters<Bird>): Promise<void> {
  lab.step("karp check");
  const [karp] = setting.karps;
  const right = readFileSync(karp.file, "utf8");
  const check = async (name: string, text: string, wanted: RegExp): Promise<void> => {
    const file = `/etc/lab/r1/${name}.yaml`;
    writeFileSync(file, text);
    const { code, stdout, stderr } = await karp.cli("check", "--config", file);
    lab.check(`karp check: ${name}`, code === 1 && wanted.test(stdout), `${code}: ${stdout}${stderr}`);
  };
  await check("vrf-left-out", right.replace(`vrf: ${VRF}`, ""), /has vrf "red", the session has none: set vrf: red/);
  const dynamic = [
    "  anyone:",
    ...["local: 10.0.0.1", "remote: 10.0.0.70", "peer: anyone.example.net", "mode: required", `vrf: ${VRF}`],
    ...["driver: bird", `bird: ${JSON.stringify(dynamicWords(setting.daemons[0]))}`],
  ];
  const added = `${right}${dynamic.join("\n    ")}\n`;
  await check("neighbor-range", added, /anyone.*neighbor range: BIRD has no TCP-AO on dynamic sessions/);
  const { code, stdout, stderr } = await karp.cli("check", "--config", karp.file);
  lab.check("karp check: as it is", code === 0, `${code}: ${stdout}${stderr}`);
}

function dynamicWords({ controlSocket, configuration }: Bird): Readonly<Record<string, string>> {
  return { include: DYNAMIC_FILE, control: controlSocket, config: configuration };
}
