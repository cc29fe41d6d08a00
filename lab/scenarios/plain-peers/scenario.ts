// One keyed peer beside 29 that know nothing of TCP-AO, all on one listening socket: nobody is disturbed by the keys,
// and the keyed peer's address does not get in without one.
import { Bird, bird, moreProtocol } from "../../lib/bird.ts";
import { exec } from "../../lib/exec.ts";
import { listenerKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { addLink, addNamespace, tcpAoCounters } from "../../lib/network.ts";
import { assertHistory, bothCurrent, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";

const PLAIN = Array.from({ length: 29 }, (_, i) => 101 + i);

export const scenario: Scenario = {
  title:
    "1 keyed peer beside 29 plain ones on one listener: none is disturbed, unsigned SYNs of the keyed one are refused",
  timeoutSeconds: 240,
  async run(lab) {
    await addNamespace("plain");
    const lines = PLAIN.map((n) => plainProtocol(n, true));
    const setting = await setUpTwoBirds(lab, { daemons: [bird({ configurationLines: lines }), bird()] });
    const plain = await startPlainPeers(lab);
    const [keyed] = setting.daemons;
    const before = await waitPlain(keyed);
    const history = [await keySession(lab, setting)];
    assertSame(lab, "after the first key", await plainSince(keyed), before);
    await assertListener(lab, setting);
    history.push(await rollOver(lab, setting, 0), await rollOver(lab, setting, 1));
    assertSame(lab, "after two rollovers", await plainSince(keyed), before);
    lab.step("all 29 come anew, while a key is in use");
    await plain.end("SIGKILL");
    await plain.start();
    await waitPlain(keyed);
    lab.check("29 plain sessions are up again", true);
    history.push(await rollOver(lab, setting, 0));
    await assertUnsignedIsRefused(lab, setting);
    await assertHistory(lab, setting, history);
  },
};

function plainProtocol(n: number, isKeyedEnd: boolean): string {
  const [local, remote] = isKeyedEnd ? ["10.3.0.1", `10.3.0.${n}`] : [`10.3.0.${n}`, "10.3.0.1"];
  const [localAs, remoteAs] = isKeyedEnd ? [65001, 65000 + n] : [65000 + n, 65001];
  const peering = { protocol: `plain${n}`, local, localAs, remote, remoteAs };
  return moreProtocol(peering, [isKeyedEnd ? "passive;" : "strict bind;"]);
}

async function startPlainPeers(lab: Lab): Promise<Bird> {
  lab.step(`${PLAIN.length} plain peers, one BIRD with as many addresses`);
  await addLink(
    { namespace: "r1", name: "e1", addresses: ["10.3.0.1/24"] },
    { namespace: "plain", name: "e0", addresses: PLAIN.map((n) => `10.3.0.${n}/24`) },
  );
  const [first = 0, ...others] = PLAIN;
  const daemon = new Bird(lab, {
    namespace: "plain",
    routerId: "10.3.0.101",
    routes: [],
    configurationLines: others.map((n) => plainProtocol(n, false)),
    protocolLines: ["strict bind;"],
    peering: {
      protocol: `plain${first}`,
      local: `10.3.0.${first}`,
      localAs: 65000 + first,
      remote: "10.3.0.1",
      remoteAs: 65001,
      keyFile: "/etc/lab/plain/no-key.conf",
    },
  });
  daemon.writeKeyFile("# none\n");
  await daemon.start();
  return daemon;
}

/** `Since` of each plain session that is up, as r1 sees it. */
async function plainSince(keyed: Bird): Promise<Record<string, string>> {
  const rows = (await keyed.birdc("show", "protocols")).matchAll(/^(plain\d+) +BGP +\S+ +up +(\S+ \S+) +Established/gm);
  return Object.fromEntries([...rows].map(([, name = "", since = ""]) => [name, since]));
}

function waitPlain(keyed: Bird): Promise<Record<string, string>> {
  const all = async () => {
    const since = await plainSince(keyed);
    return Object.keys(since).length === PLAIN.length ? since : undefined;
  };
  return waitFor(`${PLAIN.length} plain sessions`, all, { seconds: 90 });
}

/** To the tenth of a second: the last digits wander. */
function assertSame(lab: Lab, when: string, now: Record<string, string>, before: Record<string, string>): void {
  const moved = Object.entries(before).filter(
    ([name, since]) => Math.abs(Date.parse(`${now[name] ?? "1970-01-01 00:00"}Z`) - Date.parse(`${since}Z`)) > 100,
  );
  lab.equal(`${when}: plain sessions that restarted`, moved, []);
}

async function assertListener(lab: Lab, { daemons }: TwoRouters<Bird>): Promise<void> {
  const sockets = listenerKeys(daemons[0].pid);
  const keyed = sockets.filter((keys) => keys.length > 0);
  lab.equal(
    "r1: listening sockets that have keys, and how many",
    keyed.map((keys) => keys.length),
    [1],
  );
}

/** From the keyed peer's own address, but without TCP-AO. */
async function assertUnsignedIsRefused(lab: Lab, setting: TwoRouters<Bird>): Promise<void> {
  lab.step("an unsigned connect from the keyed peer's address");
  const before = await tcpAoCounters("r1");
  const program = "import socket; socket.create_connection(('10.0.0.1', 179), 2, ('10.0.0.2', 0)); print('connected')";
  const { stdout } = await exec(["python3", "-c", program], { namespace: "r2" });
  lab.equal("it does not connect", stdout, "");
  const { required, ...others } = await tcpAoCounters("r1");
  lab.check("the kernel counted its SYNs", required > before.required, `${before.required} -> ${required}`);
  lab.equal("and nothing else", [others.bad, others.keyNotFound], [before.bad, before.keyNotFound]);
  await bothCurrent(setting);
  await takeBaseline(setting); // the refused SYNs are meant
}
