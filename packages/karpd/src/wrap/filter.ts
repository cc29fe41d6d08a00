// The seccomp filter that every process of the wrapped daemon carries: it hands connect() of internet sockets to the
// supervisor, and closes the ways around connect(). Classic BPF over struct seccomp_data (seccomp(2)).

/** The architectures for which the system call numbers below are right. */
export type WrapArchitecture = "x64" | "arm64";

interface Calls {
  /** AUDIT_ARCH_*: which table of system calls a call uses. */
  readonly audit: number;
  readonly connect: number;
  readonly sendto: number;
  readonly sendmsg: number;
  readonly sendmmsg: number;
  readonly ioUringSetup: number;
}

const callsOf: Readonly<Record<WrapArchitecture, Calls>> = {
  x64: { audit: 0xc000003e, connect: 42, sendto: 44, sendmsg: 46, sendmmsg: 307, ioUringSetup: 425 },
  arm64: { audit: 0xc00000b7, connect: 203, sendto: 206, sendmsg: 211, sendmmsg: 269, ioUringSetup: 425 },
};

// struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }, both architectures little-endian
const NUMBER = 0;
const ARCHITECTURE = 4;
const lowHalfOf = (argument: number): number => 16 + 8 * argument;

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_GREATER = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const JUMP_GREATER_EQUAL = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_BITS = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

const ALLOW = 0x7fff0000;
const NOTIFY = 0x7fc00000;
const KILL_PROCESS = 0x80000000;
const fail = (errno: number): number => 0x00050000 | errno;

const EPERM = 1;
const ENOSYS = 38;
const EOPNOTSUPP = 95;
const MSG_FASTOPEN = 0x20000000;
/** From it on, x86-64 has the calls of its 32-bit-pointer variant under the same AUDIT_ARCH. */
const X32_CALLS = 0x40000000;

/** struct sockaddr_in, sockaddr_in6 as RFC 2133 had it (Linux takes it), sockaddr_in6. */
const INTERNET_ADDRESS_BYTES = [16, 24, 28] as const;
/** sizeof(struct sockaddr_un): what is longer, as a struct sockaddr_storage is, can only be an internet address. */
const LONGEST_UNIX_ADDRESS_BYTES = 110;

type Instruction = readonly [code: number, operand: number, ifTrue?: number, ifFalse?: number];

/**
 * The program, 8 octets an instruction (struct sock_filter).
 *
 * - connect() with the length of an internet address: SECCOMP_RET_USER_NOTIF. All other lengths, and all other calls,
 *   stay in the kernel.
 * - sendto(), sendmsg(), sendmmsg() with MSG_FASTOPEN, which connect too: EOPNOTSUPP, as from a kernel without TCP Fast
 *   Open; programs then use connect().
 * - io_uring_setup(), whose rings connect past every filter: EPERM, as with kernel.io_uring_disabled.
 * - calls of x86-64's 32-bit-pointer variant: ENOSYS, as most kernels have it.
 * - calls through another architecture's table: the process is killed.
 */
export function connectFilter(architecture: WrapArchitecture): Uint8Array {
  const calls = callsOf[architecture];
  const onCall = (number: number, body: readonly Instruction[]): Instruction[] => [
    [LOAD, NUMBER],
    [JUMP_EQUAL, number, 0, body.length],
    ...body,
  ];
  const withoutFastOpen = (flags: number): Instruction[] => [
    [LOAD, lowHalfOf(flags)],
    [JUMP_BITS, MSG_FASTOPEN, 0, 1],
    [RETURN, fail(EOPNOTSUPP)],
    [RETURN, ALLOW],
  ];
  return assemble([
    [LOAD, ARCHITECTURE],
    [JUMP_EQUAL, calls.audit, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, NUMBER],
    [JUMP_GREATER_EQUAL, X32_CALLS, 0, 1],
    [RETURN, fail(ENOSYS)],
    ...onCall(calls.connect, [
      [LOAD, lowHalfOf(2)],
      ...INTERNET_ADDRESS_BYTES.flatMap((length): Instruction[] => [
        [JUMP_EQUAL, length, 0, 1],
        [RETURN, NOTIFY],
      ]),
      [JUMP_GREATER, LONGEST_UNIX_ADDRESS_BYTES, 0, 1],
      [RETURN, NOTIFY],
      [RETURN, ALLOW],
    ]),
    ...onCall(calls.sendto, withoutFastOpen(3)),
    ...onCall(calls.sendmsg, withoutFastOpen(2)),
    ...onCall(calls.sendmmsg, withoutFastOpen(3)),
    ...onCall(calls.ioUringSetup, [[RETURN, fail(EPERM)]]),
    [RETURN, ALLOW],
  ]);
}

function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, operand, ifTrue = 0, ifFalse = 0]] of instructions.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, ifTrue);
    view.setUint8(index * 8 + 3, ifFalse);
    view.setUint32(index * 8 + 4, operand >>> 0, true);
  }
  return bytes;
}
