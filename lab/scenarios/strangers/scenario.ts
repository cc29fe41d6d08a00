// A third party that can send with the peer's address and knows every sequence number: its SYNs and RSTs, unsigned,
// signed with a KeyID that nobody has, or wrongly signed with the one in use, are refused and counted.
import { join } from "node:path";
import { must } from "../../lib/exec.ts";
import type { Lab } from "../../lib/lab.ts";
import { addLan, type TcpAoCounters, tcpAoCounters } from "../../lib/network.ts";
import { assertHistory, assertUnbroken, keySession, rollOver } from "../../lib/rollovers.ts";
import type { Scenario } from "../../lib/scenario.ts";
import { setUpTwoBirds, type TwoRouters, takeBaseline } from "../../lib/twoRouters.ts";
import { passTime, waitFor } from "../../lib/wait.ts";

const COUNT = 5;
const R1 = "10.0.0.1";
const R2 = "10.0.0.2";

export const scenario: Scenario = {
  title: "unsigned and wrongly signed SYNs and RSTs from a third party: refused and counted",
  timeoutSeconds: 540,
  async run(lab) {
    const setting = await setUpTwoBirds(lab, { network: addLan });
    // what the third party sends to r1 is not seen at r2
    const history = [await keySession(lab, setting, { namespace: "r2" })];
    await control(lab);
    history.push(await rollOver(lab, setting, 0));
    const inUse = history.at(-1)?.recvId ?? 0; // r2's SendID is r1's RecvID
    const absent = 250;
    for (const flags of ["S", "R", "RA"]) {
      await forge(lab, setting, flags, "-", "required");
      await forge(lab, setting, flags, String(absent), "keyNotFound");
      await forge(lab, setting, flags, String(inUse), "bad");
    }
    history.push(await rollOver(lab, setting, 1, "rollovers go on"));
    await assertHistory(lab, setting, history);
  },
};

/** That the forgery works where nothing is signed: it ends a plain connection between the same addresses. */
async function control(lab: Lab): Promise<void> {
  lab.step("control: the same forger ends a connection that is not protected");
  const script = `import socket, subprocess, sys
listener = socket.socket(); listener.bind(("${R1}", 7000)); listener.listen()
print("listening", flush=True)
connection, peer = listener.accept()
print("port", peer[1], flush=True)
connection.settimeout(20)
try: connection.recv(1); print("closed")
except ConnectionResetError: print("reset")
`;
  const server = must(["python3", "-c", script], { namespace: "r1" });
  await waitFor("the server", async () => (await must(["ss", "-tlnH", "sport", "7000"], { namespace: "r1" })) !== "", {
    seconds: 20,
  });
  const capture = must(["timeout", "20", "tcpdump", "-nSi", "e0", "-c", "3", "tcp port 7000"], { namespace: "r1" });
  await passTime(2); // tcpdump has to listen before there is anything to hear
  const client = `import socket, time; s = socket.create_connection(("${R1}", 7000), 5, ("${R2}", 7001)); time.sleep(12)`;
  const holding = must(["python3", "-c", client], { namespace: "r2" }).catch(() => "");
  const seq = Number(/Flags \[S\], seq (\d+)/.exec(await capture)?.[1]) + 1;
  await send(R2, 7001, 7000, seq, "R", "-", 1);
  const said = await server;
  lab.check("the connection is reset", said.includes("reset"), said.trim().replaceAll("\n", ", "));
  await holding;
}

interface Session {
  readonly port: number;
  /** What r1 expects next from r2. */
  readonly seq: number;
}

async function forge(
  lab: Lab,
  setting: TwoRouters,
  flags: string,
  keyId: string,
  counter: keyof TcpAoCounters,
): Promise<void> {
  const what = keyId === "-" ? "unsigned" : `signed with KeyID ${keyId}`;
  const name = `${COUNT} segments [${flags}], ${what}`;
  const session = await nextSegment(setting);
  const before = await tcpAoCounters("r1");
  const [from, to] = flags === "S" ? [40_000, 179] : [session.remotePort, session.port];
  await send(R2, from, to, session.seq, flags, keyId, COUNT);
  const grown = async (): Promise<Partial<TcpAoCounters>> => {
    const { good: _, ...now } = await tcpAoCounters("r1");
    return {
      bad: now.bad - before.bad,
      keyNotFound: now.keyNotFound - before.keyNotFound,
      required: now.required - before.required,
    };
  };
  await passTime(0.3);
  lab.equal(`${name}: counted`, await grown(), { bad: 0, keyNotFound: 0, required: 0, [counter]: COUNT });
  await takeSameSince(setting);
  await assertUnbroken(lab, setting, name);
}

/** The counters begin anew, `Since` stays what it was. */
async function takeSameSince(setting: TwoRouters): Promise<void> {
  const since = setting.baseline.map((one) => one.since);
  await takeBaseline(setting);
  setting.baseline = setting.baseline.map((one, i) => ({ ...one, since: since[i] ?? one.since }));
}

/** From the capture: the two ports, and the sequence number that r1 waits for. */
async function nextSegment(setting: TwoRouters): Promise<Session & { readonly remotePort: number }> {
  const file = setting.capture?.file ?? "";
  const text = await must(["tcpdump", "-nSr", file, `src ${R1} and tcp port 179 and tcp[tcpflags] & tcp-ack != 0`]);
  const last = text.trim().split("\n").at(-1) ?? "";
  const found = /IP 10\.0\.0\.1\.(\d+) > 10\.0\.0\.2\.(\d+): .* ack (\d+),/.exec(last);
  if (found === null) throw new Error(`no acknowledgement in: ${last}`);
  return { port: Number(found[1]), remotePort: Number(found[2]), seq: Number(found[3]) };
}

async function send(src: string, from: number, to: number, seq: number, flags: string, keyId: string, count: number) {
  const words = [src, from, R1, to, seq, 0, flags, keyId, count].map(String);
  await must(["python3", "-B", join(import.meta.dirname, "forge.py"), ...words], { namespace: "x" });
}
