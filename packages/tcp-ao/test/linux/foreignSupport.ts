import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { platform } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  closeSocket,
  duplicateSocket,
  findSocketHolders,
  type KernelSocket,
  listTcpSockets,
  type SocketHolder,
} from "../../linux/index.ts";
import type { Answer, Order } from "./foreignProcess.ts";

/** A process of somebody else, which goes with the test. */
export class Foreigner {
  readonly #child: ChildProcess;

  constructor(context: TestContext) {
    this.#child = fork(join(import.meta.dirname, "foreignProcess.ts"), {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    context.after(() => this.#child.kill("SIGKILL"));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the process did not start");
    return this.#child.pid;
  }

  async obey(order: Order): Promise<Answer> {
    const answered = once(this.#child, "message");
    this.#child.send(order);
    const [answer] = (await answered) as [Answer];
    return answer;
  }

  async listen(host: string, device?: string): Promise<number> {
    const { port, failure } = await this.obey({ order: "listen", host, ...(device !== undefined && { device }) });
    if (port === undefined) throw new Error(failure);
    return port;
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** The one socket of this port, state and process, and where the process has it. */
export function findForeign(
  pid: number,
  port: number,
  state: KernelSocket["state"],
): { readonly socket: KernelSocket; readonly holder: SocketHolder } {
  const sockets = listTcpSockets({ port }).filter((socket) => socket.state === state);
  const holders = findSocketHolders(new Set(sockets.map(({ inode }) => inode)));
  const found = sockets.flatMap((socket) =>
    (holders.get(socket.inode) ?? []).filter((holder) => holder.pid === pid).map((holder) => ({ socket, holder })),
  );
  const [first, ...others] = found;
  if (first === undefined || others.length > 0) throw new Error(`${found.length} sockets on port ${port}`);
  return first;
}

/** A duplicate that goes with the test. */
export function takeForeign(context: TestContext, pid: number, port: number, state: KernelSocket["state"]): number {
  const { socket, holder } = findForeign(pid, port, state);
  const fd = duplicateSocket(holder, socket);
  context.after(() => closeSocket(fd));
  return fd;
}

/** Descriptors of this process: none may be left behind. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

const isLinux = platform() === "linux";

/** Options of tests of other processes' sockets: any Linux, TCP-AO or not. */
export const onLinux = isLinux ? {} : { skip: "needs Linux" };
export const onLinuxAsRoot = isLinux && process.getuid?.() !== 0 ? { skip: "needs root" } : onLinux;
/** IPv6 may be off in a container. */
export const hasIpv6 = await new Promise<boolean>((resolve) => {
  const server = createServer().once("error", () => resolve(false));
  server.listen(0, "::1", () => server.close(() => resolve(true)));
});
