// Two BIRDs keyed by hand-written files: shows that the lab itself works, before karp has any part in it.
import { type Bird, sameSince, twoBirds } from "../../lib/bird.ts";
import { Capture } from "../../lib/capture.ts";
import { birdKeyBlock, type HandKey, makeHandKey, type Role } from "../../lib/handKeys.ts";
import { kernelKeys } from "../../lib/kernelKeys.ts";
import type { Lab } from "../../lib/lab.ts";
import { addTwoRouters, tcpAoCounters } from "../../lib/network.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { assertSessionVerified, sentBy, type VerifierMkt, verifyCapture } from "../../lib/verify.ts";
import { waitFor } from "../../lib/wait.ts";

const ROUTES = 1000;
const ENDS = ["r1", "r2"] as const;

export const scenario: Scenario = {
  title: "two BIRDs, 1,000 routes, keys written by hand, three rollovers with the session up",
  timeoutSeconds: 180,
  alsoUnderQemu: true,
  async run(lab) {
    const keys = [
      makeHandKey("first", "aes-128-cmac-96", 10, 110),
      makeHandKey("second", "hmac-sha-1-96", 11, 111),
      makeHandKey("third", "hmac-sha-256-96", 12, 112),
      makeHandKey("fourth", "aes-128-cmac-96", 13, 113),
    ];
    await addTwoRouters(lab);
    const birds = twoBirds(lab, ROUTES, (router, protocol) => `/var/lib/lab/${router}/${protocol}.conf`);
    const capture = await Capture.start(lab, "bgp", "r1", "tcp port 179");
    const since = await startKeyed(lab, birds, keys[0] as HandKey);
    for (let i = 1; i < keys.length; i++) await roll(lab, birds, keys[i - 1] as HandKey, keys[i] as HandKey);
    await assertUnbroken(lab, birds, since);
    await capture.stop(lab);
    await assertCapture(lab, capture.file, keys);
  },
};

async function startKeyed(lab: Lab, birds: readonly [Bird, Bird], key: HandKey): Promise<string[]> {
  lab.step(`both BIRDs start with the ${key.name} key`);
  writeKeys(birds, [[key, "preferred"]]);
  for (const bird of birds) await bird.start();
  const statuses = [await birds[0].waitEstablished(ROUTES), await birds[1].waitEstablished(ROUTES)];
  lab.equal("r1 signs and asks for the first key", ids(statuses[0]), { current: key.sendId.r1, rnext: key.sendId.r2 });
  lab.equal("r2 signs and asks for the first key", ids(statuses[1]), { current: key.sendId.r2, rnext: key.sendId.r1 });
  return statuses.map(({ since }) => since);
}

function ids(status: { ao: { current: number; rnext: number } | undefined } | undefined) {
  return status?.ao && { current: status.ao.current, rnext: status.ao.rnext };
}

function writeKeys(birds: readonly [Bird, Bird], keys: readonly (readonly [HandKey, Role])[]): void {
  for (const [i, end] of ENDS.entries()) birds[i]?.writeKeyFile(birdKeyBlock(end, keys));
}

/** Add, prefer, see it in use on both sides, remove the old one. */
async function roll(lab: Lab, birds: readonly [Bird, Bird], old: HandKey, next: HandKey): Promise<void> {
  lab.step(`rollover: ${old.name} -> ${next.name}`);
  await step(lab, birds, `${next.name} added`, [
    [old, "preferred"],
    [next, "plain"],
  ]);
  await step(lab, birds, `${next.name} preferred`, [
    [old, "deprecated"],
    [next, "preferred"],
  ]);
  await waitInUse(birds, next);
  await assertKernelKeys(lab, birds, old, next);
  await step(lab, birds, `${old.name} removed`, [[next, "preferred"]]);
}

async function step(
  lab: Lab,
  birds: readonly [Bird, Bird],
  what: string,
  keys: readonly (readonly [HandKey, Role])[],
): Promise<void> {
  writeKeys(birds, keys);
  for (const bird of birds)
    lab.equal(`${bird.options.namespace} configure: ${what}`, await bird.configure(), "Reconfigured");
}

async function waitInUse(birds: readonly [Bird, Bird], key: HandKey): Promise<void> {
  for (const [i, end] of ENDS.entries()) {
    const wanted = { current: key.sendId[end], rnext: key.sendId[end === "r1" ? "r2" : "r1"] };
    await waitFor(
      `${end} to use the ${key.name} key`,
      async () => {
        const seen = ids(await birds[i]?.status());
        return seen?.current === wanted.current && seen.rnext === wanted.rnext;
      },
      { seconds: 20 },
    );
  }
}

/** Both keys are in the kernel, both have been used, and after the switch only the new one's counter grows. */
async function assertKernelKeys(lab: Lab, birds: readonly [Bird, Bird], old: HandKey, next: HandKey): Promise<void> {
  for (const [i, end] of ENDS.entries()) {
    const bird = birds[i] as Bird;
    const good = async (key: HandKey): Promise<number> => {
      const all = kernelKeys(bird.pid, bird.options.peering.remote);
      return all.find(({ sendId }) => sendId === key.sendId[end])?.good ?? -1;
    };
    const before = [await good(old), await good(next)] as const;
    await waitFor(`${end}: the new key's good counter to grow`, async () => (await good(next)) > before[1], {
      seconds: 20,
    });
    const after = [await good(old), await good(next)] as const;
    const ok = before[0] > 0 && after[0] === before[0] && after[1] > before[1];
    lab.check(
      `${end}: only the new key's good counter grows`,
      ok,
      `old ${before[0]} -> ${after[0]}, new ${before[1]} -> ${after[1]}`,
    );
  }
}

async function assertUnbroken(lab: Lab, birds: readonly [Bird, Bird], since: readonly string[]): Promise<void> {
  lab.step("after the rollovers");
  for (const [i, end] of ENDS.entries()) {
    const status = await (birds[i] as Bird).status();
    lab.equal(`${end}: session up since`, sameSince(status.since, since[i]), since[i]);
    lab.equal(`${end}: routes`, status.routes, { imported: ROUTES, exported: ROUTES });
    const { good, ...trouble } = await tcpAoCounters(end);
    lab.equal(`${end}: TCP-AO counters of trouble`, trouble, { bad: 0, keyNotFound: 0, required: 0 });
    lab.check(`${end}: TCPAOGood counts`, good > 0, String(good));
    const noise = (birds[i] as Bird).logLines(/<(WARN|ERR|RMT|BUG|FATAL)>/).filter((line) => line > (since[i] ?? ""));
    lab.equal(`${end}: BIRD's log has no warning since`, noise, []);
  }
}

async function assertCapture(lab: Lab, file: string, keys: readonly HandKey[]): Promise<void> {
  lab.step("the capture, verified by independent code");
  const session = assertSessionVerified(lab, await verifyCapture(lab, file, keys.map(toVerifierMkt)));
  for (const [i, end] of ENDS.entries()) {
    const direction = sentBy(session, `10.0.0.${i + 1}`);
    const runs = direction.runs.map(({ keyId }) => keyId);
    lab.equal(
      `${end} used each KeyID once, in order`,
      runs,
      keys.map(({ sendId }) => sendId[end]),
    );
    lab.equal(
      `${end}: MKTs that verified, in order`,
      direction.mkts,
      keys.map(({ name }) => name),
    );
  }
}

function toVerifierMkt({ name, algorithm, keyHex, sendId }: HandKey): VerifierMkt {
  const ends = [
    { address: "10.0.0.1", sendId: sendId.r1, recvId: sendId.r2 },
    { address: "10.0.0.2", sendId: sendId.r2, recvId: sendId.r1 },
  ];
  return { name, algorithm, keyHex, tcpOptions: true, ends };
}
