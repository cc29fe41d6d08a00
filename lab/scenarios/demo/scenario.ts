// `karp demo` where the kernel has TCP-AO: beside the segments in the daemons a real TCP session is keyed and rolled.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../../lib/exec.ts";
import type { Lab } from "../../lib/lab.ts";
import { addNamespace, tcpAoCounters } from "../../lib/network.ts";
import type { Scenario } from "../../lib/scenario.ts";

const SECONDS = 20;
/** Of a KEEPALIVE each way every 200 ms, on a slow machine and less the start. */
const LEAST_KEEPALIVES = (SECONDS / 2) * 5;
const NAMESPACE = "demo";

type Line = Readonly<Record<string, unknown>>;

export const scenario: Scenario = {
  title: "karp demo on a kernel with TCP-AO: the kernel's own session is keyed and rolled with the same keys",
  timeoutSeconds: 540,
  async run(lab) {
    await addNamespace(NAMESPACE); // so that nobody else's segments are counted
    const before = await tcpAoCounters(NAMESPACE);
    const lines = await runDemo(lab);
    const { good, ...trouble } = await tcpAoCounters(NAMESPACE);
    assertSummary(lab, lines);
    assertDaemons(lab, lines);
    lab.step("the kernel's own counters");
    lab.check("TCPAOGood grew", good >= before.good + 2 * LEAST_KEEPALIVES, `${before.good} -> ${good}`);
    lab.equal("no segment was turned away", trouble, { bad: 0, keyNotFound: 0, required: 0 });
    await driverTests(lab);
  },
};

async function runDemo(lab: Lab): Promise<readonly Line[]> {
  lab.step(`karp demo --json --seconds ${SECONDS}`);
  const program = lab.program;
  const command = ["node", program, "demo", "--json", "--seconds", String(SECONDS)];
  const { code, stdout, stderr } = await exec(command, { namespace: NAMESPACE, cwd: "/", timeoutSeconds: 120 });
  writeFileSync(join(lab.out, "demo.jsonl"), stdout);
  writeFileSync(join(lab.out, "demo.stderr"), stderr);
  lab.check("karp demo ends with 0", code === 0, code === 0 ? "" : `${code}: ${stderr.slice(-1500)}`);
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Rollovers, kills and broken connections, with the driver alone. */
async function driverTests(lab: Lab): Promise<void> {
  lab.step("the endpoint driver's tests of the kernel's session");
  const file = join(lab.repo, "packages/karpd/test/drivers/endpointKernel.test.ts");
  const command = ["node", "--test", "--test-reporter=tap", file];
  const { code, stdout, stderr } = await exec(command, { namespace: NAMESPACE, cwd: lab.repo, timeoutSeconds: 280 });
  writeFileSync(join(lab.out, "driver.tap"), stdout);
  const named = (pattern: RegExp): string[] => stdout.split("\n").filter((line) => pattern.test(line));
  for (const line of named(/^(not )?ok /)) lab.say(line);
  lab.check("node --test says that it passed", code === 0, stderr.slice(-2000));
  lab.check("tests passed", named(/^ok /).length > 0, String(named(/^ok /).length));
  lab.equal("tests that failed or were left out", named(/^not ok |# SKIP/), []);
}

function assertSummary(lab: Lab, lines: readonly Line[]): void {
  const { event, kernelTcpAo, rollovers, segmentsRejected, gaps } = lines.at(-1) ?? {};
  lab.equal("the last line is the summary", event, "summary");
  lab.equal("a real TCP session ran throughout", kernelTcpAo, true);
  lab.check("two rollovers or more at both ends", Number(rollovers) >= 2, String(rollovers));
  lab.equal("no reject, no gap", { segmentsRejected, gaps }, { segmentsRejected: 0, gaps: 0 });
}

/** What each daemon counted last of the kernel's session. */
function assertDaemons(lab: Lab, lines: readonly Line[]): void {
  for (const router of ["r1", "r2"]) {
    const last = lines.findLast((line) => line["event"] === "state" && line["router"] === router);
    const { statistics } = (last ?? {}) as { statistics?: Readonly<Record<string, number>> };
    const { kernelKeepalives = 0, kernelConnections, kernelResets, kernelErrors } = statistics ?? {};
    lab.check(`${router}: KEEPALIVEs came over it`, kernelKeepalives >= LEAST_KEEPALIVES, String(kernelKeepalives));
    const session = { kernelConnections, kernelResets, kernelErrors };
    lab.equal(`${router}: one connection, never broken`, session, {
      kernelConnections: 1,
      kernelResets: 0,
      kernelErrors: 0,
    });
  }
}
