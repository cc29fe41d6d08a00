// A neighbour without karp gets one: the session that was keyed by a chain of dated keys goes on under IKEv2, and has not
// noticed.
import { Karp, type KarpSession } from "../../lib/karp.ts";
import type { Lab } from "../../lib/lab.ts";
import { assertCapture, assertUnbroken, bothCurrent, rollOver, startKarp } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { FAST_ROLLOVER, pskFile, routerName, type TwoRouters } from "../../lib/twoRouters.ts";
import { waitFor } from "../../lib/wait.ts";
import { keySolo, type SoloSetting, setUpSolo } from "../solo-on-time/solo.ts";

/** KeyIDs of the chain, which is to end before it is used up. */
const CHAIN = "1-4";

export const scenario: Scenario = {
  title: "a neighbour without karp gets one: the session moves from its chain of keys to IKEv2 with Since unchanged",
  timeoutSeconds: 400,
  async run(lab) {
    const solo = await setUpSolo(lab, "15s");
    await keySolo(lab, solo);
    const chainKey = await solo.karp.currentKey();
    if (chainKey === undefined) throw new Error("no key of the chain is current");
    const setting = await giveKarp(lab, solo);
    const first = await waitFor("both karps to see a negotiated key in use", () => bothCurrent(setting), {
      seconds: 120,
    });
    lab.check("it is none of the chain", first.fingerprint !== chainKey.fingerprint, first.fingerprint);
    await assertUnbroken(lab, setting, "with the first negotiated key");
    const second = await rollOver(lab, setting, 1);
    await assertNoChainKey(lab, setting);
    await assertUnbroken(lab, setting, "at the end");
    await assertCapture(lab, setting, [chainKey, first, second]);
  },
};

/** r1's file names r2 where it said `none`; r2 has a karp that finds the chain's key in BIRD's file. */
async function giveKarp(lab: Lab, { routers, karp }: SoloSetting): Promise<TwoRouters> {
  lab.step("r1: peer: r2.example.net instead of none; r2: a karp of its own");
  const make = (n: 1 | 2): Karp => {
    const daemon = routers.daemons[n - 1] ?? routers.daemons[0];
    const { protocol: name, local, remote } = daemon.peering;
    const ids = n === 2 ? [`reserved-key-ids: ["${CHAIN}"]`] : [];
    const lines = [...daemon.driverWords, `psk-file: ${pskFile(n)}`, ...ids];
    const session: KarpSession = { name, local, remote, peer: routerName(n === 1 ? 2 : 1), lines };
    const own = { namespace: `r${n}`, router: routerName(n), credentials: undefined };
    return new Karp(lab, { ...own, sessions: [session], rollover: FAST_ROLLOVER }, "opportunistic");
  };
  make(1); // it writes the file; the daemon that runs reads it
  await karp.control.call("POST", "/v1/reload", {});
  const far = make(2);
  await startKarp(lab, far);
  return { ...routers, karps: [karp, far] };
}

async function assertNoChainKey(lab: Lab, { karps }: TwoRouters): Promise<void> {
  const left = async (): Promise<number> =>
    (await karps[0].keys()).filter(({ recvId, state }) => recvId <= 4 && state !== "removed").length;
  await waitFor("the chain's keys to go", async () => (await left()) === 0, { seconds: 60 });
  lab.check("no key of the chain is left at r1", true);
}
