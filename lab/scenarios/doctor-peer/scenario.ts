import { exec, must } from "../../lib/exec.ts";
import type { Lab } from "../../lib/lab.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

const PEER = "r2.example.net";

interface Finding {
  readonly severity: "ok" | "warning" | "error";
  readonly about: string;
  readonly text: string;
  readonly todo?: string;
}

export const scenario: Scenario = {
  title: "karp doctor PEER: a good path, one that drops long packets or fragments, a silent and an absent peer",
  timeoutSeconds: 180,
  async run(lab) {
    const { karps } = await setUpTwoBirds(lab, { routes: 2 });
    const [r1, r2] = karps;
    const ask = (): Promise<readonly Finding[]> => doctor(lab, r1.file);

    lab.step("no karp at the other end: its machine says so");
    says(lab, "absent", await ask(), "path", "error", /^nothing receives at UDP 10\.0\.0\.2:500/);

    lab.step("both run");
    await r2.start();
    await r1.start();
    await waitFor("a key in use", async () => (await r1.currentKey()) !== undefined, { seconds: 60 });
    const well = await ask();
    says(lab, "short packets", well, "path", "ok", /^IKE answers at UDP 10\.0\.0\.2:500/);
    says(lab, "long packets", well, "path", "ok", /^packets of 1,400 and 2,900 octets arrive/);
    says(lab, "suite", well, "IKE suite", "ok", /one in common/);
    says(lab, "NAT", well, "NAT", "ok", /^none on the path|^not known while there is no IKE SA/);
    says(lab, "algorithms", well, "session r2: algorithms", "ok", /with driver bird and kernel/);
    says(lab, "option flag", well, "session r2: option flag", "ok", /covered/);
    lab.equal(
      "no error",
      well.filter(({ severity }) => severity === "error"),
      [],
    );

    lab.step("a link that drops what is longer than 1,300 octets, in silence");
    await must(["ip", "-n", "r2", "link", "set", "e0", "mtu", "1300"]);
    says(lab, "black hole", await ask(), "path", "error", /those of 1,400 octets do not/);
    await must(["ip", "-n", "r2", "link", "set", "e0", "mtu", "1500"]);

    lab.step("fragments are not put together: no memory for them");
    await must(["sysctl", "-qw", "net.ipv4.ipfrag_low_thresh=0", "net.ipv4.ipfrag_high_thresh=0"], { namespace: "r2" });
    says(lab, "fragments", await ask(), "path", "warning|error", /those of 2,900 octets do not: fragments/);
    await must(["sysctl", "-qw", "net.ipv4.ipfrag_high_thresh=4194304"], { namespace: "r2" });

    lab.step("a peer that answers nobody");
    await must(["tc", "-n", "r2", "qdisc", "replace", "dev", "e0", "root", "netem", "loss", "100%"]);
    says(lab, "silence", await ask(), "path", "error", /^UDP 10\.0\.0\.2:500 does not answer/);
    await must(["tc", "-n", "r2", "qdisc", "del", "dev", "e0", "root"]);
    says(lab, "well again", await ask(), "path", "ok", /^IKE answers/);
  },
};

function says(lab: Lab, name: string, found: readonly Finding[], about: string, severity: string, text: RegExp): void {
  const lines = found.filter((one) => one.about === about);
  const line = lines.find((one) => severity.split("|").includes(one.severity) && text.test(one.text));
  lab.check(name, line !== undefined, (line ?? lines[0])?.text);
  if (line !== undefined) lab.check(`${name}: what to do`, (line.todo ?? "").length > 0, line.todo);
}

async function doctor(lab: Lab, file: string): Promise<readonly Finding[]> {
  const program = lab.program;
  const command = ["node", program, "doctor", PEER, "--json", "--config", file];
  const { stdout, stderr } = await exec(command, { namespace: "r1" });
  try {
    return JSON.parse(stdout) as readonly Finding[];
  } catch {
    throw new Error(`karp doctor says: ${stdout}${stderr}`);
  }
}
