import { LinuxTcpAoError } from "./errors.ts";
import { libc } from "./libc.ts";
import { AF_INET, AF_INET6 } from "./sockaddr.ts";
import {
  decodeInfo,
  decodeKey,
  decodeKeyCount,
  encodeAdd,
  encodeDelete,
  encodeGetAll,
  encodeInfo,
  type KernelKeyDeletion,
  type KernelKeyStatus,
  type KernelMkt,
  type KernelTcpAoInfo,
  type KernelTcpAoInfoChange,
  keyOctets,
  MAXIMUM_KEY_BYTES,
  TCP_AO_GET_BYTES,
  TCP_AO_INFO_BYTES,
} from "./structs.ts";

const SOL_SOCKET = 1;
const SO_DOMAIN = 39;
const SOL_TCP = 6;
const TCP_AO_ADD_KEY = 38;
const TCP_AO_DEL_KEY = 39;
const TCP_AO_INFO = 40;
const TCP_AO_GET_KEYS = 41;

/** Most sockets have fewer keys than this; others take a second call. */
const EXPECTED_KEYS = 8;

/**
 * TCP_AO_ADD_KEY: installs a key on a socket that is closed, listening, or connected with TCP-AO.
 * @throws LinuxTcpAoError, mostly `kernelLacksTcpAo`, `keyExists`, `algorithmUnknown`, `connectionNotAuthenticated`,
 *   `md5Conflict`, `invalidKey`; TcpAoUsageError `badAddress`
 */
export function addKey(fd: number, key: KernelMkt): void {
  assertKey(key);
  const bytes = encodeAdd(key, domainOf(fd));
  try {
    libc().setsockopt("TCP_AO_ADD_KEY", fd, SOL_TCP, TCP_AO_ADD_KEY, bytes);
  } finally {
    bytes.fill(0);
  }
}

/**
 * TCP_AO_DEL_KEY. A current or rnext key is refused (`keyInUse`), unless `newCurrent` or `newRnext` replaces it.
 * @throws LinuxTcpAoError, mostly `keyInUse`, `keyNotFound`
 */
export function deleteKey(fd: number, key: KernelKeyDeletion): void {
  libc().setsockopt("TCP_AO_DEL_KEY", fd, SOL_TCP, TCP_AO_DEL_KEY, encodeDelete(key, domainOf(fd)));
}

/**
 * TCP_AO_INFO, read.
 * @throws LinuxTcpAoError `socketHasNoTcpAo` before the first key
 */
export function readInfo(fd: number): KernelTcpAoInfo {
  const bytes = new Uint8Array(TCP_AO_INFO_BYTES);
  libc().getsockopt("TCP_AO_INFO get", fd, SOL_TCP, TCP_AO_INFO, bytes, bytes.length);
  return decodeInfo(bytes);
}

/**
 * TCP_AO_INFO, written. The kernel always takes both flags, so those that `change` leaves out are read first and
 * written back; counters are not touched.
 * @throws LinuxTcpAoError, mostly `keyNotFound`; `invalidArgument` for a current or rnext key on a listener
 */
export function updateInfo(fd: number, change: Partial<KernelTcpAoInfoChange>): void {
  const { isRequired, acceptsIcmps } = readFlags(fd);
  const bytes = encodeInfo({ isRequired, acceptsIcmps, ...change });
  libc().setsockopt("TCP_AO_INFO set", fd, SOL_TCP, TCP_AO_INFO, bytes);
}

/**
 * TCP_AO_GET_KEYS: all keys of a socket, in the kernel's order, without the key material.
 * @throws LinuxTcpAoError `socketHasNoTcpAo` before the first key
 */
export function listKeys(fd: number): readonly KernelKeyStatus[] {
  return readKeys(fd, (key) => key);
}

/**
 * The same with the octets of each key, for whoever has to tell it from another one with the same IDs: what the kernel
 * keeps, so for AES-128-CMAC always the 16 octets of {@link aesCmacPrf128Key}. They are erased when `read` has seen them.
 * @throws LinuxTcpAoError `socketHasNoTcpAo` before the first key
 */
export function readKeys<T>(fd: number, read: (key: KernelKeyStatus, octets: Uint8Array) => T): readonly T[] {
  let capacity = EXPECTED_KEYS;
  for (;;) {
    const bytes = encodeGetAll(capacity);
    try {
      libc().getsockopt("TCP_AO_GET_KEYS", fd, SOL_TCP, TCP_AO_GET_KEYS, bytes, TCP_AO_GET_BYTES);
      const count = decodeKeyCount(bytes);
      if (count <= capacity) return readEach(bytes, count, read);
      capacity = count;
    } finally {
      // The kernel hands out the keys themselves
      bytes.fill(0);
    }
  }
}

function readEach<T>(
  bytes: Uint8Array,
  count: number,
  read: (key: KernelKeyStatus, octets: Uint8Array) => T,
): readonly T[] {
  return Array.from({ length: count }, (_, index) => {
    const start = index * TCP_AO_GET_BYTES;
    const one = bytes.subarray(start, start + TCP_AO_GET_BYTES);
    return read(decodeKey(one), keyOctets(one));
  });
}

function readFlags(fd: number): Pick<KernelTcpAoInfo, "isRequired" | "acceptsIcmps"> {
  try {
    return readInfo(fd);
  } catch (error) {
    if (error instanceof LinuxTcpAoError && error.code === "socketHasNoTcpAo") {
      return { isRequired: false, acceptsIcmps: false };
    }
    throw error;
  }
}

/** SO_DOMAIN: addresses of keys are in the socket's own family. */
function domainOf(fd: number): "ipv4" | "ipv6" {
  const value = new Uint8Array(4);
  libc().getsockopt("getsockopt SO_DOMAIN", fd, SOL_SOCKET, SO_DOMAIN, value, value.length);
  const [family] = value;
  if (family === AF_INET) return "ipv4";
  if (family === AF_INET6) return "ipv6";
  const advice = "the descriptor is neither an IPv4 nor an IPv6 socket; pass that of a TCP socket";
  throw new LinuxTcpAoError("getsockopt SO_DOMAIN", { code: "badDescriptor", advice });
}

function assertKey(key: KernelMkt): void {
  const { length } = key.masterKey;
  if (length < 1 || length > MAXIMUM_KEY_BYTES) {
    const advice = `the kernel takes master keys of 1 to ${MAXIMUM_KEY_BYTES} octets, not ${length}`;
    throw new LinuxTcpAoError("TCP_AO_ADD_KEY", { code: "invalidKey", advice });
  }
  for (const id of [key.sendId, key.recvId]) {
    if (!Number.isInteger(id) || id < 0 || id > 255) {
      const advice = `an MKT ID is an integer from 0 to 255, not ${id} (RFC 5925 section 3.1)`;
      throw new LinuxTcpAoError("TCP_AO_ADD_KEY", { code: "invalidKey", advice });
    }
  }
}
