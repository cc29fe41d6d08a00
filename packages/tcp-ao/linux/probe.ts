import { type MacAlgorithm, macAlgorithms } from "../src/index.ts";
import { LinuxTcpAoError, type LinuxTcpAoErrorCode } from "./errors.ts";
import { closeSocket, openSocket } from "./sockets.ts";
import { addKey } from "./tcpAo.ts";

/** What this machine's kernel can do. */
export type KernelTcpAo =
  | { readonly supported: true; readonly algorithms: readonly MacAlgorithm[] }
  | {
      readonly supported: false;
      readonly algorithms: readonly [];
      readonly code: LinuxTcpAoErrorCode;
      readonly reason: string;
    };

/** Tries each algorithm on a socket that is never connected. Sends nothing, and needs no privilege. */
export function probeKernelTcpAo(): KernelTcpAo {
  try {
    const algorithms = (Object.keys(macAlgorithms) as MacAlgorithm[]).filter(isKnownToKernel);
    return { supported: true, algorithms };
  } catch (error) {
    if (!(error instanceof LinuxTcpAoError)) throw error;
    return { supported: false, algorithms: [], code: error.code, reason: error.message };
  }
}

function isKnownToKernel(algorithm: MacAlgorithm): boolean {
  const fd = openSocket("ipv4");
  try {
    // The key guards nothing: the socket is closed at once
    addKey(fd, { peer: "127.0.0.1", sendId: 0, recvId: 0, algorithm, masterKey: Uint8Array.of(1) });
    return true;
  } catch (error) {
    if (error instanceof LinuxTcpAoError && error.code === "algorithmUnknown") return false;
    throw error;
  } finally {
    closeSocket(fd);
  }
}
