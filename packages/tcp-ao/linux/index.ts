export { type DescribedSocket, describeSocket, duplicateDescriptor, duplicateSocket } from "./descriptors.ts";
export { destroySocket, listTcpSockets } from "./diagnostics.ts";
export { LinuxTcpAoError, type LinuxTcpAoErrorCode, type TcpAoOperation } from "./errors.ts";
export { findSocketHolders, type SocketHolder } from "./holders.ts";
export type { AddressRange, KernelSocket } from "./inetDiag.ts";
export {
  observeTcpAo,
  type PeerKey,
  PeerKeys,
  type PeerName,
  type RotateOptions,
  type TcpAoObservation,
} from "./peerKeys.ts";
export { type KernelTcpAo, probeKernelTcpAo } from "./probe.ts";
export {
  type ConnectTcpAoOptions,
  closeSocket,
  connectTcpAo,
  fdOf,
  interfaceIndexOf,
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
export { addKey, deleteKey, listKeys, readInfo, readKeys, updateInfo } from "./tcpAo.ts";
