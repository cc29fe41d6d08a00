// The network of the suite: this process is in a namespace of its own, and each charon in one more, a cable apart.
import { spawnSync } from "node:child_process";

/** A namespace at the other end of a cable. */
export interface Site {
  readonly namespace: string;
  /** The address in that namespace. */
  readonly there: string;
  /** A fresh address of ours on the same cable, on each call. */
  readonly here: () => string;
}

let sites = 0;

/** 10.N.0.2 is there, and everything in 10.N.1.0/24 is here. */
export function makeSite(): Site {
  const n = ++sites;
  const namespace = `charon${n}`;
  ip("netns", "add", namespace);
  ip("link", "add", `k${n}`, "type", "veth", "peer", "name", "c0", "netns", namespace);
  ip("address", "add", `10.${n}.0.1/16`, "dev", `k${n}`);
  ip("link", "set", `k${n}`, "up");
  ip("link", "set", "lo", "up");
  ip("route", "add", "local", `10.${n}.1.0/24`, "dev", "lo");
  ip("-n", namespace, "address", "add", `10.${n}.0.2/16`, "dev", "c0");
  ip("-n", namespace, "link", "set", "c0", "up");
  ip("-n", namespace, "link", "set", "lo", "up");
  let hosts = 0;
  return { namespace, there: `10.${n}.0.2`, here: () => `10.${n}.1.${++hosts}` };
}

function ip(...args: readonly string[]): void {
  const done = spawnSync("ip", args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`ip ${args.join(" ")}: ${done.stderr || String(done.error)}`);
}
