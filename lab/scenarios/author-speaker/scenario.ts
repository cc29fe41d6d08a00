// A routing daemon of one's own on @karp/tcp-ao/linux, beside a real BIRD: three sessions between the same two hosts
// (two opened by the speaker from chosen addresses and ports, one by BIRD), and three rollovers with all of them up.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Bird, type ProtocolStatus, parseProtocol, sameSince } from "../../lib/bird.ts";
import { Capture } from "../../lib/capture.ts";
import { must } from "../../lib/exec.ts";
import { birdKeyBlock, type HandKey, makeHandKey, type Role } from "../../lib/handKeys.ts";
import { kernelKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { addTwoRouters, tcpAoCounters } from "../../lib/network.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { assertSessionVerified, sentBy, type VerifierMkt, verifyCapture } from "../../lib/verify.ts";
import { waitFor } from "../../lib/wait.ts";
import type { Order } from "./speaker.ts";
import { SpeakerProcess } from "./speakerProcess.ts";

const BIRD_ADDRESS = "10.0.0.2";
const ROUTES = ["10.102.0.0/24", "10.102.1.0/24", "10.102.2.0/25"];
const OURS = "10.101.0.7/32";
const KEY_FILE = "/var/lib/lab/r2/speaker.conf";

/** The speaker's addresses; a port where it opens the session from that one. */
const SESSIONS = [
  { protocol: "speaker1", address: "10.0.0.1", port: 1791 },
  { protocol: "speaker3", address: "10.0.0.3", port: 1792 },
  { protocol: "speaker4", address: "10.0.0.4", port: undefined },
] as const;

export const scenario: Scenario = {
  title: "a BGP speaker of under 150 lines on @karp/tcp-ao/linux, three sessions with BIRD, three rollovers",
  timeoutSeconds: 180,
  async run(lab) {
    const keys = [
      makeHandKey("first", "aes-128-cmac-96", 10, 110),
      makeHandKey("second", "hmac-sha-1-96", 11, 111),
      makeHandKey("third", "hmac-sha-256-96", 12, 112),
      makeHandKey("fourth", "aes-128-cmac-96", 13, 113),
    ];
    const lines = readFileSync(join(import.meta.dirname, "speaker.ts"), "utf8")
      .trimEnd()
      .split("\n").length;
    lab.check("the speaker has less than 150 lines", lines < 150, String(lines));
    await addTwoRouters(lab);
    for (const { address } of SESSIONS.slice(1))
      await must(["ip", "-n", "r1", "addr", "add", `${address}/24`, "dev", "e0"]);
    const captures = [];
    for (const { protocol, address } of SESSIONS) {
      captures.push(await Capture.start(lab, protocol, "r1", `host ${address} and tcp port 179`));
    }
    const bird = makeBird(lab);
    const speaker = new SpeakerProcess(lab, "r1");
    const since = await startSessions(lab, bird, speaker, keys[0] as HandKey);
    for (let i = 1; i < keys.length; i++) await roll(lab, bird, speaker, keys[i - 1] as HandKey, keys[i] as HandKey);
    await assertUnbroken(lab, bird, speaker, since);
    for (const [i, capture] of captures.entries()) {
      await capture.stop(lab);
      await assertCapture(lab, capture.file, i, keys);
    }
  },
};

function makeBird(lab: Lab): Bird {
  const peering = { protocol: "speaker1", local: BIRD_ADDRESS, localAs: 65_002, remote: "10.0.0.1", remoteAs: 65_001 };
  const bird = new Bird(lab, {
    namespace: "r2",
    routerId: BIRD_ADDRESS,
    routes: ROUTES,
    peering: { ...peering, keyFile: KEY_FILE },
  });
  const protocols = SESSIONS.map(
    ({ protocol, address, port }) => `protocol bgp ${protocol} {
  local ${BIRD_ADDRESS} as 65002;
  neighbor ${address} as 65001;
  ${port === undefined ? "" : "passive on;"}
  ipv4 { import all; export where source = RTS_STATIC; };
  hold time 9; keepalive time 1;
  connect delay time 1; connect retry time 2; error wait time 1, 2;
include "${KEY_FILE}";
}
`,
  );
  const [common = ""] = readFileSync(bird.configuration, "utf8").split("protocol bgp ");
  writeFileSync(bird.configuration, common + protocols.join(""));
  return bird;
}

async function statusOf(bird: Bird, protocol: string): Promise<ProtocolStatus> {
  return parseProtocol(await bird.birdc("show", "protocols", "all", protocol));
}

/** @returns since when BIRD has each session up */
async function startSessions(lab: Lab, bird: Bird, speaker: SpeakerProcess, key: HandKey): Promise<string[]> {
  lab.step("the speaker listens; BIRD opens one session, the speaker two from its own addresses and ports");
  speaker.order({ order: "start", peer: BIRD_ADDRESS, localAs: 65_001, prefix: OURS });
  await speaker.obeyed(addOrder(key));
  await speaker.obeyed({ order: "listen", host: "10.0.0.4" });
  bird.writeKeyFile(birdKeyBlock("r2", [[key, "preferred"]]));
  await bird.start();
  const since: string[] = [];
  for (const { protocol, address, port } of SESSIONS) {
    if (port !== undefined) {
      const isPassive = async () => (await statusOf(bird, protocol)).info === "Passive";
      await waitFor(`BIRD to await ${protocol}`, isPassive, { seconds: 30 });
      await speaker.obeyed({ order: "connect", localAddress: address, localPort: port });
    }
    const status = await waitFor(`${protocol} with its routes`, () => upWithRoutes(bird, protocol), { seconds: 60 });
    since.push(status.since);
    await waitFor(`BIRD's routes on ${protocol}`, () => speaker.routes(address).size === ROUTES.length, {
      seconds: 20,
    });
    lab.equal(`${protocol}: routes that the speaker received`, [...speaker.routes(address)].sort(), ROUTES);
  }
  const learnt = await bird.birdc("show", "route", OURS, "all");
  lab.check("BIRD has the speaker's route", learnt.includes(`${OURS} `) && learnt.includes("bgp_path: 65001"), learnt);
  return since;
}

async function upWithRoutes(bird: Bird, protocol: string): Promise<ProtocolStatus | undefined> {
  const status = await statusOf(bird, protocol);
  if (status.info !== "Established") throw new Error(`${status.state} ${status.info}`);
  return status.routes?.imported === 1 && status.routes.exported === ROUTES.length ? status : undefined;
}

function addOrder({ algorithm, keyHex, sendId }: HandKey): Order {
  const ids = { sendId: sendId.r1, recvId: sendId.r2, keyHex };
  if (algorithm !== "hmac-sha-256-96") return { order: "add", key: { ...ids, algorithm } };
  return { order: "add", key: { ...ids, algorithm: "hmac-sha-256-128", macLengthBytes: 12 } };
}

/** Both add; BIRD prefers; the speaker rotates, which ends when both directions of all sessions use the new key. */
async function roll(lab: Lab, bird: Bird, speaker: SpeakerProcess, old: HandKey, next: HandKey): Promise<void> {
  lab.step(`rollover: ${old.name} -> ${next.name}`);
  await configure(lab, bird, `${next.name} added`, [
    [old, "preferred"],
    [next, "plain"],
  ]);
  await speaker.obeyed(addOrder(next));
  await configure(lab, bird, `${next.name} preferred`, [
    [old, "deprecated"],
    [next, "preferred"],
  ]);
  const { keys } = await speaker.obeyed({ order: "rotate", recvId: next.sendId.r2 }, 60);
  lab.equal("the speaker's keys after the rotation (RecvIDs)", keys, [next.sendId.r2]);
  const wanted = { current: next.sendId.r2, rnext: next.sendId.r1 };
  for (const { protocol } of SESSIONS) {
    const follows = async () => {
      const { ao } = await statusOf(bird, protocol);
      return ao?.current === wanted.current && ao.rnext === wanted.rnext;
    };
    await waitFor(`BIRD to use the ${next.name} key on ${protocol}`, follows, { seconds: 20 });
  }
  await assertCounters(lab, bird, speaker, old, next);
  await configure(lab, bird, `${old.name} removed`, [[next, "preferred"]]);
}

async function configure(
  lab: Lab,
  bird: Bird,
  what: string,
  keys: readonly (readonly [HandKey, Role])[],
): Promise<void> {
  bird.writeKeyFile(birdKeyBlock("r2", keys));
  lab.equal(`BIRD configure: ${what}`, await bird.configure(), "Reconfigured");
}

/** At both ends of each session the new key counts good segments, none is bad, and the old one is at rest. */
async function assertCounters(
  lab: Lab,
  bird: Bird,
  speaker: SpeakerProcess,
  old: HandKey,
  next: HandKey,
): Promise<void> {
  for (const session of await speaker.observe()) {
    const [key, ...others] = session.keys;
    const ids = [session.currentKey, session.rnextKey, key?.recvId, others.length];
    lab.equal(`${session.local}: the speaker's key`, ids, [next.sendId.r1, next.sendId.r2, next.sendId.r2, 0]);
    const isClean = (key?.good ?? 0) > 0 && key?.bad === 0 && session.trouble === 0;
    lab.check(`${session.local}: the speaker's counters`, isClean, JSON.stringify(session.keys));
    const read = async (key: HandKey) => {
      const all = kernelKeys(bird.pid, session.local);
      return all.find(({ sendId }) => sendId === key.sendId.r2);
    };
    const before = [await read(old), await read(next)];
    const grown = async () => ((await read(next))?.good ?? 0) > (before[1]?.good ?? 0);
    await waitFor(`BIRD's counter of the ${next.name} key to grow`, grown, { seconds: 20 });
    const after = [await read(old), await read(next)];
    const isMoved = before[0] !== undefined && before[0].good === after[0]?.good;
    const shown = `old ${before[0]?.good} -> ${after[0]?.good}, new ${before[1]?.good} -> ${after[1]?.good}`;
    lab.check(`${session.local}: only the new key's counter grows at BIRD`, isMoved && after[1]?.bad === 0, shown);
  }
}

async function assertUnbroken(lab: Lab, bird: Bird, speaker: SpeakerProcess, since: readonly string[]): Promise<void> {
  lab.step("after the rollovers");
  for (const [i, { protocol }] of SESSIONS.entries()) {
    const status = await statusOf(bird, protocol);
    lab.equal(`${protocol}: session up since`, sameSince(status.since, since[i]), since[i]);
    lab.equal(`${protocol}: routes`, status.routes, { imported: 1, exported: ROUTES.length });
  }
  const sources = (await speaker.observe()).map(({ local, port }) => `${local} ${port}`);
  lab.equal("the speaker's ends of the sessions", sources, ["10.0.0.1 1791", "10.0.0.3 1792", "10.0.0.4 179"]);
  const noise = speaker.events.filter(({ event }) => event !== "done" && event !== "route");
  lab.equal("the speaker saw no error, NOTIFICATION or end", noise, []);
  for (const namespace of ["r1", "r2"]) {
    const { good, ...trouble } = await tcpAoCounters(namespace);
    lab.equal(`${namespace}: TCP-AO counters of trouble`, trouble, { bad: 0, keyNotFound: 0, required: 0 });
    lab.check(`${namespace}: TCPAOGood counts`, good > 0, String(good));
  }
}

async function assertCapture(lab: Lab, file: string, index: number, keys: readonly HandKey[]): Promise<void> {
  const { protocol, address, port } = SESSIONS[index] ?? SESSIONS[0];
  lab.step(`the capture of ${protocol}, verified by independent code`);
  const mkts = keys.map((key) => toVerifierMkt(key, address));
  const session = assertSessionVerified(lab, await verifyCapture(lab, file, mkts));
  const [opener, listener] = port === undefined ? [session.server, session.client] : [session.client, session.server];
  lab.equal(`${protocol}: the speaker's end`, opener, `${address} port ${port ?? 179}`);
  lab.check(`${protocol}: BIRD's end`, listener.startsWith(`${BIRD_ADDRESS} `), listener);
  for (const [end, sender] of [
    ["r1", address],
    ["r2", BIRD_ADDRESS],
  ] as const) {
    const { runs } = sentBy(session, sender);
    const expected = keys.map(({ sendId }) => sendId[end]);
    lab.equal(
      `${protocol}: ${sender} used each KeyID once, in order`,
      runs.map(({ keyId }) => keyId),
      expected,
    );
  }
}

function toVerifierMkt({ name, algorithm, keyHex, sendId }: HandKey, address: string): VerifierMkt {
  const ends = [
    { address, sendId: sendId.r1, recvId: sendId.r2 },
    { address: BIRD_ADDRESS, sendId: sendId.r2, recvId: sendId.r1 },
  ];
  return { name, algorithm, keyHex, tcpOptions: true, ends };
}
