import type { Explanation, TcpAoOperation } from "./errors.ts";

const noDiagnostics: Explanation = {
  code: "diagnosticsMissing",
  advice: "the kernel has no socket diagnostics for TCP; load the module tcp_diag (CONFIG_INET_DIAG)",
};

const processGone: Explanation = {
  code: "processGone",
  advice: "the process has ended; list the sockets again",
};

/** Meanings of error numbers where sockets of other processes are found, taken or ended. */
export const forDescriptors: Partial<Record<TcpAoOperation, Readonly<Record<string, Explanation>>>> = {
  "socket diagnostics": {
    ENOENT: noDiagnostics,
    EPROTONOSUPPORT: noDiagnostics,
    EAFNOSUPPORT: {
      code: "diagnosticsMissing",
      advice: "the process may not open netlink sockets; allow AF_NETLINK (RestrictAddressFamilies of its unit)",
    },
    EAGAIN: { code: "timedOut", advice: "the kernel did not answer in time; try again" },
    ENOBUFS: { code: "interrupted", advice: "the answer was longer than the receive buffer; try again" },
  },
  SOCK_DESTROY: {
    ENOENT: { code: "socketGone", advice: "the socket is gone already; nothing is left to do" },
    ESTALE: {
      code: "socketGone",
      advice: "the socket is gone, and another has its addresses; list the sockets again",
    },
    EPERM: { code: "notPermitted", advice: "the process may not end sockets of others; it needs CAP_NET_ADMIN" },
    EOPNOTSUPP: {
      code: "destroyUnsupported",
      advice: "this kernel cannot end sockets (CONFIG_INET_DIAG_DESTROY); restart the session in the routing daemon",
    },
  },
  pidfd_open: {
    ESRCH: processGone,
    ENOENT: processGone,
    EINVAL: {
      code: "processGone",
      advice: "there is no such process, or it is a thread and this kernel is older than 6.9; pass the process's id",
    },
    ENOSYS: {
      code: "kernelTooOld",
      advice: "the kernel or a seccomp filter has no pidfd_open; use Linux 6.7 or later",
    },
  },
  pidfd_getfd: {
    ESRCH: processGone,
    EBADF: {
      code: "badDescriptor",
      advice: "the process has closed the descriptor; list the sockets again",
    },
    EPERM: {
      code: "notPermitted",
      advice:
        "the process may not take descriptors of that one; it needs CAP_SYS_PTRACE, and no security module (yama ptrace_scope 3, SELinux, AppArmor) that forbids it",
    },
    ENOSYS: {
      code: "kernelTooOld",
      advice: "the kernel or a seccomp filter has no pidfd_getfd; use Linux 6.7 or later and allow the call",
    },
  },
  "describe socket": {
    ENOTSOCK: { code: "socketChanged", advice: "the descriptor is not a socket; list the sockets again" },
  },
};
