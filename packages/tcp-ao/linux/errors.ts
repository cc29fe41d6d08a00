import { constants } from "node:os";
import { forDescriptors } from "./descriptorErrors.ts";

/** What was asked of the kernel. */
export type TcpAoOperation =
  | "load libc"
  | "socket"
  | "bind"
  | "getsockopt SO_DOMAIN"
  | "setsockopt SO_REUSEADDR"
  | "setsockopt SO_BINDTODEVICE"
  | "setsockopt IPV6_V6ONLY"
  | "find device"
  | "TCP_AO_ADD_KEY"
  | "TCP_AO_DEL_KEY"
  | "TCP_AO_INFO get"
  | "TCP_AO_INFO set"
  | "TCP_AO_GET_KEYS"
  | "find descriptor"
  | "socket diagnostics"
  | "SOCK_DESTROY"
  | "find holders"
  | "pidfd_open"
  | "pidfd_getfd"
  | "describe socket"
  | "getsockname"
  | "getpeername"
  | "compare socket";

/** Why it cannot be had. Stable: programs may compare these. */
export type LinuxTcpAoErrorCode =
  | "unsupportedPlatform"
  | "ffiUnavailable"
  | "kernelLacksTcpAo"
  | "invalidArgument"
  | "invalidKey"
  | "keyExists"
  | "keyInUse"
  | "keyNotFound"
  | "connectionNotAuthenticated"
  | "md5Conflict"
  | "algorithmUnknown"
  | "socketHasNoTcpAo"
  | "optionMemoryExhausted"
  | "macTooLong"
  | "outOfRange"
  | "notPermitted"
  | "badDescriptor"
  | "addressFamilyMismatch"
  | "addressInUse"
  | "addressNotAvailable"
  | "malformedAnswer"
  | "interrupted"
  | "timedOut"
  | "diagnosticsMissing"
  | "destroyUnsupported"
  | "socketGone"
  | "socketChanged"
  | "processGone"
  | "procMissing"
  | "kernelTooOld"
  | "tooManyDescriptors"
  | "notConnected"
  | "noSuchDevice"
  | "unexpected";

export interface Explanation {
  readonly code: LinuxTcpAoErrorCode;
  /** What it means and what to do. */
  readonly advice: string;
}

/** A socket option of TCP-AO, or what belongs to it, failed. The message never holds a key. */
export class LinuxTcpAoError extends Error {
  readonly code: LinuxTcpAoErrorCode;
  readonly operation: TcpAoOperation;
  /** The name of the error number, for example "EINVAL"; absent when the kernel was not asked. */
  readonly errno?: string;
  /** What to do about it, as a sentence. */
  readonly advice: string;

  constructor(operation: TcpAoOperation, explanation: Explanation, errno?: string, cause?: unknown) {
    const what = errno === undefined ? operation : `${operation}: ${errno}`;
    super(`${what}: ${explanation.advice}`, cause === undefined ? undefined : { cause });
    this.name = "LinuxTcpAoError";
    this.code = explanation.code;
    this.operation = operation;
    this.advice = explanation.advice;
    if (errno !== undefined) this.errno = errno;
  }
}

/** The error for a system call that failed with this error number. */
export function kernelError(operation: TcpAoOperation, errno: string): LinuxTcpAoError {
  return new LinuxTcpAoError(operation, forOperation[operation]?.[errno] ?? forAll[errno] ?? unexpected, errno);
}

/** The same by number. */
export function namedErrno(operation: TcpAoOperation, errno: number): LinuxTcpAoError {
  return kernelError(operation, errnoName(errno));
}

/** Linux numbers that Node does not name, or has two names for. */
const MORE_ERRNOS: Readonly<Record<number, string>> = {
  11: "EAGAIN",
  92: "ENOPROTOOPT",
  95: "EOPNOTSUPP",
  106: "EISCONN",
  129: "EKEYREJECTED",
};

export function errnoName(errno: number): string {
  const known = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
  return MORE_ERRNOS[errno] ?? known ?? `errno ${errno}`;
}

const unexpected: Explanation = {
  code: "unexpected",
  advice: "the kernel refused for a reason that is not known here; please report it with the kernel's version",
};

/** Meanings that hold for every operation. */
const forAll: Readonly<Record<string, Explanation>> = {
  ENOPROTOOPT: {
    code: "kernelLacksTcpAo",
    advice: "this kernel has no TCP-AO; use Linux 6.7 or later built with CONFIG_TCP_AO",
  },
  EINVAL: {
    code: "invalidArgument",
    advice:
      "the kernel does not take these values on this socket; check address, prefix and interface, and that no current or rnext key is set on a listener",
  },
  EBADF: { code: "badDescriptor", advice: "the descriptor is closed; key the socket while it is open" },
  ENOTSOCK: { code: "badDescriptor", advice: "the descriptor is not a socket; pass that of a TCP socket" },
  EOPNOTSUPP: { code: "badDescriptor", advice: "the descriptor is not a TCP socket; pass that of a TCP socket" },
  EPERM: {
    code: "notPermitted",
    advice: "a security module or the TCP repair mode forbids it; look into the audit log for this process",
  },
  EACCES: {
    code: "notPermitted",
    advice: "the process may not do this; look at its capabilities and its security profile",
  },
  ENOMEM: {
    code: "optionMemoryExhausted",
    advice: "the socket's option memory is full; raise net.core.optmem_max or remove old keys",
  },
  ENOBUFS: {
    code: "optionMemoryExhausted",
    advice: "the socket's option memory is full; raise net.core.optmem_max or remove old keys",
  },
  EDOM: { code: "outOfRange", advice: "a value is outside what the kernel takes; check prefix length and KeyIDs" },
  EAFNOSUPPORT: {
    code: "addressFamilyMismatch",
    advice: "the address is of another family than the socket; take the listener of that family",
  },
  EADDRINUSE: { code: "addressInUse", advice: "another socket has this address and port; stop it or choose another" },
  EADDRNOTAVAIL: { code: "addressNotAvailable", advice: "this host does not have the local address" },
  ENODEV: {
    code: "noSuchDevice",
    advice: "this network namespace has no such device or VRF; create it first, and look at the spelling",
  },
  EMFILE: { code: "tooManyDescriptors", advice: "this process has all the descriptors it may have; raise LimitNOFILE" },
  ENFILE: { code: "tooManyDescriptors", advice: "the machine has no descriptors left; raise fs.file-max" },
  ENOTCONN: { code: "notConnected", advice: "the socket is not connected; wait until it is" },
};

/** Meanings that depend on the operation. */
const forOperation: Partial<Record<TcpAoOperation, Readonly<Record<string, Explanation>>>> = {
  ...forDescriptors,
  TCP_AO_ADD_KEY: {
    EEXIST: {
      code: "keyExists",
      advice:
        "a key with this SendID or RecvID is there for the peer and stays as it was; delete it first or take another ID",
    },
    ENOENT: {
      code: "algorithmUnknown",
      advice: "the kernel does not have this MAC algorithm; choose one that probeKernelTcpAo() lists",
    },
    EISCONN: {
      code: "connectionNotAuthenticated",
      advice: "the connection was opened without TCP-AO and stays so; close it and connect again with a key",
    },
    EKEYREJECTED: {
      code: "md5Conflict",
      advice: "the peer has a TCP MD5 password on this socket; remove the password first (RFC 5925 section 2.2)",
    },
    EMSGSIZE: { code: "macTooLong", advice: "the MAC does not fit into the options of a SYN; use a shorter one" },
  },
  "setsockopt SO_BINDTODEVICE": {
    EPERM: {
      code: "notPermitted",
      advice: "the process may not choose a device for this socket; it needs CAP_NET_RAW",
    },
  },
  TCP_AO_DEL_KEY: {
    EBUSY: {
      code: "keyInUse",
      advice: "the key is current or rnext; name a replacement, or wait until the peer has moved on",
    },
    ENOENT: {
      code: "keyNotFound",
      advice:
        "the socket has no such key; address, prefix length, interface, SendID and RecvID must be those it was added with",
    },
  },
  "TCP_AO_INFO set": {
    ENOENT: { code: "keyNotFound", advice: "the socket has no key with this SendID or RecvID; add it first" },
    EISCONN: {
      code: "connectionNotAuthenticated",
      advice: "the connection was opened without TCP-AO and stays so; close it and connect again with a key",
    },
    EKEYREJECTED: {
      code: "md5Conflict",
      advice: "TCP-AO cannot be required on a socket that has TCP MD5 passwords; remove them first",
    },
  },
  "TCP_AO_INFO get": {
    ENOENT: { code: "socketHasNoTcpAo", advice: "no key was ever added to this socket; add one first" },
  },
  TCP_AO_GET_KEYS: {
    ENOENT: { code: "socketHasNoTcpAo", advice: "no key was ever added to this socket; add one first" },
  },
};
