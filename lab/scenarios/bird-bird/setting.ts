// The setting of bird-bird: two routers, each with BIRD and karp, and what must not change while keys do.
import { type Bird, sameSince, twoBirds } from "../../lib/bird.ts";
import { Capture } from "../../lib/capture.ts";
import { Karp, type KeyRow } from "../../lib/karp.ts";
import { KeyWatch } from "../../lib/keyWatch.ts";
import type { Lab } from "../../lib/lab.ts";
import { addTwoRouters, type TcpAoCounters, tcpAoCounters } from "../../lib/network.ts";
import { makeCertificates } from "../../lib/pki.ts";

export const ENDS = ["r1", "r2"] as const;
export const ROUTES = 1000;

export interface Setting {
  readonly birds: readonly [Bird, Bird];
  readonly karps: readonly [Karp, Karp];
  readonly watch: KeyWatch;
  beginCapture(lab: Lab): Promise<void>;
  /** @returns the file */
  endCapture(lab: Lab): Promise<string>;
  /** From here on neither `Since` nor the counters of trouble may change. */
  takeBaseline(): Promise<void>;
  baseline(): readonly Baseline[];
}

interface Baseline {
  readonly since: string;
  readonly counters: TcpAoCounters;
}

/** Networks, certificates, two BIRDs with an unprotected session; the karps are there but not started. */
export async function setUp(lab: Lab): Promise<Setting> {
  await addTwoRouters(lab);
  lab.step(`two BIRDs with ${ROUTES} routes each, not protected yet`);
  const birds = twoBirds(lab, ROUTES, (router, protocol) => `/var/lib/lab/${router}/bird/${protocol}.conf`);
  for (const bird of birds) bird.writeKeyFile("# no key yet\n");
  for (const bird of birds) await bird.start();
  for (const bird of birds) await bird.waitEstablished(ROUTES);
  const credentials = await makeCertificates("/etc/lab/pki", ["r1.example.net", "r2.example.net"]);
  const makeKarp = (n: 1 | 2): Karp => {
    const bird = birds[n - 1] as Bird;
    const { keyFile, protocol, local, remote } = bird.options.peering;
    const settings = {
      include: keyFile,
      control: bird.controlSocket,
      config: bird.configuration,
      "configure-interval": "1s",
    };
    return new Karp(
      lab,
      {
        namespace: `r${n}`,
        router: `r${n}.example.net`,
        credentials: credentials[`r${n}.example.net`],
        session: { name: protocol, local, remote, peer: `r${3 - n}.example.net`, bird: settings },
        rollover: { every: "1h", drain: "1s", "keep-old": "2s" },
      },
      "observe",
    );
  };
  return makeSetting(birds, [makeKarp(1), makeKarp(2)]);
}

function makeSetting(birds: readonly [Bird, Bird], karps: readonly [Karp, Karp]): Setting {
  const watch = new KeyWatch(birds);
  let capture: Capture | undefined;
  let baseline: Baseline[] = [];
  return {
    birds,
    karps,
    watch,
    beginCapture: async (lab) => {
      capture = await Capture.start(lab, "bgp", "r1", "tcp port 179");
      watch.start(lab);
    },
    endCapture: async (lab) => {
      if (capture === undefined) throw new Error("nothing is being captured");
      await capture.stop(lab);
      return capture.file;
    },
    takeBaseline: async () => {
      const take = async (i: 0 | 1): Promise<Baseline> => ({
        since: (await birds[i].status()).since,
        counters: await tcpAoCounters(ENDS[i]),
      });
      baseline = [await take(0), await take(1)];
    },
    baseline: () => baseline,
  };
}

/** The key that both karps call current, r1's row. @throws Error when they do not agree (yet) */
export async function bothCurrent({ karps }: Setting): Promise<KeyRow> {
  const [a, b] = [await karps[0].currentKey(), await karps[1].currentKey()];
  if (a === undefined || b === undefined || a.fingerprint !== b.fingerprint) {
    throw new Error(`r1's current key is ${a?.fingerprint}, r2's ${b?.fingerprint}`);
  }
  if (a.sendId !== b.recvId || a.recvId !== b.sendId) throw new Error("the KeyIDs of the two ends do not mirror");
  return a;
}

/** The session never went down, no route is missing, and the kernel has refused nothing, since the baseline. */
export async function assertUnbroken(lab: Lab, setting: Setting, when: string): Promise<void> {
  for (const [i, end] of ENDS.entries()) {
    const { since, info, routes } = await (setting.birds[i] as Bird).status();
    const { bad, keyNotFound, required } = await tcpAoCounters(end);
    const baseline = setting.baseline()[i] as Baseline;
    const { counters } = baseline;
    lab.equal(
      `${when}: ${end}: Since, routes and counters of trouble`,
      { since: sameSince(since, baseline.since), info, routes, bad, keyNotFound, required },
      {
        since: baseline.since,
        info: "Established",
        routes: { imported: ROUTES, exported: ROUTES },
        bad: counters.bad,
        keyNotFound: counters.keyNotFound,
        required: counters.required,
      },
    );
  }
}
