import assert from "node:assert/strict";
import { createServer, Socket } from "node:net";
import { platform } from "node:os";
import { test } from "node:test";
import { kernelError, type LinuxTcpAoErrorCode, type TcpAoOperation } from "../../linux/errors.ts";
import {
  addKey,
  closeSocket,
  fdOf,
  LinuxTcpAoError,
  listKeys,
  openSocket,
  probeKernelTcpAo,
} from "../../linux/index.ts";

const isLinux = platform() === "linux" ? {} : { skip: "needs Linux" };
const KEY = {
  peer: "127.0.0.1",
  sendId: 1,
  recvId: 1,
  algorithm: "hmac-sha-1-96",
  masterKey: Uint8Array.of(1),
} as const;

const meanings: readonly [TcpAoOperation, string, LinuxTcpAoErrorCode][] = [
  ["TCP_AO_ADD_KEY", "ENOPROTOOPT", "kernelLacksTcpAo"],
  ["TCP_AO_INFO get", "ENOPROTOOPT", "kernelLacksTcpAo"],
  ["TCP_AO_ADD_KEY", "EINVAL", "invalidArgument"],
  ["TCP_AO_ADD_KEY", "EEXIST", "keyExists"],
  ["TCP_AO_ADD_KEY", "EISCONN", "connectionNotAuthenticated"],
  ["TCP_AO_ADD_KEY", "EKEYREJECTED", "md5Conflict"],
  ["TCP_AO_ADD_KEY", "ENOENT", "algorithmUnknown"],
  ["TCP_AO_ADD_KEY", "EMSGSIZE", "macTooLong"],
  ["TCP_AO_ADD_KEY", "ENOMEM", "optionMemoryExhausted"],
  ["TCP_AO_ADD_KEY", "EDOM", "outOfRange"],
  ["TCP_AO_DEL_KEY", "EBUSY", "keyInUse"],
  ["TCP_AO_DEL_KEY", "ENOENT", "keyNotFound"],
  ["TCP_AO_INFO set", "ENOENT", "keyNotFound"],
  ["TCP_AO_INFO get", "ENOENT", "socketHasNoTcpAo"],
  ["TCP_AO_GET_KEYS", "ENOENT", "socketHasNoTcpAo"],
  ["TCP_AO_ADD_KEY", "EPERM", "notPermitted"],
  ["TCP_AO_ADD_KEY", "EACCES", "notPermitted"],
  ["TCP_AO_ADD_KEY", "EBADF", "badDescriptor"],
  ["TCP_AO_ADD_KEY", "ENOTSOCK", "badDescriptor"],
  ["TCP_AO_ADD_KEY", "EOPNOTSUPP", "badDescriptor"],
  ["TCP_AO_ADD_KEY", "ENOBUFS", "optionMemoryExhausted"],
  ["TCP_AO_ADD_KEY", "EAFNOSUPPORT", "addressFamilyMismatch"],
  ["TCP_AO_INFO set", "EINVAL", "invalidArgument"],
  ["TCP_AO_INFO set", "EISCONN", "connectionNotAuthenticated"],
  ["TCP_AO_INFO set", "EKEYREJECTED", "md5Conflict"],
  ["bind", "EADDRINUSE", "addressInUse"],
  ["setsockopt SO_BINDTODEVICE", "ENODEV", "noSuchDevice"],
  ["setsockopt SO_BINDTODEVICE", "EPERM", "notPermitted"],
  ["socket", "EMFILE", "tooManyDescriptors"],
  ["socket diagnostics", "ENOENT", "diagnosticsMissing"],
  ["socket diagnostics", "EAFNOSUPPORT", "diagnosticsMissing"],
  ["socket diagnostics", "EAGAIN", "timedOut"],
  ["socket diagnostics", "ENOBUFS", "interrupted"],
  ["SOCK_DESTROY", "ENOENT", "socketGone"],
  ["SOCK_DESTROY", "EPERM", "notPermitted"],
  ["SOCK_DESTROY", "EOPNOTSUPP", "destroyUnsupported"],
  ["pidfd_open", "ESRCH", "processGone"],
  ["pidfd_open", "EMFILE", "tooManyDescriptors"],
  ["pidfd_open", "ENOSYS", "kernelTooOld"],
  ["pidfd_getfd", "ENOSYS", "kernelTooOld"],
  ["pidfd_getfd", "EPERM", "notPermitted"],
  ["pidfd_getfd", "EBADF", "badDescriptor"],
  ["pidfd_getfd", "ESRCH", "processGone"],
  ["describe socket", "ENOTSOCK", "socketChanged"],
  ["TCP_AO_ADD_KEY", "EIO", "unexpected"],
];
for (const [operation, errno, code] of meanings) {
  test(`${operation}: ${errno} is ${code}`, () => {
    const error = kernelError(operation, errno);
    assert.deepEqual([error.code, error.errno, error.operation], [code, errno, operation]);
    // What it means; what to do
    assert.match(error.advice, /^.{15,}; .{9,}$/);
    assert.equal(error.message, `${operation}: ${errno}: ${error.advice}`);
  });
}

function refusedWith(code: LinuxTcpAoErrorCode, errno?: string) {
  return (error: unknown): boolean => error instanceof LinuxTcpAoError && error.code === code && error.errno === errno;
}

test("a descriptor that is not open is EBADF", isLinux, () => {
  assert.throws(() => addKey(1 << 20, KEY), refusedWith("badDescriptor", "EBADF"));
});

test("a descriptor that is not a socket is ENOTSOCK", isLinux, () => {
  assert.throws(
    () => listKeys(process.stdin.fd),
    (error) => error instanceof LinuxTcpAoError,
  );
});

test("a key of 0 or 81 octets, and an ID that is none, do not reach the kernel", () => {
  for (const key of [
    { masterKey: new Uint8Array() },
    { masterKey: new Uint8Array(81) },
    { sendId: 256 },
    { recvId: -1 },
  ]) {
    assert.throws(() => addKey(-1, { ...KEY, ...key }), refusedWith("invalidKey"));
  }
});

test("a socket that is not connected and a server that does not listen have no descriptor", () => {
  assert.throws(() => fdOf(new Socket()), refusedWith("badDescriptor"));
  assert.throws(() => fdOf(createServer()), refusedWith("badDescriptor"));
});

test("the probe answers on any machine, and says why when the answer is no", () => {
  const probe = probeKernelTcpAo();
  if (probe.supported) assert.ok(probe.algorithms.length > 0);
  else assert.ok(probe.reason.length > 20 && probe.algorithms.length === 0);
});

test("a kernel without TCP-AO says so when a key is added", isLinux, (context) => {
  if (probeKernelTcpAo().supported) return context.skip("this kernel has TCP-AO");
  const fd = openSocket("ipv4");
  context.after(() => closeSocket(fd));
  assert.throws(() => addKey(fd, KEY), refusedWith("kernelLacksTcpAo", "ENOPROTOOPT"));
});
