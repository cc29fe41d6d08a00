import type { WrapArchitecture } from "./filter.ts";
import { close, ioctl, ioctlInThread, isHungUp, SystemCallError, seccompNotificationSizes } from "./system.ts";

/** A thread that stands still in connect() until it is answered. */
export interface ConnectNotification {
  readonly id: bigint;
  /** The thread, in our PID namespace. */
  readonly thread: number;
  readonly fd: number;
  /** Where its struct sockaddr is, in its own memory. */
  readonly address: bigint;
  readonly length: number;
}

/** What connect() becomes: its result, or the kernel's own execution of it. */
export type ConnectAnswer = { readonly errno: number } | "continue";

/** `lost`: nobody waits any more; the call was interrupted by a signal, or the thread has ended. */
export type Delivery = "delivered" | "lost";

// linux/seccomp.h; the size of the structure is part of the request's number
const IOC_READ_WRITE = 0xc0000000;
const IOC_WRITE = 0x40000000;
const request = (direction: number, number: number, size: number): number =>
  (direction | (size << 16) | (0x21 << 8) | number) >>> 0;

// struct seccomp_notif { u64 id; u32 pid; u32 flags; struct seccomp_data data; }
const NOTIFICATION_BYTES = 80;
// struct seccomp_notif_resp { u64 id; s64 val; s32 error; u32 flags; }
const RESPONSE_BYTES = 24;
const RECEIVE = request(IOC_READ_WRITE, 0, NOTIFICATION_BYTES);
const SEND = request(IOC_READ_WRITE, 1, RESPONSE_BYTES);
const ID_VALID = request(IOC_WRITE, 2, 8);
const FLAG_CONTINUE = 1;

/** The supervisor's end of the filter: seccomp_unotify(2). */
export class Notifications {
  readonly fd: number;
  readonly #sizes: { readonly notification: number; readonly response: number };

  constructor(fd: number, architecture: WrapArchitecture) {
    this.fd = fd;
    this.#sizes = seccompNotificationSizes(architecture);
  }

  /**
   * Waits for the next connect(), in another thread. One call at a time.
   * @returns undefined when no process has the filter any more
   * @throws SystemCallError
   */
  async next(): Promise<ConnectNotification | undefined> {
    for (;;) {
      // The kernel refuses a structure that is not zero
      const bytes = new Uint8Array(Math.max(this.#sizes.notification, NOTIFICATION_BYTES));
      try {
        await ioctlInThread(this.fd, RECEIVE, bytes);
        return decode(bytes);
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        if (error.code === "ENOENT" && isHungUp(this.fd)) return undefined;
        // ENOENT: the call was interrupted before it could be handed over. EINTR: we were.
        if (error.code !== "ENOENT" && error.code !== "EINTR") throw error;
      }
    }
  }

  /** Does this very call still wait? What was read of its process before is of that process only if so. */
  isValid(id: bigint): boolean {
    const bytes = new Uint8Array(new BigUint64Array([id]).buffer);
    try {
      ioctl(this.fd, ID_VALID, bytes);
      return true;
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "ENOENT") return false;
      throw error;
    }
  }

  answer(id: bigint, answer: ConnectAnswer): Delivery {
    const bytes = new Uint8Array(Math.max(this.#sizes.response, RESPONSE_BYTES));
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, id, true);
    if (answer === "continue") view.setUint32(20, FLAG_CONTINUE, true);
    else view.setInt32(16, -answer.errno, true);
    try {
      ioctl(this.fd, SEND, bytes);
      return "delivered";
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "ENOENT") return "lost";
      throw error;
    }
  }

  close(): void {
    close(this.fd);
  }
}

/** The filter lets nothing but connect(fd, address, length) come here. */
function decode(bytes: Uint8Array): ConnectNotification {
  const view = new DataView(bytes.buffer);
  const argument = (index: number): bigint => view.getBigUint64(32 + 8 * index, true);
  return {
    id: view.getBigUint64(0, true),
    thread: view.getUint32(8, true),
    fd: Number(BigInt.asIntN(32, argument(0))),
    address: argument(1),
    length: Number(BigInt.asIntN(32, argument(2))),
  };
}
