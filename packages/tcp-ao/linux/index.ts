export { LinuxTcpAoError, type LinuxTcpAoErrorCode, type TcpAoOperation } from "./errors.ts";
export { type KernelTcpAo, probeKernelTcpAo } from "./probe.ts";
export {
  type ConnectTcpAoOptions,
  closeSocket,
  connectTcpAo,
  fdOf,
  keyListener,
  type ListenTcpAoOptions,
  listenTcpAo,
  openSocket,
} from "./sockets.ts";
export type {
  KernelKeyDeletion,
  KernelKeyName,
  KernelKeyStatus,
  KernelMkt,
  KernelTcpAoInfo,
  KernelTcpAoInfoChange,
} from "./structs.ts";
export { addKey, deleteKey, listKeys, readInfo, updateInfo } from "./tcpAo.ts";
