// The keyer's unix socket: who may speak, and what is answered.
import { chmod, chown, lstat, mkdir, stat, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { peerCredentials } from "../control/peerCredentials.ts";
import type { LocalCaller } from "../core/machine.ts";
import { messageOf } from "../drivers/text.ts";
import type { SocketKeyerLog } from "./keyed.ts";
import { keySocket } from "./keySocket.ts";
import { readLines, writeLine } from "./lines.ts";
import { fromWireKey, type KeyerRequest, type KeyerSession, parseRequest, toWireObservation } from "./protocol.ts";
import type { SocketKeyer } from "./socketKeyer.ts";

export interface KeyerUser {
  readonly uid: number;
  /** Undefined: not known. */
  readonly gid: number | undefined;
}

export interface KeyerServerOptions {
  readonly socketPath: string;
  /** Who beside root may speak: karpd's user. */
  readonly user: KeyerUser | undefined;
  readonly keyer: SocketKeyer;
  /** Reads the configuration again. @returns why nothing was changed; undefined: it was read */
  readonly reload: () => Promise<string | undefined>;
  readonly log: SocketKeyerLog;
}

export interface KeyerServer {
  close(): Promise<void>;
}

/** karpd, its commands, and one supervisor a routing daemon. */
const MOST_CONNECTIONS = 64;

/** Another process serves there, or something else stands in the way. */
export class KeyerSocketError extends Error {
  override readonly name = "KeyerSocketError";
}

/** @throws KeyerSocketError */
export async function startKeyerServer(options: KeyerServerOptions): Promise<KeyerServer> {
  const { keyer } = options;
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => undefined);
    void serve(socket, options);
  });
  server.maxConnections = MOST_CONNECTIONS;
  const send = (event: "wanted" | "keyed", session: string): void => {
    for (const socket of connections) if (admitted.has(socket)) writeLine(socket, { event, session });
  };
  keyer.onWanted((session) => send("wanted", session));
  keyer.onKeyed((session) => send("keyed", session));
  await listen(server, options);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

/** Connections whose user is known and may speak. */
const admitted = new WeakSet<Socket>();

async function serve(socket: Socket, options: KeyerServerOptions): Promise<void> {
  const { user, log } = options;
  socket.pause();
  let caller: LocalCaller;
  try {
    caller = await peerCredentials(socket);
  } catch {
    return void socket.destroy();
  }
  if (caller.uid !== 0 && caller.uid !== user?.uid) {
    log("warning", `process ${caller.pid} of user ${caller.uid} was turned away`);
    return void socket.destroy();
  }
  admitted.add(socket);
  readLines(socket, (line) => void answer(socket, options, caller, line));
  socket.resume();
}

async function answer(socket: Socket, options: KeyerServerOptions, caller: LocalCaller, line: string): Promise<void> {
  let request: KeyerRequest;
  try {
    request = parseRequest(line);
  } catch (error) {
    options.log("warning", `process ${caller.pid} of user ${caller.uid}: ${messageOf(error)}`);
    return void socket.destroy();
  }
  try {
    writeLine(socket, { id: request.id, result: await perform(options, caller, request) });
  } catch (error) {
    writeLine(socket, { id: request.id, error: messageOf(error) });
  }
}

async function perform(
  { keyer, reload }: KeyerServerOptions,
  { pid }: LocalCaller,
  request: KeyerRequest,
): Promise<unknown> {
  switch (request.request) {
    case "apply":
      return await keyer.apply(request.session, request.keys.map(fromWireKey));
    case "observe":
      return toWireObservation(await keyer.observe(request.session));
    case "revoke":
      return await keyer.revoke(request.session, request.keep.map(fromWireKey));
    case "examine":
      return await keyer.examine(request.session);
    case "survey":
      return await keyer.survey(request.session);
    case "reload": {
      const refused = await reload();
      return refused === undefined ? {} : { refused };
    }
    case "keySocket":
      return keySocket(keyer, { pid, fd: request.fd }, request.destination);
    case "sessions":
      return keyer.sessions.map(
        ({ name, localAddress, remoteAddress, port, mode, driverSettings }): KeyerSession => ({
          name,
          localAddress,
          remoteAddress,
          port,
          mode,
          onKarpDown: driverSettings["on-karp-down"] === "fail" ? "fail" : "wait",
        }),
      );
  }
}

/** The directory keeps others out, and so does the mode of the socket, which is narrow before anyone can connect. */
async function listen(server: Server, { socketPath: path, user }: KeyerServerOptions): Promise<void> {
  const folder = dirname(path);
  const isRoot = process.geteuid?.() === 0;
  if ((await mkdir(folder, { recursive: true, mode: 0o750 })) !== undefined) {
    // The process's umask takes the right to enter
    await chmod(folder, 0o750);
    if (isRoot && user?.gid !== undefined) await chown(folder, 0, user.gid);
  }
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(new KeyerSocketError(`cannot listen on ${path}: ${error.code ?? "unknown error"}`)),
    );
    server.listen(path, resolve);
  });
  // Who may enter the folder may connect: systemd has made it for the unit's group
  if (isRoot) await chown(path, 0, (await stat(folder)).gid);
  await chmod(path, 0o660);
}

async function removeStale(path: string): Promise<void> {
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined) return;
  if (!status.isSocket()) throw new KeyerSocketError(`${path} is there and is no socket: remove it`);
  if (await isServed(path)) throw new KeyerSocketError(`another keyer serves ${path}: systemctl status karp-keyer`);
  await unlink(path);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
}
