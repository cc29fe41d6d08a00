import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import {
  addKey,
  closeSocket,
  destroySocket,
  duplicateDescriptor,
  type KernelTcpAo,
  LinuxTcpAoError,
  listTcpSockets,
  openSocket,
  probeKernelTcpAo,
} from "@karp/tcp-ao/linux";
import type { MktAlgorithm } from "../core/keytable/row.ts";

/** "works", or the error of the attempt. */
export type Attempt =
  | { readonly works: true }
  | { readonly works: false; readonly code: string; readonly reason: string };

/** Questions to this machine's kernel. Each is answered by trying it on something of our own, where that can be done. */
export interface KernelProbes {
  release(): string;
  tcpAo(): KernelTcpAo;
  /** Below /proc/sys, trimmed; undefined: there is none. */
  sysctl(name: string): string | undefined;
  /** How many keys of this algorithm one socket takes, and who refused the next one; `atMost` are tried. */
  keysOnOneSocket(algorithm: MktAlgorithm, atMost: number): { readonly count: number; readonly refusal?: Attempt };
  /** A word of the kernel's configuration, "y", "m" or "n"; undefined: the configuration cannot be read. */
  configured(word: string): "y" | "m" | "n" | undefined;
  /** Duplicates a descriptor of this very process by pidfd_getfd. */
  pidfdGetfd(): Attempt;
  /** Lists a listener of our own. */
  listSockets(): Promise<Attempt>;
  /** Destroys a listener of our own. */
  destroySocket(): Promise<Attempt>;
}

export const linuxProbes: KernelProbes = {
  release,
  tcpAo: probeKernelTcpAo,
  sysctl: (name) => read(`/proc/sys/${name.replaceAll(".", "/")}`)?.trim(),
  keysOnOneSocket,
  configured,
  pidfdGetfd: () => attempt(() => closeSocket(duplicateDescriptor(process.pid, 0))),
  listSockets: () => onOwnListener((port) => void ownListener(port)),
  destroySocket: () => onOwnListener((port) => destroySocket(ownListener(port))),
};

function keysOnOneSocket(algorithm: MktAlgorithm, atMost: number): ReturnType<KernelProbes["keysOnOneSocket"]> {
  const fd = openSocket("ipv4");
  try {
    for (let count = 0; count < atMost; count++) {
      // Two octets of the address count on: each key is for another peer, as on a listener. They guard nothing
      const peer = `10.77.${(count >> 8) & 255}.${count & 255}`;
      const refusal = attempt(() =>
        addKey(fd, { peer, sendId: 0, recvId: 0, algorithm, masterKey: new Uint8Array(16) }),
      );
      if (!refusal.works) return { count, refusal };
    }
    return { count: atMost };
  } finally {
    closeSocket(fd);
  }
}

function configured(word: string): ReturnType<KernelProbes["configured"]> {
  const text = configurationText();
  if (text === undefined) return undefined;
  const value = new RegExp(`^CONFIG_${word}=([ym])$`, "m").exec(text)?.[1];
  return value === "y" || value === "m" ? value : "n";
}

function configurationText(): string | undefined {
  try {
    return gunzipSync(readFileSync("/proc/config.gz")).toString("latin1");
  } catch {
    return read(`/boot/config-${release()}`) ?? read(`/lib/modules/${release()}/config`);
  }
}

function ownListener(port: number) {
  const own = listTcpSockets({ port }).find(({ state, localPort }) => state === "listen" && localPort === port);
  if (own === undefined) throw new Error("socket diagnostics do not list a listener of our own");
  return own;
}

/** Runs `use` while a listener of our own has a port of the loopback interface. */
async function onOwnListener(use: (port: number) => void): Promise<Attempt> {
  const server = createServer();
  server.on("error", () => undefined);
  try {
    const port = await listening(server);
    return attempt(() => use(port));
  } catch (error) {
    return failed(error);
  } finally {
    server.close();
  }
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

function attempt(action: () => void): Attempt {
  try {
    action();
    return { works: true };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): Attempt {
  if (error instanceof LinuxTcpAoError) return { works: false, code: error.code, reason: error.advice };
  return { works: false, code: "unexpected", reason: error instanceof Error ? error.message : String(error) };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
