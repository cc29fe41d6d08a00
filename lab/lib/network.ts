// Network namespaces, links between them, and the kernel's counters.
import { must } from "./exec.ts";
import type { Lab } from "./lab.ts";

export interface Interface {
  readonly namespace: string;
  readonly name: string;
  /** Addresses with prefix length; IPv6 ones skip duplicate address detection. */
  readonly addresses: readonly string[];
}

export async function addNamespace(name: string): Promise<void> {
  await must(["ip", "netns", "add", name]);
  await must(["ip", "-n", name, "link", "set", "lo", "up"]);
}

/** A veth pair between two namespaces, without segmentation offload: what is captured is what is on the wire. */
export async function addLink(a: Interface, b: Interface): Promise<void> {
  const peer = ["type", "veth", "peer", "name", b.name, "netns", b.namespace];
  await must(["ip", "link", "add", a.name, "netns", a.namespace, ...peer]);
  for (const side of [a, b]) {
    const off = ["tso", "off", "gso", "off", "gro", "off"];
    await must(["ethtool", "-K", side.name, ...off], { namespace: side.namespace });
    for (const address of side.addresses) await addAddress(side, address);
    await must(["ip", "-n", side.namespace, "link", "set", side.name, "up"]);
  }
}

async function addAddress(side: Interface, address: string): Promise<void> {
  const flags = address.includes(":") ? ["nodad"] : [];
  await must(["ip", "-n", side.namespace, "addr", "add", address, "dev", side.name, ...flags]);
}

/** The kernel's TCP-AO counters of one namespace. */
export interface TcpAoCounters {
  readonly good: number;
  readonly bad: number;
  readonly keyNotFound: number;
  readonly required: number;
}

export async function tcpAoCounters(namespace: string): Promise<TcpAoCounters> {
  const counters = parseNetstat(await must(["cat", "/proc/net/netstat"], { namespace }));
  const read = (name: string): number => {
    const value = counters.get(`TcpExt.${name}`);
    if (value === undefined) throw new Error(`this kernel does not count ${name}: it has no TCP-AO`);
    return value;
  };
  return {
    good: read("TCPAOGood"),
    bad: read("TCPAOBad"),
    keyNotFound: read("TCPAOKeyNotFound"),
    required: read("TCPAORequired"),
  };
}

/** /proc/net/netstat: pairs of lines, names and values, each with a prefix. */
function parseNetstat(text: string): Map<string, number> {
  const counters = new Map<string, number>();
  const lines = text.trim().split("\n");
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [prefix = "", ...names] = (lines[i] ?? "").split(/\s+/);
    const [, ...values] = (lines[i + 1] ?? "").split(/\s+/);
    for (const [j, name] of names.entries()) counters.set(`${prefix.replace(":", ".")}${name}`, Number(values[j]));
  }
  return counters;
}

/** r1, r2 and x on one bridged LAN: like `addTwoRouters`, and a third party 10.0.0.3 that can reach both. */
export async function addLan(lab: Lab): Promise<void> {
  lab.step("three network namespaces r1, r2 and x on one LAN");
  await addNamespace("lan");
  await must(["ip", "-n", "lan", "link", "add", "br0", "type", "bridge"]);
  await must(["ip", "-n", "lan", "link", "set", "br0", "up"]);
  for (const [i, namespace] of ["r1", "r2", "x"].entries()) {
    await addNamespace(namespace);
    const addresses = [`10.0.0.${i + 1}/24`, `2001:db8::${i + 1}/64`];
    await addLink({ namespace, name: "e0", addresses }, { namespace: "lan", name: namespace, addresses: [] });
    await must(["ip", "-n", "lan", "link", "set", namespace, "master", "br0"]);
  }
}

/** Two routers r1 and r2, link e0, 10.0.0.1 and 10.0.0.2, 2001:db8::1 and ::2. */
export async function addTwoRouters(lab: Lab): Promise<void> {
  lab.step("two network namespaces r1 and r2 with one link");
  for (const name of ["r1", "r2"]) await addNamespace(name);
  const side = (n: number): Interface => ({
    namespace: `r${n}`,
    name: "e0",
    addresses: [`10.0.0.${n}/24`, `2001:db8::${n}/64`],
  });
  await addLink(side(1), side(2));
}
