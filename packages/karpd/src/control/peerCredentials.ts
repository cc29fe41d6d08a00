import type { Socket } from "node:net";
import type { LocalCaller } from "../core/machine.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const UCRED_BYTES = 12;

/**
 * Who is at the other end of a unix socket: SO_PEERCRED, struct ucred { pid, uid, gid } (unix(7)).
 * Node has no call for it, so libc's getsockopt is called directly; koffi is loaded only when somebody asks for keys.
 */
export async function peerCredentials(socket: Socket): Promise<LocalCaller> {
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) throw new Error("the caller closed the connection");
  const { default: koffi } = await import("koffi");
  const libc = koffi.load("libc.so.6");
  const getsockopt = libc.func(
    "int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)",
  );
  const value = new Uint8Array(UCRED_BYTES);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, [UCRED_BYTES]) !== 0) {
    throw new Error(`getsockopt(SO_PEERCRED) failed with errno ${koffi.errno()}`);
  }
  const view = new DataView(value.buffer);
  const field = (offset: number): number => view.getUint32(offset, isLittleEndian);
  return { pid: field(0), uid: field(4), gid: field(8) };
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
